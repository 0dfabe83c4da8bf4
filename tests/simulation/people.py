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
from tests.simulation.outside import BAD
from tests.simulation.watch import Broken
from tests.simulation.world import PROFILES_BY_NAME, NoAnswer, World

T = TypeVar("T")

_AFTER_REVIEW_FAILED = frozenset({JobState.AUTO_VERIFY_FAILED, JobState.MANUAL_VERIFY_FAILED})
_VIDEO = FileKind.TRAINING_VIDEO
_PATIENCE = 25  # how often people ask again before they have had enough


def everybody(world: World) -> None:
    """The people of one schedule, as tasks."""
    jobs = world.chance.choice((1, 1, 2, 3, 4))
    for number in range(jobs):
        project = world.chance.choice(("project-1", "project-2"))
        _spawn(world, f"owner {number}", lambda project=project, number=number: Owner(world, project, number).live())
    for number in range(world.chance.choice((1, 2))):
        world.scheduler.spawn(f"reviewer {number}", lambda: _review_for_ever(world))
    world.scheduler.spawn("admin", lambda: _confirm_for_ever(world))
    for number in range(world.weather.meddling):
        world.scheduler.spawn(f"meddler {number}", lambda: _meddle(world), after_s=world.chance.uniform(2, 60))
    world.scheduler.spawn("stranger", lambda: _pry(world), after_s=world.chance.uniform(2, 60))


def _spawn(world: World, name: str, work: Callable[[], None]) -> None:
    world.busy_people += 1

    def run() -> None:
        try:
            work()
        finally:
            world.busy_people -= 1

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
        job = self._insist(lambda app: app.jobs.create(self._me, profile, "Ada"))
        if job is None:
            return
        for _ in range(3):
            is_good = world.chance.random() >= world.weather.bad_video
            if not self._bring(job, self._video if is_good else BAD):
                return
            state = self._await_rest(job)
            if state not in _AFTER_REVIEW_FAILED:
                break
        if state is JobState.WAIT_USER_CONFIRM:
            self._try(lambda app: app.review.answer_result(self._me, job.id, Command.ACCEPT_RESULT, ""))

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
        return self._insist(lambda app: self._submit(app, job)) is not None

    def _submit(self, app: App, job: Job) -> Job:
        with suppress(UnderstudyError):
            return app.uploads.submit(self._me, job.id)
        seen = app.jobs.show(self._me, job.id).job
        if STATES[seen.state].phase in {Phase.INIT, Phase.FAILED}:
            raise NoAnswer  # not yet: asked again
        return seen

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
        half = len(data) // 2 if len(upload.urls) > 1 else len(data)
        for number, url in upload.urls.items():
            self._world.scheduler.pause(self._world.chance.expovariate(5))
            piece = data[:half] if number == 1 else data[half:]
            self._world.storage.bucket.put_url(url, piece)

    def _await_rest(self, job: Job) -> JobState | None:
        for _ in range(_PATIENCE):
            self._world.scheduler.pause(self._world.chance.uniform(3, 15))
            detail = self._try(lambda app: app.jobs.show(self._me, job.id))
            if detail is not None and (
                STATES[detail.job.state].phase in {Phase.SUCCEEDED, Phase.FAILED}
                or detail.job.state is JobState.WAIT_USER_CONFIRM
            ):
                return detail.job.state
        return None

    def _try(self, work: Callable[[App], T]) -> T | None:
        return _try(self._world, work)

    def _insist(self, work: Callable[[App], T]) -> T | None:
        """Ask until there is an answer; None: had enough."""
        for _ in range(_PATIENCE):
            try:
                return self._world.ask(work)
            except (NoAnswer, Unavailable):
                self._world.scheduler.pause(self._world.chance.expovariate(1))
            except UnderstudyError:
                return None
        return None


def _try(world: World, work: Callable[[App], T]) -> T | None:
    with suppress(NoAnswer, UnderstudyError):
        return world.ask(work)
    return None


def _review_for_ever(world: World) -> None:
    while True:
        world.scheduler.pause(world.chance.uniform(1, 12))
        for found in _try(world, lambda app: app.review.next(world.reviewer, 3)) or ():
            job_id = found.job.id
            if world.chance.random() < 0.85:
                _try(world, lambda app, job_id=job_id: app.review.approve(world.reviewer, job_id))
            else:
                _try(world, lambda app, job_id=job_id: app.review.reject(world.reviewer, job_id, ["too dark"]))


def _confirm_for_ever(world: World) -> None:
    while True:
        world.scheduler.pause(world.chance.uniform(5, 20))
        for row in world.watch._jobs():
            if row.job.state is JobState.WAIT_ADMIN_CONFIRM:
                _try(world, lambda app, row=row: app.jobs.ask(world.admin, row.job.id, Command.ACCEPT))


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
    _try(world, world.chance.choice(commands))


def _give_up(app: App, owner: Caller, job_id: str) -> None:
    for file in app.jobs.show(owner, job_id).files:
        with suppress(UnderstudyError):
            app.uploads.give_up(owner, file.id)


def _some_job(world: World) -> Job | None:
    jobs = sorted((row.job for row in world.watch._jobs()), key=lambda job: job.id)
    return world.chance.choice(jobs) if jobs else None


def _pry(world: World) -> None:
    """Another tenant asks for a job and its files."""
    for _ in range(3):
        world.scheduler.pause(world.chance.uniform(1, 40))
        job = _some_job(world)
        if job is None:
            continue
        with suppress(NoAnswer, Unavailable, NotFound):
            world.ask(world.chance.choice(_prying(world.strangers[job.project_id], job.id)))
            world.watch.bad.append(Broken(f"a stranger was answered about {job.id}"))


def _prying(stranger: Caller, job_id: str) -> list[Callable[[App], object]]:
    return [
        lambda app: app.jobs.show(stranger, job_id),
        lambda app: app.jobs.delete(stranger, job_id),
        lambda app: app.uploads.submit(stranger, job_id),
        lambda app: app.uploads.open(stranger, job_id, _VIDEO, "v.mp4"),
        lambda app: app.jobs.ask(stranger, job_id, Command.REPAIR),
    ]
