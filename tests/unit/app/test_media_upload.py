"""Media that come by upload: sealed, looked at, begun anew."""

from __future__ import annotations

import pytest

from orchestrator.domain.errors import UploadNotOpen
from orchestrator.domain.media_items import MediaStatus, MediaType
from orchestrator.domain.model import FileState
from tests.fakes.app import REFUSED, VIDEO, World
from tests.unit.app.media import shown


def test_an_upload_is_sealed_by_the_sweep_and_then_looked_at(world: World) -> None:
    item, upload = world.app.media.upload(world.owner, "ada.mp4", MediaType.VIDEO, size_bytes=len(VIDEO))
    world.put(upload, VIDEO)
    assert shown(world, item).media.status is MediaStatus.INIT

    world.sweep("seal_uploads", after=11)
    assert shown(world, item).media.status is MediaStatus.PREPARING
    world.app.preparation.drain()

    assert shown(world, item).media.status is MediaStatus.NORMAL
    assert world.storage.put_url(upload.urls[1], VIDEO) != 200
    with pytest.raises(UploadNotOpen, match="stay as they are"):
        world.app.media.refresh(world.owner, item.id)


def test_an_upload_that_never_came_says_so_and_can_be_begun_anew(world: World) -> None:
    item, former = world.app.media.upload(world.owner, "ada.mp4", MediaType.VIDEO)
    again, same = world.app.media.refresh(world.owner, item.id)
    assert (again.id, same.file.id) == (item.id, former.file.id)

    world.clock.advance(world.timing.upload_url_lifetime)
    world.tick()
    media = shown(world, item).media
    assert media.status is MediaStatus.PREPARE_FAIL
    assert "nothing was uploaded" in media.reason

    fresh, upload = world.app.media.refresh(world.owner, item.id)
    assert (fresh.status, upload.file.id == former.file.id) == (MediaStatus.INIT, False)
    world.put(upload, VIDEO)
    world.sweep("seal_uploads", after=11)
    world.app.preparation.drain()
    assert shown(world, item).media.status is MediaStatus.NORMAL


def test_what_cannot_be_read_can_be_uploaded_anew(world: World) -> None:
    world.prober.refuse[b"broken"] = (REFUSED,)
    item, upload = world.app.media.upload(world.owner, "ada.mp4", MediaType.VIDEO)
    world.put(upload, b"broken")
    world.sweep("seal_uploads", after=11)
    world.app.preparation.drain()
    assert shown(world, item).media.status is MediaStatus.PREPARE_FAIL

    _, fresh = world.app.media.refresh(world.owner, item.id)
    world.put(fresh, VIDEO)
    world.sweep("seal_uploads", after=11)
    world.app.preparation.drain()

    assert shown(world, item).media.status is MediaStatus.NORMAL
    assert world.file(upload.file).state is FileState.DELETING
