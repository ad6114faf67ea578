"""A domain of one's own: keypoints of any detector and cameras of any calibration, without 3D."""
