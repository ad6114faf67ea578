"""Leftovers of runs that were killed: found, explained, and mended on request."""
