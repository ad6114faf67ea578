"""From a trained lifter and the keypoints of a store to motion: places, size, floor, smoothing, fusion."""
