"""Measurements of plaudit: what it learns (control) and how fast (speed). Run as modules from the repository root."""
