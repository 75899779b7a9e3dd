"""Algorithms that learn from the returns of perturbed parameters."""
