"""Requests that are right by the limits of every field, by the dialect's own schemas: each is served or refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
import schemathesis

from orchestrator.app.app import App
from orchestrator.dialects.metastudio import asset_schemas, job_schemas
from orchestrator.dialects.metastudio.operations import OPERATIONS
from orchestrator.dialects.metastudio.wire import Wire
from orchestrator.domain.actors import Role
from tests.dialects.conftest import LiveClock, profiles
from tests.dialects.schemas import ask_at_random, operations, sizes
from tests.fakes.app import World, a_world

BODIES: Mapping[str, type[Wire]] = {
    "create2d_model_training_job": job_schemas.CreateJob,
    "update2d_model_training_job": job_schemas.UpdateJob,
    "execute2d_model_training_command_by_user": job_schemas.CommandRequest,
    "create_digital_asset": asset_schemas.CreateAsset,
    "update_digital_asset": asset_schemas.UpdateAsset,
    "list_asset_summary": asset_schemas.Summarize,
    "batch_execute_asset_action": asset_schemas.BatchAction,
    "create_file": asset_schemas.CreateFile,
    "create_large_file": asset_schemas.CreateLargeFile,
    "confirm_file_upload": asset_schemas.ConfirmFile,
}
QUERIES: Mapping[str, type[Wire]] = {
    "list2d_model_training_job": job_schemas.ListJobs,
    "download2d_model_traning_encrypt_file": job_schemas.EncryptedFile,
    "list_assets": asset_schemas.ListAssets,
    "delete_asset": asset_schemas.DeleteAsset,
}
EXAMPLES = 8  # of each of the 19 operations


def document() -> dict[str, Any]:
    """What the dialect takes, as OpenAPI."""
    shapes: dict[str, Any] = {}
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        names = [part[1:-1] for part in operation.segments if part.startswith("{")]
        asked: list[dict[str, Any]] = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
            for name in names
        ]
        told: dict[str, Any] = {"operationId": operation.name, "responses": {"200": {"description": "done"}}}
        if operation.name in QUERIES:
            shape = _shape(QUERIES[operation.name], shapes)
            asked += [
                {"name": name, "in": "query", "required": name in shape.get("required", ()), "schema": schema}
                for name, schema in shape["properties"].items()
            ]
        if operation.name in BODIES:
            content = {"application/json": {"schema": _shape(BODIES[operation.name], shapes)}}
            told["requestBody"] = {"required": True, "content": content}
        paths.setdefault(operation.path, {})[operation.method.lower()] = {**told, "parameters": asked}
    info = {"title": "MetaStudio", "version": "1"}
    return {"openapi": "3.1.0", "info": info, "paths": paths, "components": {"schemas": shapes}}


def _shape(model: type[Wire], shapes: dict[str, Any]) -> dict[str, Any]:
    shape = model.model_json_schema(ref_template="#/components/schemas/{model}")
    shapes |= shape.pop("$defs", {})
    return shape


@pytest.fixture
def quick_world(postgresql_url: str) -> Iterator[World]:
    """On the database that refuses more of what it is given; with a store in memory."""
    with a_world(postgresql_url, profiles=profiles(), clock=LiveClock()) as world:
        yield world


def test_every_operation_has_its_schemas() -> None:
    plain = {each.name for each in OPERATIONS} - {*BODIES, *QUERIES}
    assert plain == {
        "show2d_model_training_job", "delete2d_model_training_job", "show_asset", "restore_asset", "delete_file"
    }  # fmt: skip


def test_what_the_schemas_allow_is_served_or_refused(quick_world: World, server: Callable[[App], str]) -> None:
    world = quick_world
    job, url = world.draft("metastudio"), f"{server(world.app)}/v1"
    asset = world.app.library.create(world.owner, "VIDEO", "Clip", attributes={})
    file = world.app.asset_files.open(world.owner, asset.id, "MAIN", "a.mp4", size_bytes=3).file
    known = {"project_id": "project-1", "job_id": job.id, "asset_id": asset.id, "file_id": file.id}
    headers = {"X-Auth-Token": world.app.keys.create("project-1", Role.USER, "fuzz").token}
    statuses: list[int] = []

    def check(case: schemathesis.Case, answer: schemathesis.Response) -> None:
        told = f"{case.method} {case.formatted_path} {case.query} {case.body}: {answer.status_code} {answer.text}"
        assert answer.status_code in {200, 400}, told
        assert answer.headers["x-request-id"]
        if answer.status_code == 400:
            assert set(answer.json()) == {"error_code", "error_msg"}, told
        statuses.append(answer.status_code)

    for operation in operations(document()):
        ask_at_random(operation, url, headers, known, check, examples=EXAMPLES, always=["project_id"])
    assert sizes(statuses)[2] > len(statuses) / 10
