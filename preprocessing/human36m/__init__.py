"""Human3.6M: its file names, calibration and CDF files, read and written in the layout of the release."""
