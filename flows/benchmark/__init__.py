"""Benchmarks over restaged motion: every lifter by every method, domain and seed, one recorded line each."""
