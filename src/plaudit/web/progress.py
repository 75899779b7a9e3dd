"""The numbers of the run page: what people have said, from the store, and how the policy does, from metrics.jsonl."""

from pathlib import Path
from typing import Any

from plaudit.storage.office import Office


class Progress:
    """Reads what is new each time it is asked."""

    def __init__(self, office: Office, path: Path):
        self.office, self.path = office, path

    def now(self) -> dict[str, Any]:
        """See `GET /api/progress` in docs/web.md."""
        raise NotImplementedError
