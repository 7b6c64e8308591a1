"""Data sets of other programs, read."""
