"""One file per way in which feedback depends on reward."""
