"""Metrics, named protocols, and results with intervals."""
