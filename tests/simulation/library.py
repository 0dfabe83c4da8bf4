"""Who keeps media and assets: registers, uploads, shares, throws away and takes back, while jobs are made of them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from orchestrator.app.app import App
from orchestrator.app.library import Share
from orchestrator.domain.actors import Caller
from orchestrator.domain.assets import AssetCommand
from orchestrator.domain.errors import NotFound, Unavailable, UnderstudyError
from orchestrator.domain.media_items import Media, MediaNotReady, MediaType, inbox_of
from orchestrator.domain.model import FileKind, Job
from tests.simulation.asking import attempt, insist, put
from tests.simulation.outside import BAD
from tests.simulation.world import PROFILES_BY_NAME, NoAnswer, World

_VIDEO = FileKind.TRAINING_VIDEO
_MOVES = (
    AssetCommand.RECYCLE, AssetCommand.RECYCLE, AssetCommand.RESTORE, AssetCommand.ERASE, AssetCommand.DEACTIVATE,
    AssetCommand.ACTIVATE,
)  # fmt: skip


def some_media(world: World, me: Caller, data: bytes) -> Media | None:
    """A video for the caller's job: registered or uploaded now, or one that there is already."""
    there = [each for each in world.watch.library.media() if each.project_id == me.project_id]
    if there and world.chance.random() < 0.4:
        return world.chance.choice(there)
    return _registered(world, me, data) if world.chance.random() < 0.6 else _uploaded(world, me, data)


def _registered(world: World, me: Caller, data: bytes) -> Media | None:
    key = f"{inbox_of(me.project_id)}{world.chance.choice(('a', 'b', 'c'))}.mp4"
    bucket = world.storage.bucket
    bucket.put(key, data, "video/mp4")
    word = f"once {world.chance.random()}"
    overwrite = world.chance.random() < 0.5

    def register(app: App) -> Media:
        return app.media.register(me, bucket.address_of(key), overwrite=overwrite, once=word)

    if world.chance.random() < 0.3:  # the same request from another thread of the same client
        world.scheduler.spawn("same word", lambda: _note_made(world, word, attempt(world, register)))
    made = insist(world, register)
    _note_made(world, word, made)
    if world.chance.random() < 0.3:  # whoever may write the inbox puts something else there, whenever
        late_s = world.chance.expovariate(0.5)
        world.scheduler.spawn("swap", lambda: bucket.put(key, BAD, "video/mp4") and None, after_s=late_s)
    return made


def _note_made(world: World, word: str, made: Media | None) -> None:
    if made is not None:
        world.watch.library.made_by(word, made.id)


def _uploaded(world: World, me: Caller, data: bytes) -> Media | None:
    parts = world.chance.choice((1, 1, 2))
    opened = insist(world, lambda app: app.media.upload(me, "m.mp4", MediaType.VIDEO, part_count=parts))
    if opened is None:
        return None
    media, upload = opened
    put(world, upload, data)
    if world.chance.random() < 0.2:
        again = attempt(world, lambda app: app.media.refresh(me, media.id))
        if again is not None:
            put(world, again[1], data)
    return media


def bind(world: World, me: Caller, job: Job, media: Media) -> bool:
    """Make media the video of a job; False: it was given up."""

    def bound(app: App) -> Job:
        try:
            return app.media.bind(me, job.id, {_VIDEO: media.id})
        except MediaNotReady:
            raise NoAnswer from None  # asked again

    if world.chance.random() < 0.2:
        world.scheduler.spawn("regret", lambda: attempt(world, lambda app: app.media.delete(me, media.id)),
                              after_s=world.chance.expovariate(2))  # fmt: skip
    return insist(world, bound) is not None


def keep_assets(world: World) -> None:
    """Somebody makes an asset, gives it files, and does with it and with models what owners do."""
    me = world.owners[world.chance.choice(("project-1", "project-2"))]
    kind = world.chance.choice(("IMAGE", "VIDEO", "PPT"))
    asset = insist(world, lambda app: app.library.create(me, kind, "mine", attributes={}))
    if asset is None:
        return
    _give_file(world, me, asset.id)
    for _ in range(world.chance.choice((1, 3, 6))):
        world.scheduler.pause(world.chance.expovariate(0.2))
        _act(world, me, asset.id)


def _give_file(world: World, me: Caller, asset_id: str) -> None:
    category, parts = world.chance.choice(("MAIN", "MAIN", "COVER", "OTHER")), world.chance.choice((1, 1, 2))
    upload = attempt(
        world, lambda app: app.asset_files.open(me, asset_id, category, "f.png", size_bytes=None, parts=parts)
    )
    if upload is None:
        return
    put(world, upload, b"a file of an asset")
    way = world.chance.random()
    if way < 0.5:  # both at once: two tabs
        world.scheduler.spawn("second tab", lambda: attempt(
            world, lambda app: app.asset_files.fail(me, upload.file.id, cancelled=way < 0.25)
        ), after_s=world.chance.expovariate(1))  # fmt: skip
    if way < 0.9:
        insist(world, lambda app: app.asset_files.confirm(me, upload.file.id))


def _act(world: World, me: Caller, asset_id: str) -> None:
    """One thing that an owner does with an asset: the own one, or the model of a job."""
    models = [each for each in world.watch.library.assets() if each.job_id and each.project_id == me.project_id]
    model = world.chance.choice(models) if models and world.chance.random() < 0.6 else None
    if model is not None and world.chance.random() < 0.2:
        _make_again(world, str(model.job_id))
    subject = asset_id if model is None else model.id
    other = world.strangers[me.project_id].project_id
    way = world.chance.random()
    if way < 0.3:
        _give_file(world, me, subject)
        return
    if way < 0.45:
        _take_file(world, me, subject)
        return
    if way < 0.6:
        attempt(world, lambda app: app.library.share(me, subject, Share((other,)), {}))
        return
    command = world.chance.choice(_MOVES)
    if world.chance.random() < 0.3:
        opposite = world.chance.choice(_MOVES)
        world.scheduler.spawn(
            "other owner", lambda: attempt(world, lambda app: app.library.move(me, subject, opposite))
        )
    attempt(world, lambda app: app.library.move(me, subject, command))


def _make_again(world: World, job_id: str) -> None:
    """An admin has a published job train again, or only the last of its stages."""
    job = world.watch.job(job_id)
    if job is not None:
        stage = world.chance.choice(("training", *sorted(PROFILES_BY_NAME[job.profile].stages)))
        attempt(world, lambda app: app.jobs.retrain(world.admin, job_id, stage))


def _take_file(world: World, me: Caller, asset_id: str) -> None:
    files = world.watch.library.files_of(asset_id)
    if files:
        file = world.chance.choice(files)
        world.watch.library.taken.setdefault(asset_id, set()).add(file.name)
        attempt(world, lambda app: app.asset_files.delete(me, file.id))


def meddlings(world: World, owner: Caller, job: Job) -> list[Callable[[App], object]]:
    """Odd things that may be done to media, and to the model of a job."""
    media = [each for each in world.watch.library.media() if each.project_id == owner.project_id]
    found: list[Callable[[App], object]] = [lambda app: _fetch_twice(world, owner, job, app)]
    if media:
        item = world.chance.choice(media)
        found += [
            lambda app: app.media.delete(owner, item.id),
            lambda app: app.media.delete(owner, item.id, with_source=True),
            lambda app: app.media.refresh(owner, item.id),
            lambda app: app.media.update(owner, item.id, reference_id="the same"),
            lambda app: app.media.bind(owner, job.id, {_VIDEO: item.id}),
        ]
    return found


def _fetch_twice(world: World, owner: Caller, job: Job, app: App) -> None:
    """A token is good for one download, whoever is first."""
    token = app.model_files.issue(owner, job.id)
    got: list[object] = []

    def fetch() -> None:
        with suppress(UnderstudyError, NoAnswer):
            got.append(world.ask(lambda app: app.model_files.fetch(owner, job.id, token)))
            world.watch.note(len(got) == 1, f"a token fetched the model of {job.id} twice")

    world.scheduler.spawn("second fetch", fetch)
    with suppress(UnderstudyError):
        got.append(app.model_files.fetch(owner, job.id, token))
        world.watch.note(len(got) == 1, f"a token fetched the model of {job.id} twice")


def pry(world: World) -> None:
    """Another project asks for media and for an asset that nobody shares with it."""
    library = world.watch.library
    things = [*library.media(), *(each for each in library.assets() if not library.is_shared(each.id))]
    if not things:
        return
    thing = world.chance.choice(things)
    stranger = world.strangers[thing.project_id]
    asked: list[Callable[[App], object]] = [
        lambda app: app.media.show(stranger, thing.id), lambda app: app.media.delete(stranger, thing.id),
        lambda app: app.media.refresh(stranger, thing.id),
    ] if isinstance(thing, Media) else [
        lambda app: app.library.move(stranger, thing.id, AssetCommand.ERASE),
        lambda app: app.asset_files.open(stranger, thing.id, "OTHER", "f.png", size_bytes=None),
    ]  # fmt: skip
    with suppress(NoAnswer, Unavailable, NotFound):
        world.ask(world.chance.choice(asked))
        world.watch.complain(f"a stranger was answered about {thing.id}")
