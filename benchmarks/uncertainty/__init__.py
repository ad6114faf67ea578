"""Test-time optimisation and the scales of lifters, before source cameras and from above.

    python -m benchmarks.uncertainty --motion MOTION --out FOLDER

trains lifters on free motion before Human3.6M's cameras, with exact keypoints, and tests them on other people
before the same cameras and before those of MPI-INF-3DHP that look down, with exact keypoints and with noise.
"""
