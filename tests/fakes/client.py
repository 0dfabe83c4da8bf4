"""An HTTP client of an ASGI application in this process: no socket, but the lifespan and all middleware."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, ExitStack
from typing import Any, Self

import anyio
import httpx
from anyio.from_thread import start_blocking_portal
from starlette.types import ASGIApp, Message


class AsgiClient:
    """Use it in a `with` block; `request` is httpx's."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._portal = self._stack.enter_context(start_blocking_portal())
        self._http = self._stack.enter_context(self._portal.wrap_async_context_manager(_Served(self._app)))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.request("GET", path, **options)

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        content = options.get("content")
        if content is not None and not isinstance(content, bytes | str):
            options["content"] = _pieces(content)
        return self._portal.call(lambda: self._http.request(method, path, **options))


async def _pieces(content: Iterable[bytes]) -> AsyncIterator[bytes]:
    for piece in content:
        yield piece


class _Served:
    """The application between startup and shutdown, and a client of it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> httpx.AsyncClient:
        self._started, self._stopping, self._stopped = anyio.Event(), anyio.Event(), anyio.Event()
        self._tasks = await self._stack.enter_async_context(anyio.create_task_group())
        self._tasks.start_soon(self._lifespan)
        await self._started.wait()
        transport = httpx.ASGITransport(self._app, raise_app_exceptions=False)
        return await self._stack.enter_async_context(httpx.AsyncClient(transport=transport, base_url="http://test"))

    async def __aexit__(self, *_: object) -> None:
        self._stopping.set()
        await self._stopped.wait()
        await self._stack.aclose()

    async def _lifespan(self) -> None:
        asked = False

        async def receive() -> Message:
            nonlocal asked
            if not asked:
                asked = True
                return {"type": "lifespan.startup"}
            await self._stopping.wait()
            return {"type": "lifespan.shutdown"}

        async def send(message: Message) -> None:
            assert message["type"] in {"lifespan.startup.complete", "lifespan.shutdown.complete"}, message
            (self._started if "startup" in message["type"] else self._stopped).set()

        await self._app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, receive, send)
