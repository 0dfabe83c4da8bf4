"""Every operation of every dialect, asked by everybody, of somebody else's objects and of their own.

What is refused has changed nothing in the database, and what a stranger sees names nothing of its owner's.
"""

from __future__ import annotations

import itertools
import json
from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from urllib.parse import urlencode

import httpx
import pytest
import sqlalchemy as sa

from orchestrator.app.keys import NewKey
from orchestrator.dialects.ims import operations as ims
from orchestrator.dialects.ims import signing
from orchestrator.dialects.ims.app import VERSION
from orchestrator.dialects.metastudio import operations as metastudio
from orchestrator.dialects.native.commands import COMMANDS
from orchestrator.domain.actors import Role
from orchestrator.domain.media_items import MediaType
from orchestrator.domain.model import FileKind
from orchestrator.http.server import create_asgi
from orchestrator.settings import Settings
from tests.databases import SQLiteFiles
from tests.dialects import roles
from tests.dialects.conftest import profiles
from tests.dialects.roles import ELSEWHERE, FORBIDDEN, IN, MISSING, OWN, STRANGER, UNKNOWN, USER, VISITORS, Row
from tests.fakes.app import PROFILES, World, a_world
from tests.fakes.client import AsgiClient

OWNER, OTHER = "project-1", "project-2"
ASK = Callable[[str, Row, "Objects", NewKey | None], httpx.Response]


class Objects(dict[str, str]):
    """Names of things to ids, each made when it is named first; that is no writing of any visitor's."""

    def __init__(self, walls: Walls, there: Mapping[str, str]) -> None:
        super().__init__(there)
        self._walls = walls

    def __missing__(self, name: str) -> str:
        before = len(self._walls.written)
        self[name] = made = self._walls.make(name, self)
        del self._walls.written[before:]
        return made


class Walls:
    """The APIs over one world, a key for each visitor, and fresh objects of the owner's."""

    def __init__(self, world: World, client: AsgiClient) -> None:
        self.world, self.client = world, client
        self._number = itertools.count()
        keys = world.app.keys
        self.keys: dict[str, NewKey | None] = {"nobody": None}
        for role, (where, project) in itertools.product(Role, ((OWN, OWNER), (ELSEWHERE, OTHER))):
            self.keys[f"{role} {where}"] = keys.create(project, role, f"{role} {where}")
        self.keys["a disabled key"] = disabled = keys.create(OWNER, Role.OPERATOR, "disabled")
        keys.disable(disabled.id)
        self.keys["an unknown key"] = replace(disabled, id="AKUNKNOWN", token="unknown")
        self.written: list[str] = []
        sa.event.listen(world.database.engine, "before_cursor_execute", self._note)
        trained = world.published("plain")
        detail = world.detail(trained)
        self.trained = {
            "trained_id": trained.id, "run_id": detail.runs[0].id, "model_id": str(trained.asset_id),
        }  # fmt: skip

    def _note(self, _connection: object, _cursor: object, statement: str, *_: object) -> None:
        """What changes rows is remembered; a nonce that is used up is no change of anybody's."""
        if not statement.lstrip().upper().startswith(("SELECT", "PRAGMA", "BEGIN")) and "nonces" not in statement:
            self.written.append(statement)

    def objects(self) -> Objects:
        """Things of the owner's, none of which anybody has seen yet."""
        return Objects(self, self.trained | {"number": str(next(self._number))})

    def make(self, name: str, held: Objects) -> str:
        """What `name` says, of the owner's. Raises KeyError."""
        app, owner = self.world.app, self.world.owner
        video, clip = FileKind.TRAINING_VIDEO, f"Clip {held['number']}"
        makers: dict[str, Callable[[], str]] = {
            "job_id": lambda: self.world.draft("reviewed").id,
            "file_id": lambda: app.uploads.open(owner, held["job_id"], video, "a.mp4", size_bytes=3).file.id,
            "asset_id": lambda: app.library.create(owner, "VIDEO", clip, attributes={}).id,
            "asset_file_id": lambda: (
                app.asset_files.open(owner, held["asset_id"], "PACKAGE", "a.mp4", size_bytes=3).file.id
            ),
            "media_id": lambda: app.media.upload(owner, "a.mp4", MediaType.VIDEO, size_bytes=3)[0].id,
            "token": lambda: app.model_files.issue(owner, held["trained_id"]),
            "key_id": lambda: app.keys.create(OWNER, Role.USER, "spare").id,
        }
        return makers[name]()

    # how each dialect is asked

    def native(self, name: str, row: Row, objects: Objects, key: NewKey | None) -> httpx.Response:
        method, path = name.split()
        values: dict[str, str] = {}
        if "/assets/" in path:
            values["asset_id"] = objects["model_id"]
        if path.endswith("model-token"):
            values["job_id"] = objects["trained_id"]
        headers = {} if key is None else {"Authorization": f"Bearer {key.token}"}
        usual = {"command": "submit", "name": "overdue" if "sweeps" in path else "general"}
        asked = path.format_map(ChainMap(values, objects, usual))
        return self.client.request(method, f"/api/v1{asked}", headers=headers, json=_filled(row.body, objects))

    def metastudio(self, name: str, row: Row, objects: Objects, key: NewKey | None) -> httpx.Response:
        operation = next(each for each in metastudio.OPERATIONS if each.name == name)
        project = OWNER if key is None else key.project_id
        values = {"project_id": project}
        if "{file_id}" in operation.path:
            values["file_id"] = objects["asset_file_id"]
        query = ""
        if name == "download2d_model_traning_encrypt_file":
            asked = {"tenant_id": project, "job_id": objects["trained_id"], "once_token": objects["token"]}
            query = f"?{urlencode(asked)}"
        headers = {} if key is None else {"X-Auth-Token": key.token}
        return self.client.request(
            operation.method, f"/v1{operation.path.format_map(ChainMap(values, objects))}{query}", headers=headers,
            json=_filled(row.body, objects),
        )  # fmt: skip

    def ims(self, name: str, row: Row, objects: Objects, key: NewKey | None) -> httpx.Response:
        said = {"Action": name, "Version": VERSION, **(_filled(row.body, objects) or {})}
        if key is not None:
            said |= {
                "AccessKeyId": key.id, "SignatureNonce": str(next(self._number)), "SignatureMethod": "HMAC-SHA1",
                "SignatureVersion": "1.0", "Timestamp": self.world.clock().strftime("%Y-%m-%dT%H:%M:%SZ"),
            }  # fmt: skip
            pairs = [(each.encode(), value.encode()) for each, value in said.items()]
            said["Signature"] = signing.legacy_signature(key.secret, signing.legacy_string_to_sign("POST", pairs))
        return self.client.request("POST", f"/?{urlencode(said)}")


_LOOKS = ("GET ", "Get", "List", "list", "show")


def _filled(body: Mapping[str, object] | None, objects: Objects) -> dict[str, str] | None:
    """The body with the ids of these objects in it."""
    if body is None:
        return None

    def fill(value: object) -> object:
        if isinstance(value, list):
            return [fill(each) for each in value]
        return value.format_map(objects) if isinstance(value, str) else value

    return {name: fill(value) for name, value in body.items()}  # type: ignore[misc]  # as JSON takes it


def outcome(answer: httpx.Response) -> str:
    """What the visitor was told, in the words of the table, whichever dialect said it."""
    assert answer.status_code < 500, answer.text
    if not answer.content:
        return IN
    try:
        said = answer.json()
    except json.JSONDecodeError:
        return IN
    code = said.get("code") or said.get("error_code") or said.get("Code") or ""
    if answer.status_code == 401 or code.startswith(("InvalidAccessKeyId", "IncompleteSignature")):
        return UNKNOWN
    if answer.status_code == 403:
        return FORBIDDEN
    text = said.get("detail") or said.get("error_msg") or said.get("Message") or ""
    if answer.status_code >= 400 and ("there is no " in text or "not found" in text.lower()):
        return MISSING
    return IN


@pytest.fixture(scope="module")
def walls(sqlite_files: SQLiteFiles) -> Iterator[Walls]:
    with ExitStack() as stack:
        kinds = {each.name: replace(each, model_file="training.npz") for each in PROFILES} | dict(profiles())
        world = stack.enter_context(a_world(stack.enter_context(sqlite_files.migrated()), profiles=kinds))
        client = stack.enter_context(AsgiClient(create_asgi(Settings(), app=world.app)))
        yield Walls(world, client)


def hold(walls: Walls, ask: ASK, name: str, row: Row) -> None:
    """Ask as every visitor: the refused first, then, each on objects of their own, those who are let in."""
    told = {visitor: row.gate.get(visitor, IN) for visitor in VISITORS}
    objects = walls.objects()
    if row.quiet:  # a list has something to be quiet about
        for each in ("file_id", "asset_file_id", "media_id"):
            objects[each]
    owners = {value for key, value in objects.items() if key.endswith("_id")}
    walls.written.clear()
    for visitor in (each for each in VISITORS if told[each] != IN):
        answer = ask(name, row, objects, walls.keys[visitor])
        assert outcome(answer) == told[visitor], f"{name} by {visitor}: {answer.status_code} {answer.text}"
        assert "download_url" not in answer.text
    assert walls.written == [], f"{name}: somebody who was refused changed something"
    for visitor in (each for each in VISITORS if told[each] == IN):
        mine = objects if name.startswith(_LOOKS) else walls.objects()
        answer = ask(name, row, mine, walls.keys[visitor])
        assert outcome(answer) == IN, f"{name} by {visitor}: {answer.status_code} {answer.text}"
        if row.quiet and visitor == STRANGER:
            asked = {value for value in owners if value in json.dumps(_filled(row.body, objects))}
            assert not [value for value in owners - asked if value in answer.text], answer.text


def native_operations() -> list[str]:
    document = create_asgi_document()
    return [f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods]


def create_asgi_document() -> dict[str, dict[str, dict[str, object]]]:
    from orchestrator.dialects.native.app import create_native

    return create_native(None).openapi()  # type: ignore[arg-type,return-value]  # nothing is asked of it


TABLES = {
    "native": (native_operations(), roles.NATIVE),
    "metastudio": ([each.name for each in metastudio.OPERATIONS], roles.METASTUDIO),
    "ims": ([each.name for each in ims.OPERATIONS], roles.IMS),
}


@pytest.mark.parametrize("dialect", TABLES)
def test_it_is_written_down_who_may_do_every_operation(dialect: str):
    operations, rows = TABLES[dialect]
    assert set(operations) == set(rows), "a new operation needs a row in roles.py"


def test_it_is_written_down_who_may_ask_every_command():
    assert set(roles.NATIVE_COMMANDS) == set(COMMANDS), "a new command needs a row in roles.py"


@pytest.mark.parametrize(
    ("dialect", "name"), [(dialect, name) for dialect, (_, rows) in TABLES.items() for name in rows]
)
def test_an_operation_lets_in_whom_the_table_names(walls: Walls, dialect: str, name: str):
    hold(walls, getattr(walls, dialect), name, TABLES[dialect][1][name])


@pytest.mark.parametrize("command", roles.NATIVE_COMMANDS)
def test_a_command_is_for_those_whom_the_table_names(walls: Walls, command: str):
    """Of one draft: whether the command is allowed now is another question, that comes after."""
    objects = walls.objects()
    objects["command"] = command
    row = Row(roles.NATIVE_COMMANDS[command], {"value": 1, "comment": "because", "reasons": ["because"]})
    for visitor in VISITORS:
        answer = walls.native("POST /jobs/{job_id}/commands/{command}", row, objects, walls.keys[visitor])
        assert outcome(answer) == row.gate.get(visitor, IN), f"{command} by {visitor}: {answer.text}"


def test_a_path_with_another_project_is_refused_before_anything_is_looked_at(walls: Walls):
    objects = walls.objects()
    walls.written.clear()
    for operation in metastudio.OPERATIONS:
        for where in (OWN, ELSEWHERE):
            key = walls.keys[f"operator {where}"]
            assert key is not None
            project = OTHER if where is OWN else OWNER
            if "{project_id}" not in operation.path:
                continue
            path = operation.path.format_map(ChainMap({"project_id": project}, objects))
            answer = walls.client.request(operation.method, f"/v1{path}", headers={"X-Auth-Token": key.token})
            assert (answer.status_code, answer.json()["error_code"]) == (400, "MSS.00010009"), operation.name
    assert walls.written == []


def test_others_change_nothing_by_lists_of_ids(walls: Walls):
    objects = walls.objects()
    walls.written.clear()
    for action in ("DELETE_FORCE", "DELETE", "RESTORE", "UNACTIVE", "ACTIVE", "UNSHARE"):
        row = Row({}, {"action": action, "asset_ids": ["{asset_id}"]})
        answer = walls.metastudio("batch_execute_asset_action", row, objects, walls.keys[STRANGER])
        assert [each["ret_status"] for each in answer.json()["results"]] == ["FAILED"]
    assert walls.written == []
    media = Row({}, {"MediaIds": "{media_id}", "DeletePhysicalFiles": "true"})
    answer = walls.ims("DeleteMediaInfos", media, objects, walls.keys[STRANGER])
    assert answer.json()["IgnoredList"] == [objects["media_id"]]
    assert walls.written == []
    row = Row({}, {"asset_ids": ["{asset_id}"]})
    for visitor, seen in ((STRANGER, 0), (USER, 1)):
        answer = walls.metastudio("list_asset_summary", row, objects, walls.keys[visitor])
        assert len(answer.json()["asset_list"]) == seen
