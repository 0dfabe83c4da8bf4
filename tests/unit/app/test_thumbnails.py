"""Thumbnails that owners want at an address of theirs."""

from __future__ import annotations

from datetime import timedelta

import pytest

from orchestrator.app.thumbnails import REFUSED, TRIES, WRITTEN_AT
from orchestrator.domain.assets import Asset
from orchestrator.domain.errors import Unavailable
from orchestrator.domain.model import Job
from orchestrator.ports.courier import NotDelivered
from tests.fakes.app import World, a_profile, a_world

URL = "https://store.example/t.png?signature=secret"


class ScriptedCourier:
    """Takes what comes, after the troubles that the test wants."""

    def __init__(self) -> None:
        self.trouble: list[Exception] = []
        self.taken: list[tuple[str, bytes, str]] = []

    def put(self, url: str, content: bytes, content_type: str) -> None:
        if self.trouble:
            raise self.trouble.pop(0)
        self.taken.append((url, content, content_type))


@pytest.fixture
def courier() -> ScriptedCourier:
    return ScriptedCourier()


@pytest.fixture
def world(sqlite_url: str, courier: ScriptedCourier):
    profile = a_profile("plain", thumbnail_file="training.npz")  # the fake trainer makes one file of that name
    with a_world(sqlite_url, profiles={"plain": profile}, courier=courier) as world:
        yield world


def trained(world: World, **attributes: object) -> Job:
    return world.published(sheet={"attributes": attributes})


def model_of(world: World, job: Job) -> Asset:
    return world.app.library.show(world.owner, str(job.asset_id))[0]


def test_it_is_written_once_where_its_owner_wants_it(world: World, courier: ScriptedCourier) -> None:
    job = trained(world, thumbnail=URL)
    world.sweep("thumbnails")
    [(url, content, content_type)] = courier.taken
    assert (url, content_type) == (URL, "application/octet-stream")
    assert content == world.run_of(job).id.encode()
    assert WRITTEN_AT in model_of(world, job).attributes
    world.sweep("thumbnails", after=3600)
    assert len(courier.taken) == 1


def test_in_our_own_store_it_is_written_below_the_inbox_of_the_project(world: World, courier: ScriptedCourier) -> None:
    place = "inbox/project-1/thumbnails/ada.png"
    job = trained(world, thumbnail=world.storage.address_of(place))
    world.sweep("thumbnails")
    assert world.storage.read_range(place, 0, 100) == world.run_of(job).id.encode()
    assert WRITTEN_AT in model_of(world, job).attributes
    assert courier.taken == []


@pytest.mark.parametrize("place", ["inbox/project-2/a.png", "models/a.png", "inbox/project-1/../project-2/a.png"])
def test_nothing_else_of_our_own_store_is_written_to(world: World, courier: ScriptedCourier, place: str) -> None:
    job = trained(world, thumbnail=world.storage.address_of(place))
    world.sweep("thumbnails")
    assert world.storage.head(place) is None
    assert "inbox/project-1/" in str(model_of(world, job).attributes[REFUSED])
    assert courier.taken == []


@pytest.mark.parametrize("attributes", [{}, {"thumbnail": ""}, {"thumbnail": None}, {"thumbnail": 1}])
def test_nobody_wants_one(world: World, courier: ScriptedCourier, attributes: dict[str, object]) -> None:
    trained(world, **attributes)
    world.sweep("thumbnails")
    assert courier.taken == []


def test_a_store_that_does_not_answer_is_asked_again_for_hours_and_not_for_ever(
    world: World, courier: ScriptedCourier
) -> None:
    courier.trouble = [Unavailable("the store is away")] * 2
    job = trained(world, thumbnail=URL)
    while courier.trouble:
        world.sweep("thumbnails", after=15)
    assert courier.taken == []
    world.sweep("thumbnails", after=60)
    assert len(courier.taken) == 1
    assert WRITTEN_AT in model_of(world, job).attributes

    courier.trouble = [Unavailable("the store is away")] * TRIES
    job = trained(world, thumbnail=URL)
    began = world.clock()
    for _ in range(TRIES + 3):
        world.sweep("thumbnails", after=1800)
    assert world.clock() - began >= timedelta(hours=2)
    assert courier.trouble == []
    assert len(courier.taken) == 1
    assert model_of(world, job).attributes[REFUSED] == "the store is away"


def test_what_is_refused_is_said_and_not_tried_again(world: World, courier: ScriptedCourier) -> None:
    courier.trouble = [NotDelivered("store.example is no store in which the operator allows thumbnails")]
    job = trained(world, thumbnail=URL)
    world.sweep("thumbnails")
    world.sweep("thumbnails", after=3600)
    assert courier.taken == []
    assert "operator" in str(model_of(world, job).attributes[REFUSED])


def test_without_a_courier_nothing_leaves(sqlite_url: str) -> None:
    profile = a_profile("plain", thumbnail_file="training.npz")
    with a_world(sqlite_url, profiles={"plain": profile}) as world:
        job = trained(world, thumbnail=URL)
        world.sweep("thumbnails")
        assert "no store is allowed" in str(model_of(world, job).attributes[REFUSED])


def test_a_dry_run_only_tells(world: World, courier: ScriptedCourier) -> None:
    job = trained(world, thumbnail=URL)
    assert world.sweep("thumbnails", dry_run=True).done == [f"write the thumbnail of {job.asset_id}"]
    assert courier.taken == []


def test_a_deleted_model_is_not_written(world: World, courier: ScriptedCourier) -> None:
    job = trained(world, thumbnail=URL)
    world.app.jobs.delete(world.owner, job.id)
    world.sweep("delete_files", after=60)
    for each in list(world.storage.list(f"models/{job.id}/")):
        world.storage.delete(each.key)
    world.sweep("thumbnails")
    assert courier.taken == []
