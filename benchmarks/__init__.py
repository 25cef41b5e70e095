"""Measurements, one command each: `python -m benchmarks.NAME --json FILE`. No test, and nothing imports them."""
