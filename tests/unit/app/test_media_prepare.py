"""The machine prepares media: it dies, loses its lease, meets a store that is away; no item is lost."""

from __future__ import annotations

from contextlib import suppress

import pytest

from orchestrator.app.media_prepare import ADOPTED_WITHIN
from orchestrator.domain.errors import StorageUnavailable, UploadNotOpen
from orchestrator.domain.media_items import MediaStatus
from orchestrator.domain.model import FileState
from orchestrator.ports.storage import ObjectInfo
from tests.fakes.app import VIDEO, Died, World
from tests.unit.app.media import registered, shown


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


def test_a_copy_that_the_store_makes_after_it_gave_no_answer_is_deleted(world: World) -> None:
    item = registered(world)
    copy, late = world.storage.copy, []

    def not_answered(source: ObjectInfo, target_key: str) -> ObjectInfo:
        late.append(lambda: copy(source, target_key))
        raise StorageUnavailable("no answer, it is done later")

    world.storage.copy = not_answered  # type: ignore[method-assign]  # a store that is busy
    world.app.preparation.drain()
    world.storage.copy = copy  # type: ignore[method-assign]  # it is quick again
    world.sweep("delete_files", after=1)
    late.pop()()
    world.sweep("delete_files", after=world.timing.abort_retry.total_seconds())
    world.app.preparation.drain()

    _, file = shown(world, item)
    assert file is not None
    assert [each.key for each in world.storage.list("files/")] == [file.final_key]


@pytest.mark.parametrize("at", ["before the copy", "after the copy"])
def test_a_copy_that_is_swept_while_it_is_made_is_never_sealed_without_its_bytes(world: World, at: str) -> None:
    item = registered(world)
    copy = world.storage.copy

    def slow(source: ObjectInfo, target_key: str) -> ObjectInfo:
        if at == "before the copy":
            world.sweep("delete_files", after=ADOPTED_WITHIN.total_seconds())
        final = copy(source, target_key)
        if at == "after the copy":
            world.sweep("delete_files", after=ADOPTED_WITHIN.total_seconds())
        return final

    world.storage.copy = slow  # type: ignore[method-assign]  # it hangs for a day
    world.app.preparation.drain()
    assert list(world.storage.list("files/")) == []
    world.storage.copy = copy  # type: ignore[method-assign]  # it is quick again
    world.clock.advance(world.timing.step_retry)
    world.app.preparation.drain()
    assert shown(world, item).media.status is MediaStatus.NORMAL
    assert len(list(world.storage.list("files/"))) == 1


def test_a_sweep_that_comes_late_leaves_alone_what_was_sealed_meanwhile(world: World) -> None:
    """The sweep has read the row of a copy as one to delete, and gets to it when the copy is sealed."""
    item = registered(world)
    copy, read = world.storage.copy, []

    def slow(source: ObjectInfo, target_key: str) -> ObjectInfo:
        with world.database.read() as tx:
            read.extend(tx.files.due([FileState.DELETING], world.clock() + ADOPTED_WITHIN, 5))
        return copy(source, target_key)

    world.storage.copy = slow  # type: ignore[method-assign]  # the sweep reads just now
    world.app.preparation.drain()
    with pytest.raises(UploadNotOpen):
        world.app.sealing.delete(read[0])
    _, file = shown(world, item)
    assert file is not None
    assert world.storage.head(str(file.final_key)) is not None


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
