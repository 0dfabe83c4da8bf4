"""The API does what its own OpenAPI document says: statuses, types and shapes of answers to whatever may be asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import schemathesis
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from orchestrator.app.app import App
from orchestrator.domain.actors import Role
from orchestrator.domain.media_items import MediaType
from orchestrator.domain.model import FileKind
from tests import web
from tests.dialects.schemas import ask_at_random, operations, sizes
from tests.fakes.app import World, a_world

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
EXAMPLES = 5  # of each of the 43 operations


@pytest.fixture
def quick_world(sqlite_url: str) -> Iterator[World]:
    with a_world(sqlite_url) as world:
        yield world


def test_answers_are_as_the_document_says(quick_world: World, server: Callable[[App], str]) -> None:
    world = quick_world
    url = f"{server(world.app)}/api/v1"
    job = world.draft("reviewed")
    file = world.app.uploads.open(world.owner, job.id, FileKind.COVER, "a.png", size_bytes=3).file
    published = world.detail(world.published())
    media, _ = world.app.media.upload(world.owner, "a.mp4", MediaType.VIDEO)
    known = {
        "job_id": job.id, "file_id": file.id, "run_id": published.runs[0].id, "asset_id": str(published.job.asset_id),
        "media_id": media.id,
    }  # fmt: skip
    headers = {"Authorization": f"Bearer {world.app.keys.create('project-1', Role.OPERATOR, 'fuzz').token}"}
    statuses: list[int] = []

    def check(case: schemathesis.Case, answer: schemathesis.Response) -> None:
        statuses.append(answer.status_code)
        case.validate_response(answer, checks=CHECKS)

    for operation in operations(web.get(f"{url}/openapi.json").json()):
        ask_at_random(operation, url, headers, known, check, examples=EXAMPLES)
    assert sizes(statuses)[2] > len(statuses) / 10  # not all of it was refused
