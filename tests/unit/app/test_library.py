"""Assets of people: whose lists show which."""

from __future__ import annotations

import pytest

from orchestrator.domain.assets import AssetQuery
from orchestrator.domain.errors import Forbidden, Invalid
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
