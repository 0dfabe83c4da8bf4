"""Who sees which media, page by page, and what is left of deleted ones."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from orchestrator.domain.actors import Role
from orchestrator.domain.errors import Forbidden
from orchestrator.domain.media_items import MediaNotFound, MediaQuery, MediaType
from tests.fakes.app import World
from tests.unit.app.media import INBOX, prepared, registered


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
    for project_id in ("project-1", None):
        assert world.app.media.page(world.stranger, MediaQuery(project_id)) == ([], 0, False)
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
