"""Frozen tensors with shapes: what the formulas see."""
