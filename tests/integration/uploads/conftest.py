"""The app on every real store that this machine can have."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from tests.fakes.app import Clock, a_world
from tests.integration.uploads.attacker import Target
from tests.servers import ServerMissing


@pytest.fixture(params=["rclone", "swift", "radosgw", "localstack"])
def target(request, stores, sqlite_url) -> Iterator[Target]:
    try:
        store = stores.get(request.param)
    except ServerMissing as exc:
        pytest.skip(str(exc))
    with a_world(sqlite_url, clock=Clock(datetime.now(UTC))) as world:
        world.storage = store.storage
        world.app = world.process()
        yield Target(world, store)
