"""The stages for language: pre-training, rewards of text, answers and how good they are."""
