"""Uploads: one finished file per set of URLs, whatever is interrupted."""

from __future__ import annotations

import threading
from contextlib import suppress
from datetime import timedelta

import pytest

from orchestrator.domain.actors import Actor
from orchestrator.domain.commands import Command
from orchestrator.domain.errors import (
    CommandNotAllowed,
    GuardRefused,
    Invalid,
    NotFound,
    StorageUnavailable,
    UploadIncomplete,
    UploadNotOpen,
)
from orchestrator.domain.model import Change, FileKind, FileState, Job, Move
from orchestrator.domain.states import JobState
from orchestrator.domain.uploads import MIN_PART_BYTES
from tests.builders import NOW
from tests.fakes.app import VIDEO, World
from tests.fakes.storage import NO_SUCH_UPLOAD, OK

KIND = FileKind.TRAINING_VIDEO


def test_a_confirmed_upload_is_sealed_where_no_url_reaches(world: World) -> None:
    job = world.draft()
    upload = world.app.uploads.open(world.owner, job.id, KIND, "video.mp4", size_bytes=len(VIDEO))
    world.put(upload, VIDEO)
    sealed = world.app.uploads.confirm(world.owner, upload.file.id)
    assert (sealed.state, sealed.final_key, sealed.size_bytes) == (FileState.SEALED, f"files/{sealed.id}", len(VIDEO))
    assert world.storage.put_url(upload.urls[1], VIDEO) == NO_SUCH_UPLOAD
    assert world.storage.head(upload.file.staging_key) is None
    assert world.storage.read_range(str(sealed.final_key), 0, 99) == VIDEO
    assert world.app.uploads.confirm(world.owner, sealed.id) == sealed, "asked again it answers the same"
    assert [entry.command for entry in world.detail(job).log] == [
        Command.CREATE,
        Command.OPEN_UPLOAD,
        Command.CONFIRM_VIDEO,
    ]


def test_progress_and_fresh_urls_are_of_the_parts_that_are_missing(world: World) -> None:
    upload = world.app.uploads.open(
        world.owner, world.draft().id, KIND, "video.mp4", size_bytes=2 * MIN_PART_BYTES + 1, part_count=2
    )
    first = b"x" * (MIN_PART_BYTES + 1)
    assert world.storage.put_url(upload.urls[1], first) == OK
    progress = world.app.uploads.progress(world.owner, upload.file.id)
    assert ([*progress.arrived], progress.missing) == ([1], [2])
    assert [*world.app.uploads.sign_again(world.owner, upload.file.id).urls] == [2]
    assert [*world.app.uploads.sign_again(world.owner, upload.file.id, [1, 1]).urls] == [1]
    with pytest.raises(Invalid):
        world.app.uploads.sign_again(world.owner, upload.file.id, [3])
    with pytest.raises(UploadIncomplete, match="part 2 is missing"):
        world.app.uploads.confirm(world.owner, upload.file.id)
    assert world.file(upload.file).state is FileState.OPEN


def test_a_replaced_upload_is_dead_at_once(world: World) -> None:
    job = world.draft()
    old = world.app.uploads.open(world.owner, job.id, KIND, "old.mp4")
    new = world.app.uploads.open(world.owner, job.id, KIND, "new.mp4")
    assert world.file(old.file).state is FileState.ABORTED
    assert world.storage.put_url(old.urls[1], VIDEO) == NO_SUCH_UPLOAD
    assert world.storage.put_url(new.urls[1], VIDEO) == OK
    assert world.detail(job).log[-1].command is Command.REPLACE_VIDEO


def test_a_sealed_file_is_replaced_when_the_new_one_is_sealed(world: World) -> None:
    job = world.draft()
    old = world.app.uploads.confirm(world.owner, world.uploaded(job).id)
    new = world.app.uploads.confirm(world.owner, world.uploaded(job, b"better").id)
    assert (world.file(old).state, world.file(new).state) == (FileState.DELETING, FileState.SEALED)
    world.sweep("delete_files")
    assert world.file(old).state is FileState.DELETED
    assert world.storage.head(str(old.final_key)) is None


def test_an_upload_that_was_given_up_takes_nothing(world: World) -> None:
    upload = world.app.uploads.open(world.owner, world.draft().id, KIND, "video.mp4")
    world.app.uploads.give_up(world.owner, upload.file.id)
    assert world.storage.put_url(upload.urls[1], VIDEO) == NO_SUCH_UPLOAD
    for ask in (world.app.uploads.give_up, world.app.uploads.sign_again, world.app.uploads.confirm):
        with pytest.raises(UploadNotOpen):
            ask(world.owner, upload.file.id)


def test_an_expired_upload_is_aborted_until_the_store_has_forgotten_it(world: World) -> None:
    upload = world.app.uploads.open(world.owner, world.draft().id, KIND, "video.mp4", part_count=2)
    world.clock.advance(timedelta(days=8))
    with pytest.raises(UploadNotOpen, match="expired"):
        world.app.uploads.sign_again(world.owner, upload.file.id)
    world.storage.breaks["abort_upload"].append("before")
    world.sweep("expire_uploads")
    assert world.file(upload.file).state is FileState.ABORTING
    world.sweep("abort_uploads")
    assert world.file(upload.file).state is FileState.ABORTING, "not looked at before its time"
    world.sweep("abort_uploads", after=61)
    assert world.file(upload.file).state is FileState.ABORTED
    assert list(world.storage.list_uploads("")) == []


def test_an_upload_of_one_part_is_sealed_without_anybody_asking(world: World) -> None:
    job = world.draft()
    upload = world.app.uploads.open(world.owner, job.id, KIND, "video.mp4")
    world.sweep("seal_uploads", after=11)
    assert world.file(upload.file).state is FileState.OPEN
    world.put(upload, VIDEO)
    world.sweep("seal_uploads", after=11)
    assert world.file(upload.file).state is FileState.SEALED


def test_submit_seals_what_is_there_and_names_what_is_not(world: World) -> None:
    job = world.draft()
    with pytest.raises(GuardRefused, match="training video is missing"):
        world.app.uploads.submit(world.owner, job.id)
    world.uploaded(job)
    world.app.uploads.open(world.owner, job.id, FileKind.COVER, "cover.png")
    with pytest.raises(GuardRefused, match="cover is not all there: part 1 is missing"):
        world.app.uploads.submit(world.owner, job.id)
    world.uploaded(job, b"cover", FileKind.COVER)
    assert world.app.uploads.submit(world.owner, job.id).state is JobState.AUTO_VERIFYING
    assert {f.kind for f in world.detail(job).files if f.state is FileState.SEALED} == {KIND, FileKind.COVER}


def test_an_upload_left_open_is_not_sealed_into_a_submitted_job(world: World) -> None:
    job = world.draft()
    upload = world.app.uploads.open(world.owner, job.id, FileKind.COVER, "cover.png")
    with world.database.begin() as tx:  # as if it had been opened in the very moment of the submit
        tx.jobs.move(_moved_to(tx.jobs.get(job.id), JobState.TRAINING))
    world.put(upload, b"cover")
    with pytest.raises(CommandNotAllowed):
        world.app.uploads.confirm(world.owner, upload.file.id)
    world.sweep("seal_uploads", after=11)
    assert world.file(upload.file).state is FileState.OPEN


def test_a_file_whose_job_was_submitted_while_it_was_copied_is_given_up(world: World) -> None:
    job = world.draft()
    file = world.uploaded(job)
    world.storage.breaks["copy"].append("after")
    with pytest.raises(StorageUnavailable):
        world.app.uploads.confirm(world.owner, file.id)
    with world.database.begin() as tx:
        tx.jobs.move(_moved_to(tx.jobs.get(job.id), JobState.TRAINING))
    world.sweep("seal_uploads", after=61)
    assert world.file(file).state is FileState.ABORTING
    world.sweep("abort_uploads")
    assert world.file(file).state is FileState.ABORTED
    assert list(world.storage.list("")) == []


@pytest.mark.parametrize("how", ["before", "after"])
@pytest.mark.parametrize("call", ["list_parts", "head", "complete_upload", "copy", "delete"])
@pytest.mark.parametrize("nth", [0, 1])
def test_sealing_that_broke_off_anywhere_is_finished_by_the_sweep(world: World, call: str, how: str, nth: int) -> None:
    job = world.draft()
    file = world.uploaded(job)
    world.storage.breaks[call] = [""] * nth + [how]
    with suppress(StorageUnavailable):
        world.app.uploads.confirm(world.owner, file.id)
    for _ in range(3):
        world.sweep("seal_uploads", after=61)
    sealed = world.file(file)
    assert sealed.state is FileState.SEALED
    assert world.storage.read_range(str(sealed.final_key), 0, 99, etag=sealed.etag) == VIDEO
    assert [entry.command for entry in world.detail(job).log].count(Command.CONFIRM_VIDEO) == 1
    world.sweep("orphans", after=3 * 86400)
    assert list(world.storage.list("staging/")) == []


def test_a_completer_that_died_is_replaced_after_its_lease(world: World) -> None:
    file = world.uploaded(world.draft())
    with world.database.begin() as tx:
        tx.files.move(tx.files.get(file.id), FileState.SEALING, due_at=world.clock() + world.timing.lease)
    with pytest.raises(UploadNotOpen, match="sealing"):
        world.app.uploads.confirm(world.owner, file.id)
    world.sweep("seal_uploads", after=world.timing.lease.total_seconds() - 1)
    assert world.file(file).state is FileState.SEALING
    world.sweep("seal_uploads", after=1)
    assert world.file(file).state is FileState.SEALED


def test_a_completer_that_was_paused_does_not_complete_once_another_has_taken_over(world: World) -> None:
    file = world.uploaded(world.draft())
    list_parts, listed = world.storage.list_parts, list[int]()

    def paused(*of: str) -> object:
        found = list_parts(*of)
        listed.append(1)
        if len(listed) == 2:  # the completer has the file, has listed its parts, and sleeps longer than its lease
            world.sweep("seal_uploads", after=world.timing.lease.total_seconds() + 1)
        return found

    world.storage.list_parts = paused  # type: ignore[method-assign]  # of this one store
    completed = world.storage.complete_upload
    world.storage.complete_upload = lambda *of: (listed.append(9), completed(*of))[1]  # type: ignore[method-assign]
    with pytest.raises(UploadNotOpen, match="somebody else"):
        world.app.uploads.confirm(world.owner, file.id)
    assert listed.count(9) == 1
    assert world.file(file).state is FileState.SEALED


def test_of_two_completers_one_seals_and_the_other_is_told(world: World) -> None:
    file = world.uploaded(world.draft())
    barrier, told = threading.Barrier(2), list[str]()

    def complete() -> None:
        barrier.wait()
        try:
            told.append(world.app.uploads.confirm(world.owner, file.id).state)
        except UploadNotOpen as exc:
            told.append(exc.code)

    threads = [threading.Thread(target=complete) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(told) <= {"sealed", "upload_not_open"}
    assert "sealed" in told
    assert world.file(file).state is FileState.SEALED


def test_a_file_whose_job_was_deleted_while_the_store_failed_is_not_the_stores_fault(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = world.draft()
    file = world.uploaded(job)

    def deleted_and_gone(*_: object) -> None:
        world.app.jobs.delete(world.owner, job.id)
        raise StorageUnavailable("what was copied is not there")

    monkeypatch.setattr(world.storage, "copy", deleted_and_gone)
    with pytest.raises(UploadNotOpen, match="aborting"):
        world.app.uploads.confirm(world.owner, file.id)


def test_an_object_that_was_written_over_before_the_copy_is_given_up(world: World) -> None:
    world.storage.careless = True
    upload = world.app.uploads.open(world.owner, world.draft().id, KIND, "video.mp4", size_bytes=len(VIDEO))
    world.put(upload, VIDEO)
    world.storage.breaks["copy"].append("before")
    with pytest.raises(StorageUnavailable):
        world.app.uploads.confirm(world.owner, upload.file.id)
    assert world.storage.put_part(upload.file.staging_key, upload.file.upload_id, 1, b"other") == OK
    world.sweep("seal_uploads", after=61)
    assert world.file(upload.file).state is FileState.ABORTING


def test_another_project_sees_no_upload(world: World) -> None:
    job = world.draft()
    file = world.uploaded(job)
    uploads = world.app.uploads
    for ask in (uploads.confirm, uploads.progress, uploads.sign_again, uploads.give_up):
        with pytest.raises(NotFound):
            ask(world.stranger, file.id)
    for kind in FileKind:
        if kind not in {FileKind.ASSET, FileKind.MEDIA}:
            with pytest.raises(NotFound):
                uploads.open(world.stranger, job.id, kind, "x.mp4")


def test_a_refused_upload_leaves_nothing_at_the_store(world: World) -> None:
    job = world.submitted()
    with pytest.raises(CommandNotAllowed):
        world.app.uploads.open(world.owner, job.id, KIND, "video.mp4")
    with pytest.raises(Invalid, match="takes no portrait"):
        world.app.uploads.open(world.owner, world.draft().id, FileKind.PORTRAIT, "me.png")
    assert list(world.storage.list_uploads("")) == []


def test_uploads_begun_by_a_process_that_died_are_aborted_when_old(world: World) -> None:
    world.storage.create_upload("staging/lost", "video/mp4")
    world.storage.put("staging/left", b"x", "video/mp4")
    file = world.uploaded(world.draft())
    world.sweep("orphans", after=86400)
    assert len(list(world.storage.list_uploads(""))) == 2
    before = world.snapshot()
    assert len(world.sweep("orphans", after=2 * 86400, dry_run=True).done) == 2
    assert (len(list(world.storage.list_uploads(""))), world.snapshot()) == (2, before)
    world.sweep("orphans")
    assert [upload.upload_id for upload in world.storage.list_uploads("")] == [file.upload_id]
    assert list(world.storage.list("staging/")) == []
    assert world.sweep("orphans").done == []


def _moved_to(job: Job, state: JobState) -> Move:

    change = Change(Command.SUBMIT, Actor.USER, "x", job.state, state, (None,), job.version + 1, NOW)
    return Move(job, job._replace(state=state, version=job.version + 1), (change,))
