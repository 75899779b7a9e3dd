"""What one server serves: a folder, with everything that is open meanwhile."""

import hashlib
from dataclasses import dataclass
from functools import cached_property

from plaudit.errors import PlauditError
from plaudit.storage.artifacts import Artifacts
from plaudit.storage.backup import RESPONSES, refuse_lost
from plaudit.storage.database import Database, open_database
from plaudit.web.feedback_log import FeedbackLog
from plaudit.web.folder import Backups, Folder
from plaudit.web.statistics import Progress
from plaudit.web.task_view import TaskView
from plaudit.web.trainer import Metrics, Trainer

LEASE_SECONDS = 900.0
"""How long a question stays with whom it was given to."""


@dataclass(frozen=True)
class AppState:
    """A folder with everything that is open while it is served."""

    folder: Folder
    database: Database
    tasks: TaskView
    log: FeedbackLog
    backups: Backups
    trainer: Trainer
    progress: Progress
    lease_seconds: float = LEASE_SECONDS
    public: str | None = None
    """The address for links, where it is not the one that whoever makes them uses."""

    @classmethod
    def open(
        cls, folder: Folder, lease_seconds: float = LEASE_SECONDS, public: str | None = None
    ) -> "AppState":
        """Open what is there; PlauditError where nobody has asked anything yet."""
        folder.manifest()
        refuse_lost(folder.store)
        if not folder.store.exists():
            raise PlauditError(
                f"{folder.path}: this run has asked nobody yet; start it with `feedback.people: []` first"
            )
        database = open_database(folder.store)
        metrics = Metrics(folder.path / "metrics.jsonl")
        trainer = Trainer(database, folder, metrics)
        return cls(
            folder,
            database,
            TaskView(Artifacts(folder.path / "artifacts")),
            FeedbackLog(database.queue, folder.path / RESPONSES),
            Backups(folder.store),
            trainer,
            Progress(database, folder, trainer, metrics),
            lease_seconds,
            public,
        )

    def start(self) -> None:
        """Begin to write beside the store; only once no other server may be doing so."""
        self.log.start()
        self.backups.start()

    @cached_property
    def store(self) -> str:
        """What tells this store in this folder from every other one; copies of a folder hold the same people."""
        return hashlib.sha256(f"{self.folder.path.resolve()}/{self.database.identity}".encode()).hexdigest()[
            :8
        ]

    @cached_property
    def cookie(self) -> str:
        """A name of its own: browsers send the cookies of one server to every other one at the same address."""
        return f"plaudit_{self.store}"

    def close(self) -> None:
        """Write down what is not yet in the lists and the copy, and let go."""
        self.log.close()
        self.backups.close()
        self.database.store.close()
