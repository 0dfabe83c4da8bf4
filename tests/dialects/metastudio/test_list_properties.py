"""Both lists against a plain reading of their filters: whatever is asked, the same things in the same order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.app.library import Share
from orchestrator.domain.actors import Caller, Role
from orchestrator.domain.assets import AssetCommand, PropertyChange
from orchestrator.domain.commands import Command, Effect
from orchestrator.http.server import create_asgi
from orchestrator.settings import Settings
from tests.dialects.conftest import profiles
from tests.fakes.app import World, a_world
from tests.fakes.client import AsgiClient

Query = Mapping[str, Any]
WORDS = ("Anna", "hanna", "AN", "n_a", "100%", "文", "/")
LABELS = ("blue", "Blue sky", "red", "a%b", "文")
FLAGS = ("is_flexus", "is_live_copy", "is_ondemand_resource")
STATES = ("WAIT_FILE_UPLOAD", "AUTO_VERIFYING", "AUTO_VERIFY_FAILED", "TRAINING")
ASSET_STATES = ("CREATING", "ACTIVED", "UNACTIVED", "DELETING", "DELETED", "BLOCK")
TYPES = ("VIDEO", "IMAGE", "MUSIC", "PPT")
SERVICES = ("VIDEO_2D", "LIVE_2D", "CHAT_2D")
PROPERTIES = (("MATERIAL_IMG", "Yes"), ("BACKGROUND_IMG", "Yes"), ("BACKGROUND_IMG", "No"))
USERS = (None, "user-1", "user-2")
JOBS, ASSETS = 24, 24


@dataclass
class Told:
    """What was told of a thing, and when."""

    id: str
    name: str
    created_at: datetime
    updated_at: datetime
    state: str
    user: str | None = None
    tags: Sequence[str] = ()
    more: dict[str, Any] = field(default_factory=dict)


def pick(options: Sequence[Any], number: int) -> Any:
    return options[number % len(options)]


def some(options: Sequence[Any], number: int) -> list[Any]:
    """A subset, another one for each of many numbers."""
    return [each for place, each in enumerate(options) if number >> place & 1]


class Asked:
    """A world full of jobs and assets, and somebody of project-1 who lists them."""

    def __init__(self, world: World, client: AsgiClient) -> None:
        self.world, self._client = world, client
        self._token = world.app.keys.create("project-1", Role.USER, "ada").token
        self._videos: dict[str, bool] = {}
        refused = [self._job(number) for number in range(JOBS // 2)]
        world.app.engine.drain(Effect.VERIFY)  # their papers are missing
        for told in refused:
            told.state = told.state.replace("AUTO_VERIFYING", "AUTO_VERIFY_FAILED")
        for told in refused[:3]:
            world.app.jobs.delete(world.owner, told.id)
        self.jobs = refused[3:] + [self._job(number) for number in range(JOBS // 2, JOBS)]
        with world.database.begin() as tx:
            for file_id, wide in self._videos.items():
                tx.files.record(file_id, facts={"display": [3840, 2160] if wide else [1920, 1080]})
        self.assets = [self._asset(number) for number in range(ASSETS)]

    def ask(self, what: str, query: Query, user: str | None = None) -> dict[str, Any]:
        headers = {"X-Auth-Token": self._token} | ({"X-App-UserId": user} if user else {})
        written = urlencode(query, doseq=True, quote_via=quote)  # the SDK never sends a plus for a space
        answer = self._client.request("GET", f"/v1/project-1/{what}?{written}", headers=headers)
        assert answer.status_code == 200, (query, answer.text)
        found: dict[str, Any] = answer.json()
        return found

    def _job(self, number: int) -> Told:
        self.world.clock.advance(0.4)
        owner = Caller("project-1", Role.USER, "ada", app_user_id=pick(USERS, number))
        at = self.world.clock()
        flags = {
            flag: value for flag in FLAGS if (value := pick((None, True, False), number * 7 + len(flag))) is not None
        }
        sheet = {"tags": some(LABELS, number), "batch_name": pick((None, "b1", "b2"), number), "attributes": flags}
        job = self.world.app.jobs.create(owner, "metastudio", pick(WORDS, number), sheet=sheet)
        told = Told(job.id, pick(WORDS, number), at, at, "WAIT_FILE_UPLOAD", owner.app_user_id, some(LABELS, number))
        told.more = {**flags, "batch_name": sheet["batch_name"], "wide": False, "train_location": None}
        if number % 5 == 1:
            told.more["train_location"] = "north"
            self.world.app.jobs.configure(self.world.admin, job.id, Command.SET_TRAIN_LOCATION, "north")
        if number % 3:
            self._submit(told, wide=number % 2 == 0)
        return told

    def _submit(self, told: Told, *, wide: bool) -> None:
        job = self.world.app.jobs.show(self.world.owner, told.id).job
        video = self.world.app.uploads.confirm(self.world.owner, self.world.uploaded(job).id)
        self._videos[video.id] = wide
        self.world.clock.advance(0.3)
        self.world.app.intake.submit(self.world.owner, told.id, ())
        told.updated_at, told.state, told.more["wide"] = self.world.clock(), "AUTO_VERIFYING", wide

    def _asset(self, number: int) -> Told:
        self.world.clock.advance(0.4)
        shared = number % 4 == 3
        owner = Caller("project-2" if shared else "project-1", Role.USER, "bob", app_user_id=pick(USERS, number))
        at, kind = self.world.clock(), pick(TYPES, number)
        share = Share(("project-1",)) if number % 8 == 3 else Share(with_everybody=True)
        properties = [PropertyChange(*pair) for pair in some(PROPERTIES, number)]
        services = some(SERVICES, number)
        library, order = self.world.app.library, number % 3
        asset = library.create(
            owner if not shared else Caller("project-2", Role.ADMIN, "staff", app_user_id=pick(USERS, number)),
            kind, f"{pick(WORDS, number)} {number}", tags=some(LABELS, number), order=order,
            attributes={"supported_service": services}, share=share if shared else None, properties=properties,
        )  # fmt: skip
        told = Told(asset.id, asset.name, at, at, "CREATING", pick(USERS, number), some(LABELS, number))
        told.more = {"type": kind, "order": order, "services": services, "shared": shared, "everybody": number % 8 == 7}
        told.more["properties"] = dict(some(PROPERTIES, number))
        if number % 2:
            self._fill(owner, told, number)
        return told

    def _fill(self, owner: Caller, told: Told, number: int) -> None:
        upload = self.world.app.asset_files.open(owner, told.id, "MAIN", "a.bin", size_bytes=1)
        self.world.put(upload, b"a")
        self.world.clock.advance(0.3)
        self.world.app.asset_files.confirm(owner, upload.file.id)
        told.updated_at, told.state = self.world.clock(), "ACTIVED"
        commands = {1: AssetCommand.DEACTIVATE, 5: AssetCommand.RECYCLE, 9: AssetCommand.ERASE}
        if (command := commands.get(number % 12)) is not None:
            self.world.clock.advance(0.3)
            self.world.app.library.move(owner, told.id, command)
            told.updated_at = self.world.clock()
            told.state = {1: "UNACTIVED", 5: "DELETING", 9: "DELETED"}[number % 12]


@pytest.fixture
def asked(database_url: str) -> Iterator[Asked]:
    with (
        a_world(database_url, profiles=profiles()) as world,
        AsgiClient(create_asgi(Settings(), app=world.app)) as client,
    ):
        yield Asked(world, client)


def second(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


def is_within(at: datetime, since: str | None, until: str | None) -> bool:
    """Times are shown and asked for in whole seconds."""
    shown = at.replace(microsecond=0)
    return (since is None or shown >= second(since)) and (until is None or shown <= second(until))


def likes(label: str, asked_for: str, *, exactly: bool) -> bool:
    return label == asked_for if exactly else asked_for.lower() in label.lower()


def is_a_match(job: Told, query: Query, user: str | None) -> bool:
    wanted = {name: query.get(name) for name in ("batch_name", "train_location")}
    return (
        query.get("query_project_id", "project-1") == "project-1"
        and (user is None or job.user == user)
        and ("state" not in query or job.state in query["state"].split(","))
        and query.get("name", "").lower() in job.name.lower()
        and ("tag" not in query or query["tag"] in job.tags)
        and ("job_id" not in query or query["job_id"] == job.id)
        and all(bool(job.more.get(flag)) is (query[flag] == "true") for flag in FLAGS if flag in query)
        and all(value is None or job.more[name] == value for name, value in wanted.items())
        and query.get("model_resolution", "1080P") in {"1080P", "4K"}
        and ("model_resolution" not in query or job.more["wide"] is (query["model_resolution"] == "4K"))
        and is_within(job.created_at, query.get("create_since"), query.get("create_until"))
        and is_within(job.updated_at, query.get("update_since"), query.get("update_until"))
    )


def is_an_asset_match(asset: Told, query: Query) -> bool:
    exact = query.get("accurate_query_field", ())
    labels = query["tag"].split(",") if "tag" in query else []
    held = [any(likes(each, label, exactly="tag" in exact) for each in asset.tags) for label in labels]
    together = all if query.get("tag_combination_type") == "INTERSECTION" else any
    pairs = dict(pair.split(":") for pair in query.get("system_property", "").split(",") if pair)
    return (
        is_seen(asset, query)
        and (asset.state in query["asset_state"].split(",") if "asset_state" in query else asset.state != "DELETED")
        and likes(asset.name, query.get("name", asset.name), exactly="name" in exact)
        and (not labels or together(held))
        and ("asset_type" not in query or asset.more["type"] in query["asset_type"].split(","))
        and ("asset_id" not in query or asset.id in query["asset_id"])
        and query.get("app_user_id", asset.user) == asset.user
        and ("supported_service" not in query or query["supported_service"] in asset.more["services"])
        and all(asset.more["properties"].get(key) == value for key, value in pairs.items())
        and is_within(asset.created_at, query.get("start_time"), query.get("end_time"))
    )


def is_seen(asset: Told, query: Query) -> bool:
    others, everybody = asset.more["shared"] and asset.state == "ACTIVED", asset.more["everybody"]
    own = not asset.more["shared"]
    if "role" in query:
        return query["role"] == "SHAREE" and others and not everybody
    system = others and everybody
    return {"SYSTEM": system, "ALL": own or system}.get(query.get("asset_source", ""), own)


def in_order(things: Sequence[Told], query: Query, key: Callable[[Told], Any], *, newest_first: bool) -> list[str]:
    """Of equal ones the newest first, or in the direction of all."""
    down = query.get("sort_dir") == "desc"
    if newest_first:
        things = sorted(sorted(things, key=lambda each: each.id, reverse=True), key=key, reverse=down)
    else:
        things = sorted(things, key=lambda each: (key(each), each.id), reverse=down)
    return [each.id for each in things]


def page(ids: Sequence[str], query: Query) -> dict[str, Any]:
    first = query.get("offset", 0)
    return {"count": len(ids), "ids": list(ids[first : first + query.get("limit", 10)])}


def times(things: Sequence[Told]) -> st.SearchStrategy[str]:
    instants = [at.replace(microsecond=0) + timedelta(seconds=by) for each in things
                for at in (each.created_at, each.updated_at) for by in (-1, 0, 1)]  # fmt: skip
    return st.sampled_from(sorted({f"{at:%Y-%m-%dT%H:%M:%SZ}" for at in instants}))


def listed(words: Sequence[str]) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(words), min_size=1, max_size=3).map(",".join)


PAGES: dict[str, st.SearchStrategy[Any]] = {
    "sort_key": st.sampled_from(["create_time", "update_time", "asset_order"]),
    "sort_dir": st.sampled_from(["asc", "desc"]),
    "offset": st.integers(0, 12),
    "limit": st.integers(1, 30),
}
quiet = settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))


def a_few(filters: Mapping[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """One to three filters: more together hardly ever leave anything."""
    chosen = st.lists(st.sampled_from(sorted(filters)), max_size=3, unique=True)
    return chosen.flatmap(lambda names: st.fixed_dictionaries({name: filters[name] for name in names}, optional=PAGES))


def test_the_list_of_jobs_is_what_its_filters_say(asked: Asked) -> None:
    instants, flag = times(asked.jobs), st.sampled_from(["true", "false"])
    filters = {
        "state": listed(STATES), "name": st.sampled_from([*WORDS, "a", "zz"]), "tag": st.sampled_from([*LABELS, "blu"]),
        "batch_name": st.sampled_from(["b1", "b2", "b"]), "job_id": st.sampled_from([asked.jobs[5].id, "nobody"]),
        "query_project_id": st.sampled_from(["project-1", "project-2"]),
        "train_location": st.sampled_from(["north", "n"]),
        "model_resolution": st.sampled_from(["1080P", "4K", "8K"]), "create_since": instants, "create_until": instants,
        "update_since": instants, "update_until": instants, **dict.fromkeys(FLAGS, flag),
    }  # fmt: skip

    @quiet
    @given(query=a_few(filters), user=st.sampled_from([*USERS, None, None]))
    def hold(query: dict[str, Any], user: str | None) -> None:
        answer = asked.ask("digital-human-training-manage/user/jobs", query, user)
        key = (lambda job: job.updated_at) if query.get("sort_key") == "update_time" else lambda job: job.created_at
        found = [job for job in asked.jobs if is_a_match(job, query, user)]
        wanted = page(in_order(found, query, key, newest_first=False), query)
        assert {"count": answer["count"], "ids": [job["job_id"] for job in answer["jobs"]]} == wanted

    hold()


def test_the_list_of_assets_is_what_its_filters_say(asked: Asked) -> None:
    instants = times(asked.assets)
    pairs = [f"{key}:{value}" for key, value in PROPERTIES]
    filters = {
        "name": st.sampled_from([*WORDS, asked.assets[0].name, "a", "1"]), "tag": listed([*LABELS, "bl", "%"]),
        "tag_combination_type": st.sampled_from(["INTERSECTION", "UNION_SET"]), "asset_type": listed(TYPES),
        "asset_state": listed(ASSET_STATES), "supported_service": st.sampled_from(SERVICES),
        "accurate_query_field": st.sampled_from([["name"], ["tag"], ["name", "tag"]]),
        "asset_id": st.lists(st.sampled_from([each.id for each in asked.assets]), min_size=1, max_size=3),
        "app_user_id": st.sampled_from(["user-1", "nobody"]), "system_property": listed(pairs[:2]),
        "asset_source": st.sampled_from(["SYSTEM", "CUSTOMIZATION", "ALL"]),
        "role": st.sampled_from(["SHARER", "SHAREE"]),
        "start_time": instants, "end_time": instants,
    }  # fmt: skip
    keys: dict[str, Callable[[Told], Any]] = {
        "update_time": lambda asset: asset.updated_at, "asset_order": lambda asset: asset.more["order"],
    }  # fmt: skip

    @quiet
    @given(query=a_few(filters))
    def hold(query: dict[str, Any]) -> None:
        answer = asked.ask("digital-assets", query)
        key = keys.get(query.get("sort_key", ""), lambda asset: asset.created_at)
        found = [asset for asset in asked.assets if is_an_asset_match(asset, query)]
        wanted = page(in_order(found, query, key, newest_first="sort_key" in query), query)
        assert {"count": answer["count"], "ids": [asset["asset_id"] for asset in answer["assets"]]} == wanted

    hold()
