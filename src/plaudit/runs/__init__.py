"""The run folder, its config and the loop that fills it."""
