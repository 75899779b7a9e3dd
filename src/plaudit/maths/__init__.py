"""Formulas, each cited by equation; tensors in, tensors out."""
