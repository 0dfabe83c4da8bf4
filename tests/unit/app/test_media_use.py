"""Media as material of jobs: the same bytes, whatever becomes of the media."""

from __future__ import annotations

import pytest

from orchestrator.domain.errors import NotFound, StorageUnavailable
from orchestrator.domain.media_items import (
    MediaInUse,
    MediaNotFound,
    MediaNotReady,
    MediaNotUsable,
    MediaStatus,
    MediaType,
)
from orchestrator.domain.model import FileKind, FileState
from orchestrator.domain.states import JobState
from orchestrator.ports.storage import ObjectInfo
from tests.fakes.app import REFUSED, VIDEO, World
from tests.unit.app.media import INBOX, bound, prepared, put, registered, shown


def test_a_job_trains_the_very_bytes_and_keeps_them_when_the_media_are_deleted(world: World) -> None:
    item = prepared(world)
    world.storage.put(f"{INBOX}ada.mp4", b"swapped", "video/mp4")
    job = bound(world, item)
    _, file = shown(world, item)
    [own] = world.detail(job).files
    assert file is not None
    assert (own.final_key, own.etag, own.kind, own.state) == (
        file.final_key, file.etag, FileKind.TRAINING_VIDEO, FileState.SEALED
    )  # fmt: skip

    with pytest.raises(MediaInUse):
        world.app.media.delete(world.owner, item.id)
    with pytest.raises(MediaInUse):
        registered(world, overwrite=True)
    world.settle()
    assert world.state(job) is JobState.JOB_SUCCESS
    assert world.prober.judged[-1][0] == VIDEO

    world.app.media.delete(world.owner, item.id)
    world.sweep("delete_files", after=60)
    assert world.storage.read_range(str(own.final_key), 0, 100) == VIDEO
    world.app.jobs.delete(world.owner, job.id)
    world.sweep("delete_files", after=60)
    assert world.storage.head(str(own.final_key)) is None


def test_the_log_of_the_job_names_the_media(world: World) -> None:
    item = prepared(world)
    job = bound(world, item)
    told = [entry.details for entry in world.detail(job).log if entry.details and "media_id" in entry.details]
    assert [each["media_id"] for each in told] == [item.id]


def test_binding_again_changes_nothing_and_binding_another_replaces(world: World) -> None:
    first, second = prepared(world), prepared(world, "b.mp4", b"another film")
    job = world.draft()
    world.app.media.bind(world.owner, job.id, {FileKind.TRAINING_VIDEO: first.id})
    again = world.app.media.bind(world.owner, job.id, {FileKind.TRAINING_VIDEO: first.id})
    assert len(world.detail(job).files) == 1
    world.clock.advance(1)
    moved = world.app.media.bind(world.owner, job.id, {FileKind.TRAINING_VIDEO: second.id})
    assert moved.version == again.version + 1
    assert [file.state for file in world.detail(job).files] == [FileState.DELETING, FileState.SEALED]
    world.sweep("delete_files", after=60)
    _, file = shown(world, first)
    assert file is not None
    assert world.storage.head(str(file.final_key)) is not None  # still the media's


def test_media_can_be_bound_before_anybody_has_looked_at_them(world: World) -> None:
    item = registered(world)
    job = bound(world, item)
    assert shown(world, item).media.status is MediaStatus.PREPARING
    world.settle()
    assert world.state(job) is JobState.JOB_SUCCESS
    assert shown(world, item).media.status is MediaStatus.NORMAL


def test_who_binds_media_that_a_worker_has_just_copied_copies_nothing_again(world: World) -> None:
    item = registered(world)
    head = world.storage.head

    def copied_by_a_worker_that_dies(key: str) -> ObjectInfo | None:
        world.storage.head = head  # type: ignore[method-assign]  # once
        world.prober.trouble.append(StorageUnavailable("no answer"))
        world.process().preparation.drain()
        world.clock.advance(world.timing.step_retry)
        return head(key)

    world.storage.head = copied_by_a_worker_that_dies  # type: ignore[method-assign]  # between reading and claiming
    assert bound(world, item).state is not JobState.WAIT_FILE_UPLOAD
    assert len(list(world.storage.list("files/"))) == 1


def test_an_upload_that_is_there_is_sealed_by_the_submit(world: World) -> None:
    item, upload = world.app.media.upload(world.owner, "ada.mp4", MediaType.VIDEO)
    with pytest.raises(MediaNotReady, match="not uploaded"):
        bound(world, item)
    world.put(upload, VIDEO)
    job = bound(world, item)
    world.settle()
    assert world.state(job) is JobState.JOB_SUCCESS


def test_unknown_foreign_wrong_and_missing_media_are_refused_without_a_trace(world: World) -> None:
    job = world.draft()
    picture = prepared(world, "a.png", b"a picture")
    foreign = world.app.media.register(world.stranger, put(world, project="project-2"))
    missing = world.app.media.register(world.owner, world.storage.address_of(f"{INBOX}gone.mp4"))
    world.app.preparation.drain()
    before = world.snapshot()
    for media_id, error in (
        ("0" * 32, MediaNotFound), (foreign.id, MediaNotFound), (picture.id, MediaNotUsable),
        (missing.id, MediaNotUsable),
    ):  # fmt: skip
        with pytest.raises(error):
            world.app.media.bind(world.owner, job.id, {FileKind.TRAINING_VIDEO: media_id})
    with pytest.raises(NotFound):
        world.app.media.bind(world.stranger, job.id, {FileKind.TRAINING_VIDEO: foreign.id})
    assert world.snapshot() == before


def test_bytes_that_are_bad_make_the_job_fail_not_the_submit(world: World) -> None:
    world.prober.refuse[b"short"] = (REFUSED,)
    job = bound(world, prepared(world, data=b"short"), "mending")
    world.tick()
    detail = world.detail(job)
    assert detail.job.state is JobState.AUTO_VERIFY_FAILED
    assert "allowed 3:00 to 10:00" in detail.sheet.message


def test_the_sha256_of_a_shared_object_is_pinned_for_all_its_files(world: World) -> None:
    item = prepared(world)
    jobs = [bound(world, item), bound(world, item)]
    first, second = (world.detail(job).files[0] for job in jobs)
    with world.database.begin() as tx:
        assert tx.files.record_hash(first.id, "a" * 64)
        assert not tx.files.record_hash(second.id, "b" * 64)
    _, file = shown(world, item)
    assert file is not None
    assert file.sha256 == "a" * 64
