"""Measurements beside openretina 1.1.1: ``python -m benchmarks.NAME --peer PYTHON``, with the Python that has it."""
