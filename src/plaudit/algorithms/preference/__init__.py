"""Algorithms that learn straight from pairs."""
