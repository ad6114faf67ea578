"""Restaged motion as somebody's own recordings: keypoints and calibration as files, the 3D withheld."""
