"""The stages: each reads a run folder and writes a run folder; one file a stage, for both media."""
