"""A thin client of the native API: JSON in, JSON out, retries that cannot do anything twice."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, Self

import httpx

from orchestrator.cli.connection import Connection
from orchestrator.cli.failures import CliError, Exit, exit_of

PREFIX: Final = "/api/v1"
ATTEMPTS: Final = 4
FIRST_PAUSE_S: Final = 0.3
LONGEST_PAUSE_S: Final = 30.0  # who is told to come again later than this is told so, and does not wait
DIRECT: Final[Mapping[str, None]] = {"all://127.0.0.1": None, "all://localhost": None, "all://[::1]": None}
"""Mounts for httpx: a proxy of the environment leads nowhere for what runs on this machine."""

_BUSY: Final = frozenset({429, 502, 503, 504})
_BY_STATUS: Final = {400: Exit.USAGE, 401: Exit.FORBIDDEN, 403: Exit.FORBIDDEN, 404: Exit.NOT_FOUND, 422: Exit.USAGE}

Json = dict[str, Any]  # documents of the wire: their shape is the API's to say


class ApiError(CliError):
    """The API said no.

    Attributes:
        status: HTTP status.
        code: the public code of the error.
        document: the whole problem+json answer.
    """

    def __init__(self, status: int, document: Mapping[str, object]) -> None:
        self.status = status
        self.document = dict(document)
        self.code = str(document.get("code", ""))
        words = document.get("detail") or document.get("title") or f"the API answered {status}"
        exit_code = exit_of(self.code) if self.code else Exit.REFUSED
        if exit_code is Exit.REFUSED:
            exit_code = _BY_STATUS.get(status, Exit.UNREACHABLE if status in _BUSY else Exit.REFUSED)
        hints = {Exit.FORBIDDEN: "Check --token and its role"}
        super().__init__(str(words), exit_code, hint=hints.get(exit_code, ""))


class Api:
    """One API as one caller. Close it, or use it in a `with` block. Safe to use from several threads."""

    def __init__(
        self,
        connection: Connection,
        *,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.endpoint = connection.endpoint
        self._sleep = sleep
        self._http = httpx.Client(
            base_url=connection.endpoint + PREFIX,
            headers={"Authorization": f"Bearer {connection.token}", "User-Agent": "understudy-cli"},
            timeout=httpx.Timeout(60, connect=5),
            transport=transport,
            mounts=DIRECT if transport is None else None,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def get(self, path: str, **params: object) -> Json:
        told = {name: value for name, value in params.items() if value is not None}
        return self._ask("GET", path, params=told)

    def post(self, path: str, **body: object) -> Json:
        """A POST with a key of its own, so that trying again after a lost answer does nothing twice."""
        told = {name: value for name, value in body.items() if value is not None}
        return self._ask("POST", path, json=told, headers={"Idempotency-Key": str(uuid.uuid4())})

    def delete(self, path: str) -> Json:
        return self._ask("DELETE", path)

    def pages(self, path: str, **params: object) -> Iterator[Json]:
        """Every item of a list, page by page."""
        cursor: object = None
        while True:
            page = self.get(path, cursor=cursor, **params)
            yield from page.get("items", [])
            cursor = page.get("next_cursor")
            if not cursor:
                return

    def _ask(self, method: str, path: str, **options: Any) -> Json:  # noqa: ANN401  passed on to httpx
        for attempt in range(ATTEMPTS):
            last, pause_s = attempt == ATTEMPTS - 1, FIRST_PAUSE_S * 2**attempt
            try:
                answer = self._http.request(method, path, **options)
            except httpx.HTTPError as exc:
                if last:
                    hint = "Is it running? `understudy dev` starts one here"
                    said = f"no API answers at {self.endpoint} ({type(exc).__name__})"
                    raise CliError(said, Exit.UNREACHABLE, hint=hint) from exc
            else:
                if attempt and method == "DELETE" and answer.status_code == httpx.codes.NOT_FOUND:
                    return {}  # an earlier try was done, only its answer was lost
                pause_s = max(pause_s, _told_to_wait_s(answer))
                if last or answer.status_code not in _BUSY or pause_s > LONGEST_PAUSE_S:
                    return _document(answer)
            self._sleep(pause_s)
        raise AssertionError  # pragma: no cover - the last attempt returns or raises


def _told_to_wait_s(answer: httpx.Response) -> float:
    told = answer.headers.get("Retry-After", "")
    return float(told) if told.isdecimal() else 0.0  # a proxy may send a date, which we do not read


def _document(answer: httpx.Response) -> Json:
    try:
        document = answer.json() if answer.content else {}
    except ValueError:
        document = {}
    if not isinstance(document, dict):
        document = {"items": document}
    if answer.is_error:
        raise ApiError(answer.status_code, document)
    if answer.content and not document:
        raise CliError(f"{answer.request.url.host} answers, but not as an Understudy API does", Exit.UNREACHABLE)
    return document
