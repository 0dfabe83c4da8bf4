"""Two people, one asset, on both databases: what was decided on rows that somebody changes is decided anew."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial

import pytest

from orchestrator.app.library import Share
from orchestrator.domain.assets import AssetMainExists, AssetNameTaken, AssetNotFound
from orchestrator.domain.errors import UnderstudyError
from orchestrator.domain.model import FileState
from tests.fakes.app import World, a_world

AT_ONCE = 4


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    with a_world(database_url) as world:
        yield world


def at_once(*acts: Callable[[], object]) -> list[object]:
    """What each gives, or how it was refused, when all begin at the same moment."""
    barrier = threading.Barrier(len(acts))

    def begin(act: Callable[[], object]) -> object:
        barrier.wait(30)
        try:
            return act()
        except UnderstudyError as refusal:
            return type(refusal)

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(begin, acts))


def test_of_many_who_send_the_main_file_at_once_one_may(world: World) -> None:
    asset = world.app.library.create(world.owner, "VIDEO", "Ada", attributes={})

    def send() -> object:
        return world.app.asset_files.open(world.owner, asset.id, "MAIN", "a.mp4", size_bytes=9).file.id

    answers = at_once(*[send] * AT_ONCE)
    assert answers.count(AssetMainExists) == AT_ONCE - 1
    assert len(world.app.library.show(world.owner, asset.id)[1]) == 1


def test_of_many_who_take_a_name_at_once_one_gets_it(world: World) -> None:
    answers = at_once(*[lambda: world.app.library.create(world.owner, "VIDEO", "Ada", attributes={})] * AT_ONCE)
    assert answers.count(AssetNameTaken) == AT_ONCE - 1


def test_of_many_who_share_an_asset_at_once_the_last_one_decides_with_whom(world: World) -> None:
    asset = world.app.library.create(world.owner, "VIDEO", "Ada", attributes={})
    upload = world.app.asset_files.open(world.owner, asset.id, "MAIN", "a.mp4", size_bytes=9)
    world.put(upload, b"123456789")
    world.app.asset_files.confirm(world.owner, upload.file.id)
    others = [f"other-{number}" for number in range(AT_ONCE)]

    def share(other: str) -> object:
        return world.app.library.share(world.owner, asset.id, Share(["project-2", other]), {})

    assert not [a for a in at_once(*[partial(share, other) for other in others]) if isinstance(a, type)]
    assert _sharers(world, asset.id, ["project-2"])
    assert len(_sharers(world, asset.id, others)) == 1


def _sharers(world: World, asset_id: str, project_ids: list[str]) -> list[str]:
    """Who of them may see the asset."""
    found = []
    with world.database.read() as tx:
        for project_id in project_ids:
            with suppress(AssetNotFound):
                tx.library.get(asset_id, project_id, shared_at=world.clock())
                found.append(project_id)
    return found


def test_a_file_that_comes_while_its_asset_is_erased_is_given_up_or_refused(world: World) -> None:
    job = world.published()

    def send() -> object:
        return world.app.asset_files.open(world.owner, str(job.asset_id), "PACKAGE", "a.zip", size_bytes=9).file.id

    *_, answer = at_once(lambda: world.app.jobs.delete(world.owner, job.id), send)
    if isinstance(answer, str):
        with world.database.read() as tx:
            assert tx.files.get(answer).state is FileState.ABORTING
    else:
        assert answer is AssetNotFound


def test_what_people_added_to_a_model_goes_with_its_job(world: World) -> None:
    job = world.published()
    upload = world.app.asset_files.open(world.owner, str(job.asset_id), "PACKAGE", "a.zip", size_bytes=9)
    world.put(upload, b"123456789")
    world.app.asset_files.confirm(world.owner, upload.file.id)
    with world.database.read() as tx:
        key = str(tx.files.get(upload.file.id).final_key)
    world.app.jobs.delete(world.owner, job.id)
    world.sweep("delete_files")
    with world.database.read() as tx:
        assert tx.files.get(upload.file.id).state is FileState.DELETED
    assert world.storage.head(key) is None
