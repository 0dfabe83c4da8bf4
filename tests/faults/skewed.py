"""Our programs with a clock that is put forward and back while they run, as NTP or a careless admin would.

celery -A tests.faults.skewed worker|beat        python -m tests.faults.skewed (the API)
UNDERSTUDY_TEST_CLOCK=file with the seconds by which the clock is wrong
"""

from __future__ import annotations

import dataclasses
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from orchestrator import bootstrap
from orchestrator.app.context import Context
from orchestrator.ports.waker import Waker
from orchestrator.settings import Settings

CLOCK = Path(os.environ["UNDERSTUDY_TEST_CLOCK"])
_build = bootstrap.build_context


def wrong_clock() -> datetime:
    return datetime.now(UTC) + timedelta(seconds=float(CLOCK.read_text(encoding="ascii") or 0))


def _build_skewed(settings: Settings, *, waker: Waker | None = None) -> Context:
    return dataclasses.replace(_build(settings, waker=waker), clock=wrong_clock)


bootstrap.build_context = _build_skewed

if __name__ == "__main__":
    from orchestrator.http.__main__ import main

    main()
else:
    from tasks.app import app

    __all__ = ["app"]
