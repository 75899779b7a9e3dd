"""A folder with questions and the server over it, as its own process that can be killed and started again."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

from PIL import Image, ImageDraw

from plaudit.storage.artifacts import Artifacts
from plaudit.storage.database import open_database
from plaudit.storage.store import NewQuery

LINK = re.compile(r"http://127\.0\.0\.1:\d+/join(?:\?named(?:=\d+)?)?#\S+")
RUN = "from plaudit.cli.main import run; run()"
START_SECONDS = 90.0
CLIP_SIZE, CLIP_FRAMES, CLIP_COLUMNS = 120, 20, 8


class FeedbackSession:
    """Questions in a folder, and whoever serves them."""

    def __init__(self, folder: Path, manifest: dict | None = None):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        if manifest or not (folder / "manifest.json").exists():
            (folder / "manifest.json").write_text(
                json.dumps(manifest or {"stage": "run", "status": "running"})
            )
        self.artifacts = Artifacts(folder / "artifacts")
        self.database = open_database(folder / "feedback.db")
        self.process: subprocess.Popen[str] | None = None
        self.link = self.address = ""
        self._asked = 0

    # ------------------------------------------------------------------------------------------ questions

    def text(self, completion: object, messages: list[dict] | None = None) -> str:
        """Store an answer to a prompt."""
        kept = {"completion": completion, **({"messages": messages} if messages else {})}
        return self.artifacts.put(json.dumps(kept).encode())

    def clip(self, colour: str, frames: int = CLIP_FRAMES, height: int = CLIP_SIZE) -> tuple[str, dict]:
        """Store a clip whose every frame carries its number as so many lit pixels in the first row."""
        rows = -(-frames // CLIP_COLUMNS)
        sheet = Image.new("RGB", (CLIP_COLUMNS * CLIP_SIZE, rows * height), "white")
        draw = ImageDraw.Draw(sheet)
        for frame in range(frames):
            left, top = frame % CLIP_COLUMNS * CLIP_SIZE, frame // CLIP_COLUMNS * height
            draw.ellipse((left + 4 * frame, top + 40, left + 4 * frame + 36, top + 76), fill=colour)
            draw.line((left, top + 90, left + CLIP_SIZE, top + 90), fill="black", width=2)
        file = io.BytesIO()
        sheet.save(file, "WEBP", quality=80)
        picture = self.artifacts.put(file.getvalue())
        manifest = {
            "width": CLIP_SIZE, "height": height, "frames": frames, "columns": CLIP_COLUMNS, "fps": 15.0,
            "sheets": [{"sha256": picture, "first": 0, "frames": frames}],
        }  # fmt: skip
        return self.artifacts.put(json.dumps([colour, frames]).encode()), manifest

    def ask(self, kind: str, items: list[str], wanted: int = 1, **payload: object) -> int:
        """Put a question to people; its id."""
        self._asked += 1
        query = NewQuery(f"q{self._asked}", kind, tuple(items), 0, payload, wanted)
        return self.database.store.enqueue([query])[0]

    def ask_texts(self, count: int = 1) -> list[int]:
        """Comparisons of short texts."""
        start = self._asked
        return [
            self.ask(
                "comparison",
                [self.text(f"Answer A{n} to the question."), self.text(f"Answer B{n} to the question.")],
                prompt=f"Question {n}: what is the best way to learn?",
            )
            for n in range(start + 1, start + count + 1)
        ]

    def ask_clips(self, count: int = 1, height: int = CLIP_SIZE) -> list[int]:
        """Comparisons of clips."""
        asked = []
        for number in range(count):
            (first, one), (second, two) = (
                self.clip("#0072b2", 20 - number, height),
                self.clip("#d55e00", 16, height),
            )
            asked.append(self.ask("comparison", [first, second], clips=[one, two]))
        return asked

    def responses(self) -> list:
        """Every stored answer, oldest first."""
        return self.database.store.answers()

    def standing(self) -> list:
        """The answers that count."""
        corrected = {response.supersedes for response in self.responses()}
        return [response for response in self.responses() if response.id not in corrected]

    # --------------------------------------------------------------------------------------------- server

    def start(self, port: int = 0) -> "FeedbackSession":
        """Serve, and wait for the sign-in link; the port of last time, where there was one."""
        environment = {name: value for name, value in os.environ.items() if name != "DISPLAY"}
        environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
        command = [sys.executable, "-c", RUN, "label", str(self.folder), "--no-browser"]
        if port:
            command += ["--port", str(port)]
        self.log = open(self.folder / "server.log", "a+")  # noqa: SIM115
        before = self.log.tell()
        self.process = subprocess.Popen(
            command, stdout=self.log, stderr=subprocess.STDOUT, text=True, env=environment
        )
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until and self.process.poll() is None:
            found = LINK.findall((self.folder / "server.log").read_text()[before:])
            if found:
                self.link = found[-1]
                self.address = self.link.partition("/join")[0]
                return self
            time.sleep(0.05)
        raise AssertionError(f"the server did not start: {(self.folder / 'server.log').read_text()[before:]}")

    def kill(self) -> None:
        """As the kernel would."""
        self._end(signal.SIGKILL)

    def close_server(self) -> None:
        """As whoever started it would."""
        self._end(signal.SIGINT)

    def close(self) -> None:
        """Stop whatever is left."""
        self._end(signal.SIGTERM)
        self.database.store.close()

    def _end(self, how: int) -> None:
        if self.process is None:
            return
        self.process.send_signal(how)
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None
        self.log.close()
