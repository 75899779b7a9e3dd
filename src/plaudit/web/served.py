"""What one server serves: a run's folder, or one that is only for labelling."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plaudit.errors import PlauditError
from plaudit.storage.artifacts import Artifacts
from plaudit.storage.office import Office, open_office
from plaudit.web.mirror import Mirror
from plaudit.web.progress import Progress
from plaudit.web.tasks import Shop

LEASE_SECONDS = 900.0
"""How long a question stays with whom it was given to."""


@dataclass(frozen=True)
class Folder:
    """Where things lie; the same names as in a run folder."""

    path: Path

    @property
    def store(self) -> Path:
        """Questions and answers."""
        return self.path / "feedback.db"

    @property
    def note(self) -> Path:
        """Who serves this folder, and where."""
        return self.path / "server.json"

    @property
    def title(self) -> str:
        """What people call it."""
        return self.path.resolve().name

    @property
    def cookie(self) -> str:
        """A name of its own: browsers send the cookies of one server to every other one at the same address."""
        return "plaudit_" + hashlib.sha256(str(self.path.resolve()).encode()).hexdigest()[:8]

    def manifest(self) -> dict[str, Any]:
        """What the trainer says about the run; PlauditError where this is no run folder."""
        try:
            found = json.loads((self.path / "manifest.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise PlauditError(
                f"{self.path}: not a run folder (manifest.json is missing); give the folder a run was written to"
            ) from None
        except ValueError as error:
            raise PlauditError(f"{self.path / 'manifest.json'}: damaged ({error}); restore it") from None
        return found if isinstance(found, dict) else {}


@dataclass(frozen=True)
class Served:
    """A folder with everything that is open while it is served."""

    folder: Folder
    office: Office
    shop: Shop
    mirror: Mirror
    progress: Progress
    lease_seconds: float = LEASE_SECONDS

    @classmethod
    def open(cls, folder: Folder, lease_seconds: float = LEASE_SECONDS) -> "Served":
        """Open what is there; PlauditError where nobody has asked anything yet."""
        folder.manifest()
        if not folder.store.exists():
            raise PlauditError(
                f"{folder.path}: this run has asked nobody yet; start it with `feedback.people: []` first"
            )
        office = open_office(folder.store)
        return cls(
            folder,
            office,
            Shop(Artifacts(folder.path / "artifacts")),
            Mirror(office.reception, folder.path / "responses.jsonl"),
            Progress(office, folder.path),
            lease_seconds,
        )

    def close(self) -> None:
        """Write down what is still to be mirrored, and let go."""
        self.mirror.close()
        self.office.store.close()
