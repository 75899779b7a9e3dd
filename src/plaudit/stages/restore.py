"""The stage `restore`: the store of a run as it was before it was lost or damaged."""

from dataclasses import replace
from pathlib import Path

from plaudit.readers.lines import finished
from plaudit.runs.folder import RunFolder
from plaudit.storage import copies
from plaudit.storage.catching_up import Mirrored
from plaudit.storage.serving import held


def restore(run: Path, source: Path | None = None) -> copies.Restored:
    """Put a copy back (none given: the one beside the store), and what came after it by the lists beside it.

    Nobody may train or serve the run meanwhile. See `copies.restore`.
    """
    folder = RunFolder.open(run)
    asked, said = folder.path / "questions.jsonl", folder.path / copies.MIRROR
    with folder.held(), held(folder.path / "server.json"):
        mirrored = Mirrored(*(list(finished(file)) if file.exists() else [] for file in (asked, said)))
        found = copies.restore(folder.feedback, source or copies.copy_path(folder.feedback), mirrored)
        # a mirror that goes on behind the store would never be added to again; the next server writes it anew
        return replace(found, kept=copies.put_aside(said)) if found.left else found
