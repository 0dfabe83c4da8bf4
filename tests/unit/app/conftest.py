from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fakes.app import World, a_world


@pytest.fixture
def world(sqlite_url: str) -> Iterator[World]:
    with a_world(sqlite_url) as world:
        yield world
