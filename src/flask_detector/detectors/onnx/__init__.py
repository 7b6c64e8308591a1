"""Detectors of other programs, as they export them: ONNX files and OpenVINO's own.

What a file is follows from its inputs, outputs and metadata (`families.py`, one row a family). It is read,
tried and written as OpenVINO's graph by a process of its own with bounds on time and memory (`isolated.py`).
"""
