"""Owners, reviewers, admins and strangers, who ask through API processes that may die under them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from orchestrator.app.app import App
from orchestrator.app.uploads import Upload
from orchestrator.domain.actors import Caller
from orchestrator.domain.commands import Command
from orchestrator.domain.errors import NotFound, Unavailable, UnderstudyError
from orchestrator.domain.model import FileKind, Job
from orchestrator.domain.states import STATES, JobState, Phase
from tests.simulation.asking import PATIENCE, attempt, insist, put
from tests.simulation.intake import bring_again, bring_at_once
from tests.simulation.library import bind, keep_assets, meddlings, pry, some_media
from tests.simulation.outside import BAD
from tests.simulation.world import PROFILES_BY_NAME, NoAnswer, World

T = TypeVar("T")

_AFTER_REVIEW_FAILED = frozenset({JobState.AUTO_VERIFY_FAILED, JobState.MANUAL_VERIFY_FAILED})
_AT_REST = frozenset({Phase.SUCCEEDED, Phase.FAILED})
_VIDEO = FileKind.TRAINING_VIDEO


def everybody(world: World) -> None:
    """The people of one schedule, as tasks."""
    jobs = world.chance.choice((1, 1, 1, 2, 2, 4))
    for number in range(jobs):
        project = world.chance.choice(("project-1", "project-2"))
        _spawn(world, f"owner {number}", lambda project=project, number=number: Owner(world, project, number).live())
    for number in range(world.chance.choice((1, 2))):
        world.scheduler.spawn(f"reviewer {number}", lambda: _review_for_ever(world))
    world.scheduler.spawn("admin", lambda: _confirm_for_ever(world))
    for number in range(world.weather.meddling):
        world.scheduler.spawn(f"meddler {number}", lambda: _meddle(world), after_s=world.chance.uniform(2, 60))
    if world.chance.random() < world.weather.media:
        world.scheduler.spawn("keeper", lambda: keep_assets(world), after_s=world.chance.uniform(0, 30))
    world.scheduler.spawn("stranger", lambda: _pry(world), after_s=world.chance.uniform(2, 60))


def _spawn(world: World, name: str, work: Callable[[], None]) -> None:
    world.busy_people += 1

    def run() -> None:
        try:
            work()
        finally:
            world.busy_people -= 1
            if not world.busy_people:
                world.scheduler.stop()

    world.scheduler.spawn(name, run)


class Owner:
    """Brings one job to its end."""

    def __init__(self, world: World, project: str, number: int) -> None:
        self._world = world
        self._me = world.owners[project]
        self._video = f"a video of person {number}".encode()

    def live(self) -> None:
        world = self._world
        profile = world.chance.choice(sorted(PROFILES_BY_NAME))
        if world.chance.random() < 0.2:
            self._live_at_once(profile)
            return
        media = some_media(world, self._me, self._video) if world.chance.random() < world.weather.media else None
        is_named = media is not None and world.chance.random() < 0.5
        attributes: dict[str, object] = {"video": media.id} if media is not None and is_named else {}
        if world.chance.random() < 0.1:
            attributes["thumbnail"] = f"oss://memory/inbox/{self._me.project_id}/thumbnail.png"
        job = self._insist(lambda app: app.jobs.create(self._me, profile, "Ada", sheet={"attributes": attributes}))
        if job is None:
            return
        state: JobState | None = JobState.AUTO_VERIFY_FAILED
        if media is not None:
            if not (is_named or bind(world, self._me, job, media)) or not self._submitted(job):
                return
            state = self._await_rest(job)
        for _ in range(3):
            if state not in _AFTER_REVIEW_FAILED:
                break
            is_good = world.chance.random() >= world.weather.bad_video
            if not self._bring(job, self._video if is_good else BAD):
                return
            state = self._await_rest(job)
        if state is JobState.WAIT_USER_CONFIRM:
            self._try(lambda app: app.review.answer_result(self._me, job.id, Command.ACCEPT_RESULT, ""))

    def _live_at_once(self, profile: str) -> None:
        job = bring_at_once(self._world, self._me, profile, self._video)
        if job is not None and self._await_rest(job) in _AFTER_REVIEW_FAILED:
            bring_again(self._world, self._me, job, self._video)

    def _bring(self, job: Job, video: bytes) -> bool:
        """Upload and submit; False: it was given up."""
        world = self._world
        chance = world.chance.random()
        parts = 2 if chance < 0.2 else 1
        upload = self._insist(lambda app: app.uploads.open(self._me, job.id, _VIDEO, "v.mp4", part_count=parts))
        if upload is None:
            return False
        if world.chance.random() < 0.2:
            self._cover(job)
        self._put(upload, video)
        if world.chance.random() < 0.3:  # somebody else, with the same address, at any time
            pause_s = world.chance.expovariate(0.2)
            world.scheduler.spawn("thief", lambda: self._put(upload, BAD + video), after_s=pause_s)
        if world.chance.random() < 0.25:
            world.scheduler.spawn("second device", lambda: self._again(job), after_s=world.chance.expovariate(0.5))
        if world.chance.random() < 0.2:  # a double click
            world.scheduler.spawn("second click", lambda: self._try(lambda app: self._submit(app, job)))
        way = world.chance.random()
        if way < 0.3:
            self._try(lambda app: app.uploads.confirm(self._me, upload.file.id))
        elif way < 0.5:
            world.scheduler.pause(world.chance.uniform(5, 20))  # the sweep sees it
        return self._submitted(job)

    def _submitted(self, job: Job) -> bool:
        return self._insist(lambda app: self._submit(app, job)) is not None

    def _submit(self, app: App, job: Job) -> Job:
        try:
            return app.uploads.submit(self._me, job.id)
        except UnderstudyError:
            if self._world.watch.is_open(job.id):
                raise NoAnswer from None  # not yet: asked again
            return job

    def _again(self, job: Job) -> None:
        """Another take of the video, from another device, whatever becomes of the first."""
        upload = self._try(lambda app: app.uploads.open(self._me, job.id, _VIDEO, "w.mp4"))
        if upload is not None:
            self._put(upload, BAD if self._world.chance.random() < 0.5 else b"another take")
            if self._world.chance.random() < 0.7:
                self._try(lambda app: app.uploads.confirm(self._me, upload.file.id))

    def _cover(self, job: Job) -> None:
        cover = self._try(lambda app: app.uploads.open(self._me, job.id, FileKind.COVER, "c.png"))
        if cover is not None and self._world.chance.random() < 0.7:
            self._put(cover, b"a picture")

    def _put(self, upload: Upload, data: bytes) -> None:
        put(self._world, upload, data)

    def _await_rest(self, job: Job) -> JobState | None:
        for _ in range(PATIENCE):
            self._world.scheduler.pause(self._world.chance.uniform(3, 15))
            seen = self._world.watch.job(job.id)
            if seen is None:
                return None
            if STATES[seen.state].phase in _AT_REST or seen.state is JobState.WAIT_USER_CONFIRM:
                detail = self._insist(lambda app: app.jobs.show(self._me, job.id))
                return None if detail is None else detail.job.state
        return None

    def _try(self, work: Callable[[App], T]) -> T | None:
        return attempt(self._world, work)

    def _insist(self, work: Callable[[App], T]) -> T | None:
        return insist(self._world, work)


def _review_for_ever(world: World) -> None:
    while True:
        world.scheduler.pause(world.chance.uniform(1, 12))
        if not any(row.job.state is JobState.MANUAL_VERIFYING for row in world.watch.jobs()):
            continue
        for found in attempt(world, lambda app: app.review.next(world.reviewer, 3)) or ():
            job_id = found.job.id
            if world.chance.random() < 0.85:
                attempt(world, lambda app, job_id=job_id: app.review.approve(world.reviewer, job_id))
            else:
                attempt(world, lambda app, job_id=job_id: app.review.reject(world.reviewer, job_id, ["too dark"]))


def _confirm_for_ever(world: World) -> None:
    while True:
        world.scheduler.pause(world.chance.uniform(5, 20))
        for row in world.watch.jobs():
            if row.job.state is JobState.WAIT_ADMIN_CONFIRM:
                attempt(world, lambda app, row=row: app.jobs.ask(world.admin, row.job.id, Command.ACCEPT))


def _meddle(world: World) -> None:
    """One odd command at an odd time."""
    job = _some_job(world)
    if job is None:
        return
    owner, admin, job_id = world.owners[job.project_id], world.admin, job.id
    stages = sorted(PROFILES_BY_NAME[job.profile].stages)
    commands: list[Callable[[App], object]] = [
        lambda app: app.jobs.stop(admin, job_id),
        lambda app: app.jobs.stop(admin, job_id),
        lambda app: app.jobs.retrain(admin, job_id, world.chance.choice(stages)),
        lambda app: app.jobs.retrain(admin, job_id, "training"),
        lambda app: app.jobs.reset(admin, job_id),
        lambda app: app.jobs.set_priority(admin, job_id, 7),
        lambda app: app.jobs.set_retry_count(admin, job_id, 3),
        lambda app: app.jobs.delete(owner, job_id),
        lambda app: app.jobs.delete_video(owner, job_id),
        lambda app: app.jobs.ask(owner, job_id, Command.REPAIR),
        lambda app: app.jobs.ask(owner, job_id, Command.SUSPEND),
        lambda app: app.uploads.submit(owner, job_id),
        lambda app: app.uploads.open(owner, job_id, _VIDEO, "another.mp4"),
        lambda app: _give_up(app, owner, job_id),
    ]
    if world.chance.random() < world.weather.media:
        commands = meddlings(world, owner, job)
    attempt(world, world.chance.choice(commands))


def _give_up(app: App, owner: Caller, job_id: str) -> None:
    for file in app.jobs.show(owner, job_id).files:
        with suppress(UnderstudyError):
            app.uploads.give_up(owner, file.id)


def _some_job(world: World) -> Job | None:
    jobs = sorted((row.job for row in world.watch.jobs()), key=lambda job: job.id)
    return world.chance.choice(jobs) if jobs else None


def _pry(world: World) -> None:
    """Another tenant asks for a job and its files."""
    for _ in range(3):
        world.scheduler.pause(world.chance.uniform(1, 40))
        pry(world)
        job = _some_job(world)
        if job is None:
            continue
        with suppress(NoAnswer, Unavailable, NotFound):
            world.ask(world.chance.choice(_prying(world.strangers[job.project_id], job.id)))
            world.watch.complain(f"a stranger was answered about {job.id}")


def _prying(stranger: Caller, job_id: str) -> list[Callable[[App], object]]:
    return [
        lambda app: app.jobs.show(stranger, job_id),
        lambda app: app.jobs.delete(stranger, job_id),
        lambda app: app.uploads.submit(stranger, job_id),
        lambda app: app.uploads.open(stranger, job_id, _VIDEO, "v.mp4"),
        lambda app: app.jobs.ask(stranger, job_id, Command.REPAIR),
    ]
