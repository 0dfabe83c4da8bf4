"""Lines that fail on purpose: a TCP proxy before any server, and an HTTP proxy before the store."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

from orchestrator.embedded.kept import free_port

T = TypeVar("T")

CHUNK_BYTES = 64 * 1024
LATE_S = 2.5  # how long an answer that never comes is awaited


class Network:
    """The thread in which the lines of one test run. A context manager."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="network", daemon=True)
        self._lines: list[Line] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    async def _end(self) -> None:
        for line in self._lines:
            await line.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def add(self, line: Line) -> None:
        self._lines.append(line)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do it in the thread of the lines, and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)


class Line:
    """One TCP proxy on a loopback port. Everything about it may be asked from any thread.

    Args:
        target_port: where the real server listens, on 127.0.0.1.
    """

    def __init__(self, network: Network, target_port: int) -> None:
        self.port = free_port()
        self.target_port = target_port
        self._network = network
        self._delay_s = 0.0
        self._open: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._flow = network.run(_event())
        network.add(self)
        self.up()

    def up(self) -> None:
        """Take connections."""
        self._network.run(self._listen())

    def down(self) -> None:
        """Refuse connections, and reset those that are there."""
        self._network.run(self.close())

    def cut(self) -> None:
        """Reset every connection; new ones are taken."""
        self._network.run(self._reset())

    @contextmanager
    def away(self) -> Iterator[None]:
        self.down()
        try:
            yield
        finally:
            self.up()

    @contextmanager
    def hung(self) -> Iterator[None]:
        """Connections stay, and nothing gets through."""
        self._network.run(self._set_flow(flows=False))
        try:
            yield
        finally:
            self._network.run(self._set_flow(flows=True))

    @contextmanager
    def slow(self, delay_s: float) -> Iterator[None]:
        """Whatever is sent arrives so much later, each way."""
        self._delay_s = delay_s
        try:
            yield
        finally:
            self._delay_s = 0.0

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)

    async def close(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()
        await self._reset()

    async def _reset(self) -> None:
        for writer in list(self._open):
            writer.transport.abort()

    async def _set_flow(self, *, flows: bool) -> None:
        self._flow.set() if flows else self._flow.clear()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            await self._serve(reader, writer)
            writer.close()  # what was written is sent
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            writer.transport.abort()
        except asyncio.CancelledError:
            writer.transport.abort()
            raise
        finally:
            self._open.discard(writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target_port)
        self._open.add(far_writer)
        try:
            both = [
                asyncio.create_task(self._pump(reader, far_writer)),
                asyncio.create_task(self._pump(far_reader, writer)),
            ]
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            for each in both:
                each.cancel()
            await asyncio.gather(*both, return_exceptions=True)
        finally:
            self._open.discard(far_writer)
            far_writer.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(CHUNK_BYTES):
            await self._pass(writer, data)

    async def _pass(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        if self._delay_s:
            await asyncio.sleep(self._delay_s)
        await self._flow.wait()
        writer.write(data)
        await writer.drain()


async def _event() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event


class Trouble(StrEnum):
    """What may happen to one request to the store."""

    ERROR_500 = "500"
    ERROR_503 = "503"
    SLOW_DOWN = "SlowDown"
    LOST_ANSWER = "done, answer lost"
    LATE_ANSWER = "done, answer late"
    HALF_ANSWER = "half the answer"
    HALF_REQUEST = "half the request"


_ANSWERS = {
    Trouble.ERROR_500: ("500 Internal Server Error", "InternalError"),
    Trouble.ERROR_503: ("503 Service Unavailable", "ServiceUnavailable"),
    Trouble.SLOW_DOWN: ("503 Slow Down", "SlowDown"),
}


@dataclass(frozen=True)
class _Request:
    method: str
    head: bytes
    body: bytes

    @classmethod
    async def read(cls, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> _Request:
        """One request, whole. `Expect: 100-continue` is answered here; the store hears nothing of it."""
        head = await reader.readuntil(b"\r\n\r\n")
        first, *lines = head[:-4].split(b"\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
        if b"expect" in headers:
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            await writer.drain()
        body = await reader.readexactly(int(headers.get(b"content-length", b"0")))
        kept = [line for line in lines if line.partition(b":")[0].lower() not in {b"expect", b"connection"}]
        return cls(first.split()[0].decode(), b"\r\n".join([first, *kept, b"Connection: close", b"", b""]), body)


class StoreLine(Line):
    """The same before an S3 store, which also answers wrongly. One request a connection.

    Attributes:
        requests: how many have come.
        happened: how often each trouble was made.
    """

    def __init__(self, network: Network, endpoint: str) -> None:
        self.requests = 0
        self._aimed: dict[int, Trouble] = {}
        self.happened: Counter[Trouble] = Counter()
        super().__init__(network, int(urlsplit(endpoint).port or 0))

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def aim(self, troubles: Mapping[int, Trouble]) -> None:
        """Have each trouble befall the n-th request from now, in place of what was aimed before."""
        now = self.requests
        self._aimed = {now + number: trouble for number, trouble in troubles.items()}

    @property
    def is_aimed(self) -> bool:
        """Whether there is trouble that has befallen nobody yet."""
        return max(self._aimed, default=0) > self.requests

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await _Request.read(reader, writer)
        self.requests += 1
        trouble = self._aimed.get(self.requests)
        if trouble is not None:
            self.happened[trouble] += 1
        if trouble in _ANSWERS:
            await self._pass(writer, _error(*_ANSWERS[trouble], without_body=request.method == "HEAD"))
            return
        await self._flow.wait()
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target_port)
        self._open.add(far_writer)
        try:
            far_writer.write(request.head)
            if trouble is Trouble.HALF_REQUEST:
                far_writer.write(request.body[: len(request.body) // 2])
                await far_writer.drain()
                raise ConnectionAbortedError
            far_writer.write(request.body)
            await far_writer.drain()
            answer = await far_reader.read(-1)  # what we serve here is small
        finally:
            self._open.discard(far_writer)
            far_writer.transport.abort()
        await self._answer(writer, answer, trouble)

    async def _answer(self, writer: asyncio.StreamWriter, answer: bytes, trouble: Trouble | None) -> None:
        if trouble is Trouble.LATE_ANSWER:
            await asyncio.sleep(LATE_S)
        if trouble in {Trouble.LATE_ANSWER, Trouble.LOST_ANSWER}:
            raise ConnectionAbortedError
        await self._pass(writer, answer[: len(answer) // 2] if trouble is Trouble.HALF_ANSWER else answer)


def _error(status: str, code: str, *, without_body: bool) -> bytes:
    text = f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>made up</Message></Error>'
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/xml\r\nContent-Length: {len(text)}\r\nConnection: close\r\n"
    return (head + "\r\n" + ("" if without_body else text)).encode()
