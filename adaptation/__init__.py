"""Adaptation of lifters to a domain whose 3D is not known."""
