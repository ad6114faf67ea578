"""Readers of what calibration programs write, one small file per layout."""
