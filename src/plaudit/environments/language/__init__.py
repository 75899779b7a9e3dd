"""Answers of a language model to prompts: collecting them and what a reward says of them."""
