"""How people ask: once, or until there is an answer; and how they send files."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from orchestrator.app.app import App
from orchestrator.app.uploads import Upload
from orchestrator.domain.errors import Unavailable, UnderstudyError
from tests.simulation.world import NoAnswer, World

T = TypeVar("T")

PATIENCE = 25  # how often people ask again before they have had enough


def attempt(world: World, work: Callable[[App], T]) -> T | None:
    with suppress(NoAnswer, UnderstudyError):
        return world.ask(work)
    return None


def insist(world: World, work: Callable[[App], T]) -> T | None:
    """Ask until there is an answer, less and less often; None: refused, or had enough."""
    for tried in range(1, PATIENCE):
        try:
            return world.ask(work)
        except (NoAnswer, Unavailable):
            world.scheduler.pause(world.chance.expovariate(1 / tried))
        except UnderstudyError:
            return None
    return None


def put(world: World, upload: Upload, data: bytes) -> None:
    """Send all parts of a file, in one request each."""
    half = len(data) // 2 if len(upload.urls) > 1 else len(data)
    for number, url in upload.urls.items():
        world.scheduler.pause(world.chance.expovariate(5))
        world.storage.bucket.put_url(url, data[:half] if number == 1 else data[half:])
