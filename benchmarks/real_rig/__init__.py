"""A rig of real cameras: what lifters, and settings over seeds, err there."""
