"""What the key of a question says about it."""

HELD_OUT = "held-out/"
"""Questions for watching, held-out/UPDATE/ROW: no reward model learns from their answers."""
REPEAT = "repeat/"
"""What one person is asked again, repeat/PERSON/NUMBER, to see how steady the answers are."""


def teaches(key: str) -> bool:
    """Whether a reward model may learn from the answers."""
    return not key.startswith((HELD_OUT, REPEAT))
