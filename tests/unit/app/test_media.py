"""The media library: what may be registered, how it is prepared, how jobs use it, and who may see it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest

from orchestrator.app.media import Shown
from orchestrator.app.media_prepare import ADOPTED_WITHIN
from orchestrator.domain.actors import Role
from orchestrator.domain.errors import Conflict, Forbidden, Invalid, NotFound, StorageUnavailable, UploadNotOpen
from orchestrator.domain.media_items import (
    Media,
    MediaExists,
    MediaInUse,
    MediaNotFound,
    MediaNotReady,
    MediaNotUsable,
    MediaQuery,
    MediaStatus,
    MediaType,
    PlaceNotAllowed,
    ReferenceTaken,
)
from orchestrator.domain.model import FileKind, FileState, Job
from orchestrator.domain.states import JobState
from tests.fakes.app import REFUSED, VIDEO, Died, World

INBOX = "inbox/project-1/"


def put(world: World, name: str = "ada.mp4", data: bytes = VIDEO, project: str = "project-1") -> str:
    """An object in a project's inbox; gives its address."""
    key = f"inbox/{project}/{name}"
    world.storage.put(key, data, "video/mp4")
    return world.storage.address_of(key)


def registered(world: World, name: str = "ada.mp4", data: bytes = VIDEO, **more: object) -> Media:
    return world.app.media.register(world.owner, put(world, name, data), **more)  # type: ignore[arg-type]  # by name


def prepared(world: World, name: str = "ada.mp4", data: bytes = VIDEO, **more: object) -> Media:
    item = registered(world, name, data, **more)
    world.app.preparation.drain()
    return shown(world, item).media


def shown(world: World, item: Media) -> Shown:
    return world.app.media.show(world.owner, item.id)


def bound(world: World, item: Media, profile: str = "plain") -> Job:
    """A submitted job with the item as its video."""
    job = world.draft(profile)
    world.app.media.bind(world.owner, job.id, {FileKind.TRAINING_VIDEO: item.id})
    return world.app.uploads.submit(world.owner, job.id)


# registering and preparing


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


# uploading


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


# the machine


def test_a_worker_that_dies_leaves_the_item_to_another_one(world: World) -> None:
    item = registered(world)
    world.prober.trouble.append(Died())  # type: ignore[arg-type]  # no Exception: a process that was killed
    with suppress(Died):
        world.app.preparation.drain()
    other = world.process()
    assert other.preparation.drain() == 0
    world.clock.advance(world.timing.lease)
    assert other.preparation.drain() == 1
    assert shown(world, item).media.status is MediaStatus.NORMAL


def test_a_copy_whose_process_died_is_deleted_and_made_again(world: World) -> None:
    item = registered(world)
    copy = world.storage.copy

    def copied_then_killed(*told: object) -> None:
        copy(*told)  # type: ignore[arg-type]  # what the use case told
        raise Died

    world.storage.copy = copied_then_killed  # type: ignore[method-assign,assignment]  # the process dies in it
    with suppress(Died):
        world.app.preparation.drain()
    world.storage.copy = copy  # type: ignore[method-assign]  # another process
    world.clock.advance(world.timing.lease)
    world.app.preparation.drain()
    _, file = shown(world, item)
    assert file is not None
    assert len(list(world.storage.list("files/"))) == 2

    world.sweep("delete_files", after=ADOPTED_WITHIN.total_seconds())

    assert [each.key for each in world.storage.list("files/")] == [file.final_key]


def test_a_worker_whose_lease_ran_out_writes_nothing(world: World) -> None:
    item = registered(world)
    other = world.process()

    def taken_over() -> None:
        world.prober.before = lambda: None
        world.clock.advance(world.timing.lease)
        assert other.preparation.drain() == 1

    world.prober.before = taken_over
    world.prober.refuse[VIDEO] = ()
    assert world.app.preparation.drain() == 0
    assert shown(world, item).media.status is MediaStatus.NORMAL
    assert len(world.prober.judged) == 2


def test_a_store_that_does_not_answer_costs_time_and_never_a_verdict(world: World) -> None:
    item = registered(world)
    for _ in range(2 * world.timing.max_takeovers):
        world.prober.trouble.append(StorageUnavailable("no answer"))
        assert world.app.preparation.drain() == 0
        assert shown(world, item).media.status is MediaStatus.PREPARING
        world.clock.advance(world.timing.step_retry)
    assert world.app.preparation.drain() == 1
    assert shown(world, item).media.status is MediaStatus.NORMAL


def test_media_that_break_the_step_again_and_again_are_given_up(world: World) -> None:
    item = registered(world)
    for _ in range(world.timing.max_takeovers + 1):
        world.prober.trouble.append(RuntimeError("a bug"))
        world.app.preparation.drain()
        world.clock.advance(world.timing.step_retry)
    media = shown(world, item).media
    assert media.status is MediaStatus.PREPARE_FAIL
    assert "broke off 5 times" in media.reason
    assert world.reports[0][0] == "media_crashed"


def test_media_deleted_while_they_are_prepared_leave_nothing(world: World) -> None:
    item = registered(world)
    world.prober.before = lambda: world.app.media.delete(world.owner, item.id)
    assert world.app.preparation.drain() == 0
    world.sweep("delete_files", after=60)
    assert list(world.storage.list("files/")) == []


# use by jobs


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


# who sees what, and what is left


def test_projects_never_see_each_others_media(world: World) -> None:
    item = prepared(world, reference_id="mine")
    with pytest.raises(MediaNotFound):
        world.app.media.show(world.stranger, item.id)
    with pytest.raises(MediaNotFound):
        world.app.media.at(world.stranger, item.input_url)
    with pytest.raises(MediaNotFound):
        world.app.media.update(world.stranger, item.id, title="taken")
    with pytest.raises(MediaNotFound):
        world.app.media.delete(world.stranger, item.id)
    assert world.app.media.show_many(world.stranger, [item.id]) == []
    assert world.app.media.page(world.stranger, MediaQuery("project-2")) == ([], 0, False)
    with pytest.raises(Forbidden):
        world.app.media.page(world.stranger, MediaQuery("project-1"))
    assert world.app.media.show(world.reviewer, item.id).media.id == item.id
    with pytest.raises(Forbidden):
        world.app.media.delete(world.reviewer, item.id)
    world.app.media.delete(world.caller("people", Role.ADMIN), item.id)


def test_lists_are_paged_by_key_and_filtered(world: World) -> None:
    made = []
    for number in range(5):
        made.append(registered(world, f"{number}.mp4", business_type="general" if number else "opening").id)
        world.clock.advance(1)
    picture = prepared(world, "p.png")
    query = MediaQuery("project-1", types=[MediaType.VIDEO], limit=2)
    page, total, has_more = world.app.media.page(world.owner, query)
    assert ([each.media.id for each in page], total, has_more) == ([made[4], made[3]], 5, True)
    page, *_ = world.app.media.page(world.owner, replace(query, after=made[3]))
    assert [each.media.id for each in page] == [made[2], made[1]]
    page, _, has_more = world.app.media.page(world.owner, replace(query, oldest_first=True, after=made[3]))
    assert ([each.media.id for each in page], has_more) == ([made[4]], False)
    page, total, _ = world.app.media.page(world.owner, MediaQuery("project-1", business_type="opening"))
    assert ([each.media.id for each in page], total) == ([made[0]], 1)
    page, *_ = world.app.media.page(world.owner, MediaQuery("project-1", types=[MediaType.IMAGE]))
    assert [each.media.id for each in page] == [picture.id]


def test_deleted_media_are_erased_with_their_rows_at_last(world: World) -> None:
    item = prepared(world)
    world.app.media.delete(world.owner, item.id, with_source=True)
    assert world.storage.head(f"{INBOX}ada.mp4") is None
    world.sweep("delete_files", after=60)
    world.sweep("retention", after=timedelta(days=8).total_seconds())
    rows = world.snapshot()
    assert (rows["media"], rows["files"]) == ([], [])
