"""Mutated files against what reads files: no input may end the process, hang it or fill its memory.

``python -m fuzz pictures --seconds 600`` from the project's root; docs/security.md has the figures.
"""
