"""Where queries, answers and artifacts live."""
