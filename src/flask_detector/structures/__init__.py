"""Boxes, masks, polygons and Detections: data with its invariants. Imports numpy alone."""
