"""Loops over (algorithm, rollouts); they know no algorithm and no environment."""
