"""Adapting a trained lifter beside training one from scratch."""
