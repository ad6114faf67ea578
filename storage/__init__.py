"""Versioned Zarr stores of trials: schema, transactions, provenance, columns and exchange files."""
