"""Lifters, one file each, and their registry."""
