"""The report of a control run; its policies are loaded and played again, so it needs the environment."""
