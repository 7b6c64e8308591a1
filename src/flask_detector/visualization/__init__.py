"""Detections drawn on a picture. Knows no Flask, Redis or RQ."""
