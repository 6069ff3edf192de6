"""Simulated drives: the course, how the ego moves on it, its sensors, and the truth of every frame."""
