"""Where up is before a camera, found from tracks of keypoints, with an interval that is calibrated."""
