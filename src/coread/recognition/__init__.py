"""Learned models: detection, segmentation, classification, and what they looked at."""
