"""Media of a world, as the tests of the library make them."""

from __future__ import annotations

from orchestrator.app.media import Shown
from orchestrator.domain.media_items import Media
from orchestrator.domain.model import FileKind, Job
from tests.fakes.app import VIDEO, World

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
