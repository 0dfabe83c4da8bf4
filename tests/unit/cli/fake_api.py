"""An API and a store in one: enough of both to see what the client does when they misbehave."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from dataclasses import dataclass, field

import httpx

from orchestrator.cli.client import Api
from orchestrator.cli.connection import Connection

STORE = "http://store.test"


@dataclass
class FakeApi:
    """One job, its files, and a store whose URLs can expire.

    Attributes:
        store_answers: part number -> statuses that its next PUTs get before it works.
        parts: what the store holds, by part number.
        sealing_looks: how often "complete" finds the file being sealed.
        etag: of every part; empty: its MD5.
    """

    store_answers: dict[int, list[int]] = field(default_factory=dict)
    parts: dict[int, bytes] = field(default_factory=dict)
    files: list[dict] = field(default_factory=list)
    asked: list[tuple[str, str]] = field(default_factory=list)
    headers: list[httpx.Headers] = field(default_factory=list)
    signatures: int = 0
    puts_at_once: int = 0
    most_at_once: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    gate: threading.Barrier | None = None
    sealing_looks: int = 0
    etag: str = ""

    def api(self) -> Api:
        transport = httpx.MockTransport(self.answer)
        return Api(Connection("http://api.test", "secret-token"), transport=transport, sleep=lambda _: None)

    @property
    def store(self) -> httpx.MockTransport:
        return httpx.MockTransport(self.put)

    def answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/api/v1")
        with self.lock:
            self.asked.append((request.method, path))
            self.headers.append(request.headers)
        body = json.loads(request.content) if request.content else {}
        if path == "/jobs/j1":
            return httpx.Response(200, json={"id": "j1", "files": self.files})
        if path == "/jobs/j1/files":
            file = {"id": "f1", "state": "open", "missing_parts": list(range(1, body["part_count"] + 1)), **body}
            self.files.append(file)
            return httpx.Response(201, json={"file": file, "urls": self.sign(file["missing_parts"])})
        if path == "/files/f1/urls":
            return httpx.Response(200, json={"urls": self.sign(body["part_numbers"])})
        if path == "/files/f1/complete":
            return self.complete()
        if path == "/files/f1":
            missing = [n for n in range(1, self.files[0]["part_count"] + 1) if n not in self.parts]
            arrived = [
                {"number": n, "etag": self.etag or hashlib.md5(data, usedforsecurity=False).hexdigest()}
                for n, data in self.parts.items()
            ]
            return httpx.Response(200, json=self.files[0] | {"missing_parts": missing, "arrived_parts": arrived})
        return httpx.Response(404, json={"code": "not_found", "detail": "there is no such thing"})

    def complete(self) -> httpx.Response:
        if not self.sealing_looks:
            return httpx.Response(200, json={"id": "f1", "state": "sealed"})
        self.sealing_looks -= 1
        told = {"code": "upload_not_open", "detail": "file f1 is sealing", "details": {"state": "sealing"}}
        if self.sealing_looks % 2:  # asked again with the key of a request whose answer was lost
            told = {"code": "conflict", "detail": "the request with this Idempotency-Key is still at work"}
        return httpx.Response(409, json=told)

    def sign(self, numbers: list[int]) -> list[dict]:
        with self.lock:
            self.signatures += 1
        return [{"number": n, "url": f"{STORE}/part/{n}?signed={self.signatures}"} for n in numbers]

    def put(self, request: httpx.Request) -> httpx.Response:
        with self.lock:
            self.puts_at_once += 1
            self.most_at_once = max(self.most_at_once, self.puts_at_once)
        body = request.read()
        if self.gate is not None:
            self.gate.wait(timeout=5)
        number = int(re.search(r"/part/(\d+)", request.url.path)[1])
        assert "authorization" not in request.headers
        assert int(request.headers["content-length"]) == len(body)
        with self.lock:
            self.puts_at_once -= 1
            waiting = self.store_answers.get(number, [])
            if waiting:
                return httpx.Response(waiting.pop(0))
            self.parts[number] = body
        return httpx.Response(200, headers={"ETag": '"e"'})

    def held(self) -> bytes:
        return b"".join(self.parts[number] for number in sorted(self.parts))
