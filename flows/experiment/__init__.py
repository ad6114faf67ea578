"""Experiments as plain functions: recipe, data, training, evaluation, results; no Prefect, no Dask."""
