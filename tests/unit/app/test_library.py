"""Assets of people: whose lists show which, and what becomes of the files that they let go of."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from orchestrator.app.library import let_go
from orchestrator.domain.assets import AssetQuery
from orchestrator.domain.errors import Forbidden, Invalid
from orchestrator.domain.model import FileState
from tests.fakes.app import World


def test_nobody_lists_the_assets_of_another_project(world: World) -> None:
    asset = world.app.library.create(world.owner, "VIDEO", "a film", attributes={})
    found, count = world.app.library.find(world.owner, AssetQuery("project-1"))
    assert ([each.id for each, _ in found], count) == ([asset.id], 1)
    assert world.app.library.find(world.stranger, AssetQuery("project-2")) == ([], 0)
    with pytest.raises(Forbidden, match="project-1"):
        world.app.library.find(world.stranger, AssetQuery("project-1"))


def test_a_page_of_assets_has_its_limits(world: World) -> None:
    for limit in (0, 101):
        with pytest.raises(Invalid, match="1 to 100 are allowed"):
            world.app.library.find(world.owner, AssetQuery("project-1", limit=limit))


@pytest.mark.parametrize(("moved_on", "ends"), [
    (FileState.SEALING, FileState.ABORTING), (FileState.SEALED, FileState.DELETING),
    (FileState.ABORTING, FileState.ABORTING),
])  # fmt: skip
def test_an_upload_that_has_moved_on_since_it_was_read_is_let_go_all_the_same(
    world: World, moved_on: FileState, ends: FileState
) -> None:
    asset = world.app.library.create(world.owner, "IMAGE", "a picture", attributes={})
    upload = world.app.asset_files.open(world.owner, asset.id, "MAIN", "f.png", size_bytes=None)
    with world.database.begin() as tx:
        read = tx.files.get(upload.file.id)
        tx.files.move(read, moved_on)
        late = SimpleNamespace(get_many=lambda _: {read.id: read}, get=tx.files.get, move=tx.files.move)
        assert let_go(SimpleNamespace(files=late), [read.id], world.clock())  # type: ignore[arg-type]  # what it asks
        assert tx.files.get(read.id).state is ends
