"""What passes through the edge when its process ends."""

from __future__ import annotations

import asyncio
from typing import Any

from orchestrator.http.edge import Edge
from orchestrator.http.limits import RateLimits


def test_a_request_that_is_cut_off_by_the_end_of_its_process_is_told_to_come_again() -> None:
    sent: list[dict[str, Any]] = []

    async def slow(*_: object) -> None:
        await asyncio.sleep(60)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(dict(message))

    async def run() -> None:
        scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": []}
        edge = Edge(slow, body_limit=10, observe=lambda *_: None, limits=RateLimits(None, None), form_of=lambda _: None)
        task = asyncio.create_task(edge(scope, receive, send))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())
    assert sent[0]["status"] == 503
    assert (b"retry-after", b"2") in sent[0]["headers"]
