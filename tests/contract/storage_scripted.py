"""A store on loopback that answers what a test wrote down, for faults that no real store shows on demand."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

from orchestrator.adapters.s3.options import S3Options
from orchestrator.adapters.s3.storage import S3Storage


@dataclass
class Answer:
    """Attributes:
    breaks_after: close the connection after that many bytes of the body.
    hangs: no answer at all until the server is closed.
    """

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    breaks_after: int | None = None
    hangs: bool = False


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: dict[str, str]


def error(status: int, code: str) -> Answer:
    return Answer(status, f"<Error><Code>{code}</Code><Message>m</Message></Error>".encode())


class ScriptedStore:
    """Answers with `script` one after the other, the last one again and again. A function sees the request first."""

    def __init__(self, *script: Answer | Callable[[Request], Answer]) -> None:
        self.script = list(script)
        self.requests: list[Request] = []
        self._closing = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    @property
    def options(self) -> S3Options:
        return S3Options(f"http://127.0.0.1:{self._server.server_port}", "films", "AKTEST", "secret")

    @property
    def storage(self) -> S3Storage:
        return S3Storage(self.options)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        store = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                request = Request(self.command, self.path, {k.lower(): v for k, v in self.headers.items()})
                step = store.script[min(len(store.requests), len(store.script) - 1)]
                store.requests.append(request)
                answer = step if isinstance(step, Answer) else step(request)
                self.close_connection = True
                if answer.hangs:
                    store._closing.wait(30)
                    return
                self.send_response(answer.status)
                for name, value in {"Content-Length": str(len(answer.body)), **answer.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(answer.body[: answer.breaks_after])

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = answer  # noqa: N815 - names of http.server

            def log_message(self, *_: object) -> None:
                pass

        return Handler
