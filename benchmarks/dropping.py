"""A proxy on loopback that passes every request on and swallows some of the replies: a network at its worst moment."""

import asyncio
import random
from contextlib import suppress


class DroppingProxy:
    """Swallows `share` of the replies: the server has done the work, the client never hears of it."""

    def __init__(self, port: int, share: float, generator: random.Random):
        self.port, self.share, self.generator = port, share, generator
        """`port`: where the server listens, which may be down for a while."""
        self.passed = self.dropped = 0
        self.address = ""
        self._server: asyncio.Server | None = None
        self._serving: set[asyncio.Task[None]] = set()
        """Held, or a task that waits for a server that is gone would be collected as garbage."""

    async def start(self) -> None:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.address = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def stop(self) -> None:
        """Listen no more, and let go of everybody."""
        if self._server is not None:
            self._server.close()
        for task in self._serving:
            task.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._pass_on(reader, writer))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)
        await asyncio.wait([task])  # which, unlike awaiting it, does not take part in its end

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            back, forth = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            writer.close()
            return
        sending = asyncio.create_task(_copy(reader, forth))
        try:
            with suppress(OSError):
                await self._replies(back, writer)
        finally:
            sending.cancel()
            for end in (writer, forth):
                end.close()

    async def _replies(self, back: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Every reply is one head and a body of a told length; a swallowed one ends the connection."""
        while True:
            try:
                head = await back.readuntil(b"\r\n\r\n")
                body = await back.readexactly(_length(head))
            except (asyncio.IncompleteReadError, OSError):
                return
            if self.generator.random() < self.share:
                self.dropped += 1
                return
            self.passed += 1
            writer.write(head + body)
            await writer.drain()


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError, asyncio.CancelledError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
