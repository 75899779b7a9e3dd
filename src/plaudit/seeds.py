"""Independent random streams for the purposes of a run."""

import hashlib


def seed_of(seed: int, *purpose: object) -> int:
    """An independent seed for each purpose of a run: neighbouring run seeds share no stream."""
    digest = hashlib.sha256("/".join(map(str, (seed, *purpose))).encode()).digest()
    return int.from_bytes(digest[:6], "big")
