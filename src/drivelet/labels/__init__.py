"""Pseudo-labels: votes of labelers of different families, calibrated, fused, smoothed, and kept with their reasons."""
