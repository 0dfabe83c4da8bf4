"""What people decide and say."""

from __future__ import annotations

import threading

import pytest

from orchestrator.domain.commands import Command
from orchestrator.domain.errors import CommandNotAllowed, Forbidden, GuardRefused, Invalid, NotFound
from orchestrator.domain.model import CommentType, FileKind, Job
from orchestrator.domain.states import JobState
from tests.fakes.app import World


@pytest.fixture
def job(world: World) -> Job:
    job = world.submitted("reviewed")
    world.tick()
    assert world.state(job) is JobState.MANUAL_VERIFYING
    return job


def test_an_approved_job_goes_on_and_says_who(world: World, job: Job) -> None:
    assert [each.job.id for each in world.app.review.next(world.reviewer)] == [job.id]
    world.app.review.approve(world.reviewer, job.id, "good light")
    detail = world.detail(job)
    assert detail.job.approved
    decided = next(entry for entry in detail.log if entry.command is Command.APPROVE)
    assert (decided.operator, decided.description) == (world.reviewer.name, "good light")
    assert [(c.type, c.text) for c in detail.comments] == [(CommentType.ADMIN_COMMENT, "good light")]
    assert world.app.review.next(world.reviewer) == []


def test_a_rejection_needs_reasons_and_shows_them(world: World, job: Job) -> None:
    before = world.snapshot()
    with pytest.raises(GuardRefused, match="says why"):
        world.app.review.reject(world.reviewer, job.id, [" "])
    assert world.snapshot() == before
    world.app.review.reject(world.reviewer, job.id, ["too dark", "turn your head"])
    detail = world.detail(job)
    assert (detail.job.state, detail.sheet.message) == (JobState.MANUAL_VERIFY_FAILED, "too dark; turn your head")


def test_the_second_reviewer_is_told_who_was_first(world: World, job: Job) -> None:
    world.app.review.reject(world.reviewer, job.id, ["too dark"])
    with pytest.raises(CommandNotAllowed, match=f"{world.reviewer.name} was first: reject") as refused:
        world.app.review.approve(world.admin, job.id)
    assert refused.value.details["decided_by"] == world.reviewer.name


def test_of_two_reviewers_at_once_one_decides(world: World, job: Job) -> None:
    barrier, told = threading.Barrier(2), list[str]()

    def decide(command: str) -> None:
        barrier.wait()
        try:
            world.app.review.approve(world.reviewer, job.id) if command == "approve" else world.app.review.reject(
                world.admin, job.id, ["no"]
            )
            told.append(command)
        except CommandNotAllowed:
            told.append("late")

    threads = [threading.Thread(target=decide, args=(command,)) for command in ("approve", "reject")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert told.count("late") == 1
    assert sum(entry.command in {Command.APPROVE, Command.REJECT} for entry in world.detail(job).log) == 1


def test_owners_do_not_review(world: World, job: Job) -> None:
    for ask in (world.app.review.approve, lambda who, job_id: world.app.review.reject(who, job_id, ["no"])):
        with pytest.raises(Forbidden):
            ask(world.owner, job.id)
        with pytest.raises(NotFound):
            ask(world.stranger, job.id)
    with pytest.raises(Forbidden):
        world.app.review.next(world.owner)


@pytest.mark.parametrize("who", ["owner", "reviewer"])
def test_whoever_sees_a_job_comments_on_it_with_attachments(world: World, job: Job, who: str) -> None:
    caller = getattr(world, who)
    upload = world.app.uploads.open(caller, job.id, FileKind.ATTACHMENT, "photo.png")
    with pytest.raises(Invalid, match="attachment"):
        world.app.review.comment(caller, job.id, "look", attachments=[upload.file.id])
    assert world.detail(job).comments == [], "nothing is said by halves"
    world.put(upload, b"photo")
    world.app.uploads.confirm(caller, upload.file.id)
    world.app.review.comment(caller, job.id, "look", attachments=[upload.file.id])
    [said] = world.detail(job).comments
    assert (said.text, [file.id for file in said.attachments]) == ("look", [upload.file.id])
    with pytest.raises(NotFound):
        world.app.review.comment(world.stranger, job.id, "me too")


def test_an_accepted_result_is_in_use(world: World) -> None:
    job = world.published("full")
    asset_id = str(world.job(job).asset_id)
    assert world.app.assets.get(world.owner, asset_id)[0].state == "unactived"
    world.app.jobs.ask(world.admin, job.id, Command.ACCEPT)
    assert world.app.assets.get(world.owner, asset_id)[0].state == "unactived"
    world.app.review.answer_result(world.owner, job.id, Command.ACCEPT_RESULT, "")
    assert world.state(job) is JobState.JOB_FINISH
    assert world.app.assets.get(world.owner, asset_id)[0].state == "actived"


def test_a_rejected_result_keeps_what_its_owner_said(world: World) -> None:
    job = world.published("full")
    world.app.jobs.ask(world.admin, job.id, Command.ACCEPT)
    world.app.review.answer_result(world.owner, job.id, Command.REJECT_RESULT, "not me")
    assert [(c.type, c.text) for c in world.detail(job).comments] == [(CommentType.USER_REJECT, "not me")]
