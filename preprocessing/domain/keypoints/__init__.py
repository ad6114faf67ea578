"""Readers of what person detectors write, one small file per layout."""
