"""Causal language models in the transformers layout: policies, reward models, generation."""
