"""Is the process up, and does what it needs answer?"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

import structlog

TIMEOUT_S: Final = 3.0
KEPT_S: Final = 2.0  # many probes ask at once; what they ask about must not suffer from it

Check = Callable[[], None]

log = structlog.get_logger()


class Readiness:
    """Runs named checks side by side; remembers the answer for a moment.

    Args:
        checks: each raises when its part does not answer.
        necessary: names without which nothing can be served; the others only make things worse.
        clock: seconds that never go back.
    """

    def __init__(
        self, checks: Mapping[str, Check], necessary: frozenset[str], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._checks = dict(checks)
        self._necessary = necessary
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: tuple[float, dict[str, str]] | None = None
        self._busy: dict[str, Future[None]] = {}
        self._threads: ThreadPoolExecutor | None = None

    def look(self) -> tuple[bool, dict[str, str]]:
        """Whether requests can be served, and "ok" or what is wrong of every part."""
        with self._lock:
            if self._kept is None or self._clock() - self._kept[0] > KEPT_S:
                found = self._run()
                self._kept = self._clock(), found  # its age counts from the end: whoever waited meanwhile gets it too
            found = self._kept[1]
        return all(found[name] == "ok" for name in self._necessary), found

    def _run(self) -> dict[str, str]:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(max_workers=len(self._checks), thread_name_prefix="ready")
        for name, check in self._checks.items():
            if name not in self._busy or self._busy[name].done():  # a hung one is not asked again on top
                self._busy[name] = self._threads.submit(check)
        deadline = time.monotonic() + TIMEOUT_S
        return {name: _outcome(name, future, deadline - time.monotonic()) for name, future in self._busy.items()}

    def close(self) -> None:
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)


def _outcome(name: str, future: Future[None], timeout_s: float) -> str:
    try:
        future.result(max(0.0, timeout_s))
    except TimeoutError:
        return f"no answer within {TIMEOUT_S:g} s"
    except Exception as exc:  # noqa: BLE001  whatever is wrong with it, it is not ready
        log.warning("not ready", part=name, error=type(exc).__name__)
        return getattr(exc, "message", "") or type(exc).__name__
    return "ok"
