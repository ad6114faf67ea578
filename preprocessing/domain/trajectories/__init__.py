"""Layouts of trajectories: the poses of a camera that moves, one file and one line of the registry each."""
