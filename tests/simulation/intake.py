"""Owners who get the addresses of all files with the job, as the cloud they come from has it."""

from __future__ import annotations

from orchestrator.app.app import App
from orchestrator.app.intake import Want
from orchestrator.domain.actors import Caller
from orchestrator.domain.commands import Command
from orchestrator.domain.errors import UnderstudyError
from orchestrator.domain.model import FileKind, Job
from tests.simulation.asking import attempt, insist, put
from tests.simulation.outside import BAD
from tests.simulation.world import NoAnswer, World

_VIDEO = FileKind.TRAINING_VIDEO


def bring_at_once(world: World, me: Caller, profile: str, video: bytes) -> Job | None:
    """A submitted job; None: it was given up."""
    parts = world.chance.choice((1, 1, 2))
    wants = [Want(_VIDEO, parts), Want(FileKind.COVER)]
    made = insist(world, lambda app: app.intake.create(me, profile, "Ada", wants))
    if made is None:
        return None
    job, uploads = made
    is_good = world.chance.random() >= world.weather.bad_video
    put(world, uploads[_VIDEO], video if is_good else BAD)
    if world.chance.random() < 0.5:
        put(world, uploads[FileKind.COVER], b"a picture")
    if world.chance.random() < 0.3:  # somebody else, with the same address, at any time
        late_s = world.chance.expovariate(0.2)
        world.scheduler.spawn("thief", lambda: put(world, uploads[_VIDEO], BAD + video), after_s=late_s)
    return job if _submitted(world, me, job) else None


def bring_again(world: World, me: Caller, job: Job, video: bytes) -> bool:
    """Fresh addresses for a job whose review failed, another video, and submitted again."""
    fresh = insist(world, lambda app: app.intake.update(
        me, job.id, lambda _: [Want(_VIDEO)], sheet={}, attributes=lambda told, _: dict(told), replaces_video=True
    ))  # fmt: skip
    if fresh is None:
        return False
    put(world, fresh[_VIDEO], video)
    return _submitted(world, me, job)


def _submitted(world: World, me: Caller, job: Job) -> bool:
    def confirm(app: App) -> object:
        return app.intake.confirm(me, job.id, _VIDEO, Command.CONFIRM_FILE)

    confirms = world.chance.random() < 0.5
    if confirms:
        if world.chance.random() < 0.3:
            world.scheduler.spawn("second confirm", lambda: attempt(world, confirm))
        attempt(world, lambda app: app.intake.progress(me, job.id, _VIDEO, Command.CONFIRM_FILE))
    first = [_VIDEO] if confirms else []

    def submit(app: App) -> bool:
        try:
            if confirms:
                confirm(app)
            app.intake.submit(me, job.id, first, there_first=[_VIDEO])
        except UnderstudyError:
            if world.watch.is_open(job.id):
                raise NoAnswer from None  # not yet: asked again
        return True

    return insist(world, submit) is not None
