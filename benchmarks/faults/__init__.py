"""Fault injection: runs that are killed at random moments, repeated, and compared with undisturbed ones.

Every run is a process of its own that calls the flows' plain functions, and SIGKILL ends it without a word.
What power failures do to a disk that reports writes too early is not simulated.
"""
