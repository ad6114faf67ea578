"""Pure mathematics on joints, cameras and bones: no I/O, no framework.

Every function is written once against the array API standard, so the same one serves NumPy (Dask workers)
and PyTorch (GPU, differentiable). Leading dimensions broadcast.
"""
