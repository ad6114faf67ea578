"""How well the vertical of cameras is found: ``python -m benchmarks.gravity``."""
