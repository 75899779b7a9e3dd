"""The stages for control: environments, segments of behaviour, true returns."""
