"""Small files to try the commands with, as they are copied to people: an environment, an algorithm, a reward."""
