"""Measurements: `make benchmarks` runs them, and renews the tables that docs and README show."""
