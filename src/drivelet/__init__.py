"""Drivelet: from raw driving logs to a small, measured, 4-bit vision-language model for driving questions."""

__version__ = "0.1.0"
