"""The stages: each reads a run folder and writes a run folder."""
