"""Measurements beside openretina 1.1.1 (`make bench`), and of what grows with work: ``python -m benchmarks NAME``."""
