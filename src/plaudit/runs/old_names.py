"""Names that users may have written before a thing was renamed; each still works, with a note, for one version."""

CONFIG_KEYS: dict[str, str] = {}
"""Dotted path of a config key as it was -> as it is; through lists too (`feedback.people.mistake`)."""
