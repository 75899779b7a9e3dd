"""Measurements of plaudit: what it learns (control) and how fast (speed)."""
