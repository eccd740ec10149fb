"""Answers against truth: ROC, reader studies, calibration, survival, agreement, drift."""
