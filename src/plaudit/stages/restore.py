"""The stage `restore`: the store of a run as it was before it was lost or damaged."""

from dataclasses import replace
from pathlib import Path

from plaudit.readers.lines import finished
from plaudit.runs.folder import RunFolder
from plaudit.storage import backup
from plaudit.storage.backup import LoggedFeedback
from plaudit.storage.serving import held


def restore(run: Path, source: Path | None = None) -> backup.Restored:
    """Put a copy back (none given: the one beside the store), and what came after it by the lists beside it.

    Nobody may train or serve the run meanwhile. See `backup.restore`.
    """
    folder = RunFolder.open(run)
    asked, said = folder.path / backup.QUESTIONS, folder.path / backup.RESPONSES
    with folder.held(), held(folder.path / "server.json"):
        log = LoggedFeedback(*(list(finished(file)) if file.exists() else [] for file in (asked, said)))
        found = backup.restore(folder.feedback, source or backup.copy_path(folder.feedback), log)
        # a log that goes on behind the store would never be added to again; the next server writes it anew
        return replace(found, kept=backup.put_aside(said)) if found.left else found
