"""MPI-INF-3DHP (Mehta et al., 3DV 2017): layout of the release, readers of both parts, and writers."""
