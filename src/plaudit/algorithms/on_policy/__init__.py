"""Algorithms that learn from episodes of the current policy."""
