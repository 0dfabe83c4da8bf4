"""Media that lie in the store: what may be registered, under which name, and how often."""

from __future__ import annotations

import pytest

from orchestrator.domain.errors import Conflict, Invalid
from orchestrator.domain.media_items import (
    MediaExists,
    MediaNotFound,
    MediaStatus,
    MediaType,
    PlaceNotAllowed,
    ReferenceTaken,
)
from tests.fakes.app import REFUSED, VIDEO, World
from tests.unit.app.media import INBOX, prepared, put, registered, shown


def test_what_is_registered_is_copied_looked_at_and_never_read_again(world: World) -> None:
    item = registered(world)
    assert (item.status, item.type, item.title) == (MediaStatus.INIT, MediaType.VIDEO, "ada")
    assert "prepare_media" in world.waker.woken

    assert world.app.preparation.drain() == 1

    media, file = shown(world, item)
    assert (media.status, media.reason) == (MediaStatus.NORMAL, "")
    assert media.facts is not None
    assert media.facts["duration_s"] == 200.0
    assert file is not None
    world.storage.put(f"{INBOX}ada.mp4", b"other bytes", "video/mp4")
    assert world.storage.read_range(str(file.final_key), 0, 100) == VIDEO
    assert world.app.preparation.drain() == 0


@pytest.mark.parametrize(
    "key",
    [
        "files/1", "models/j/m.npz", "staging/x", "inbox/project-2/ada.mp4", "inbox/project-1/../project-2/ada.mp4",
        "inbox/project-1/./ada.mp4", "inbox/project-1//ada.mp4", "inbox/project-1/", "inbox/project-1",
        "inbox/project-10/ada.mp4", "inbox/project-1/a\\..\\b.mp4", "inbox/project-1/a\0.mp4", "/inbox/project-1/a.mp4",
        f"inbox/project-1/{'a' * 1024}.mp4",
    ],
)  # fmt: skip
def test_only_the_projects_own_inbox_can_be_registered(world: World, key: str) -> None:
    world.storage.put(key, VIDEO, "video/mp4")
    with pytest.raises(PlaceNotAllowed, match="below inbox/project-1/"):
        world.app.media.register(world.owner, world.storage.address_of(key))


def test_an_address_outside_the_store_is_refused_and_never_fetched(world: World) -> None:
    with pytest.raises(PlaceNotAllowed, match=r"not an object of this store.*inbox/project-1/"):
        world.app.media.register(world.owner, "http://169.254.169.254/latest/meta-data.mp4")


def test_what_is_not_there_or_cannot_be_read_says_why(world: World) -> None:
    world.prober.refuse[b"broken"] = (REFUSED,)
    broken = prepared(world, "broken.mp4", b"broken")
    missing = world.app.media.register(world.owner, world.storage.address_of(f"{INBOX}gone.mp4"))
    world.app.preparation.drain()

    assert (broken.status, broken.reason) == (MediaStatus.PREPARE_FAIL, REFUSED.message)
    media, file = shown(world, missing)
    assert media.status is MediaStatus.PREPARE_FAIL
    assert "there is no object at" in media.reason
    assert file is None


def test_the_ending_says_what_it_is_or_its_owner_does(world: World) -> None:
    assert registered(world, "a.PNG").type is MediaType.IMAGE
    with pytest.raises(Invalid, match="does not say what it is"):
        registered(world, "a.bin")
    assert registered(world, "a.bin", kind=MediaType.AUDIO).type is MediaType.AUDIO
    text = prepared(world, "a.srt")
    assert (text.status, text.facts) == (MediaStatus.NORMAL, None)


def test_one_place_is_one_item_unless_it_is_overwritten(world: World) -> None:
    first = prepared(world)
    with pytest.raises(MediaExists, match=first.id):
        registered(world)

    second = prepared(world, data=b"better", overwrite=True)

    assert second.id != first.id
    assert world.app.media.at(world.owner, world.storage.address_of(f"{INBOX}ada.mp4")).id == second.id
    with pytest.raises(MediaNotFound):
        shown(world, first)


def test_a_client_token_makes_one_item_of_one_request(world: World) -> None:
    first = registered(world, once="t1")
    assert registered(world, once="t1").id == first.id
    with pytest.raises(Conflict):
        registered(world, "other.mp4", once="t1")
    world.app.media.delete(world.owner, first.id)
    assert registered(world, once="t1").id != first.id


def test_a_reference_is_one_items_within_its_project(world: World) -> None:
    first = registered(world, reference_id="ref-1")
    with pytest.raises(ReferenceTaken):
        registered(world, "b.mp4", reference_id="ref-1")
    second = registered(world, "b.mp4")
    with pytest.raises(ReferenceTaken):
        world.app.media.update(world.owner, second.id, reference_id="ref-1")
    there = world.app.media.register(world.stranger, put(world, project="project-2"), reference_id="ref-1")
    world.app.media.delete(world.owner, first.id)
    assert world.app.media.update(world.owner, second.id, reference_id="ref-1").reference_id == "ref-1"
    assert there.reference_id == "ref-1"
