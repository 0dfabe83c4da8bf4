"""Anybody sends anything to the upload endpoints, in any order: no 500, and what is sealed stays as it is."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.domain.model import FileKind, FileState
from orchestrator.domain.uploads import MAX_PARTS
from tests.dialects.native.conftest import Api

ON_FROM = {
    FileState.OPEN: {FileState.SEALING, FileState.SEALED, FileState.ABORTING, FileState.ABORTED},
    FileState.SEALING: {FileState.SEALED, FileState.OPEN, FileState.ABORTING, FileState.ABORTED},
    FileState.SEALED: {FileState.DELETING, FileState.DELETED},
    FileState.ABORTING: {FileState.ABORTED},
    FileState.DELETING: {FileState.DELETED},
}
NUMBERS = st.one_of(st.integers(-2, 4), st.sampled_from([MAX_PARTS, MAX_PARTS + 1, 2**31, 2**63, 10**30]))
ODD = st.one_of(st.none(), st.booleans(), NUMBERS, st.floats(), st.text(max_size=8), st.lists(NUMBERS, max_size=3))
KINDS = st.one_of(st.sampled_from([kind.value for kind in FileKind]), st.just("training_video"), st.just("cover"))
WHOLE = st.fixed_dictionaries(
    {"kind": KINDS, "name": st.one_of(st.just("a.mp4"), st.text(max_size=300))},
    optional={
        "size_bytes": st.one_of(st.integers(1, 3), NUMBERS), "part_count": NUMBERS,
        "content_type": st.one_of(st.just("video/mp4"), st.text(max_size=12)),
    },
)  # fmt: skip
FIELDS = st.dictionaries(st.sampled_from(["kind", "name", "size_bytes", "part_count", "x"]), ODD, max_size=2)
OPENING = st.one_of(WHOLE, WHOLE, st.builds(lambda whole, odd: whole | odd, WHOLE, FIELDS), ODD)
NUMBERED = st.fixed_dictionaries({"part_numbers": st.one_of(st.lists(NUMBERS, max_size=4), ODD)})
SIGNING = st.one_of(st.none(), NUMBERED, ODD)
STEPS = st.one_of(
    st.tuples(st.just("open"), OPENING),
    st.tuples(st.just("put"), st.binary(max_size=3)),
    st.tuples(st.sampled_from(["show", "complete", "give_up", "submit"]), st.none()),
    st.tuples(st.just("sign"), SIGNING),
)


def test_whatever_is_sent_to_the_upload_endpoints(api: Api) -> None:
    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(steps=st.lists(st.tuples(STEPS, st.integers(0, 5)), max_size=12))
    def walk(steps: list[tuple[tuple[str, Any], int]]) -> None:
        visit = Visit(api)
        for (step, given_), which in steps:
            visit.take(step, given_, which)
            visit.check()

    walk()


class Visit:
    """One draft and whoever sends files to it."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._job_id = api.draft("plain")["id"]
        self._files: list[str] = ["none", "\x00", "é/.."]
        self._urls: list[str] = []
        self._seen: dict[str, tuple[FileState, str | None, str | None]] = {}

    def take(self, step: str, given_: Any, which: int) -> None:
        file_id = self._files[-1 - which % len(self._files)]
        path = f"/files/{quote(file_id, safe='')}"
        if step == "open":
            answer = self._api.owner.ask("POST", f"/jobs/{self._job_id}/files", content=_json(given_), headers=_JSON)
            if answer.status_code == 201:
                self._files.append(answer.json()["file"]["id"])
                self._urls += [each["url"] for each in answer.json()["urls"][:3]]
        elif step == "put":
            if self._urls:  # also of uploads that are long sealed or given up
                self._api.world.storage.put_url(self._urls[-1 - which % len(self._urls)], given_)
            return
        elif step == "sign":
            answer = self._api.owner.ask("POST", f"{path}/urls", content=_json(given_), headers=_JSON)
            if answer.status_code == 200:
                self._urls += [each["url"] for each in answer.json()["urls"][:3]]
        else:
            method, target = {
                "show": ("GET", path), "complete": ("POST", f"{path}/complete"), "give_up": ("DELETE", path),
                "submit": ("POST", f"/jobs/{self._job_id}/submit"),
            }[step]  # fmt: skip
            answer = self._api.owner.ask(method, target)
        assert answer.status_code < 500, (step, given_, answer.text)
        if answer.status_code >= 400:
            assert answer.headers["content-type"] == "application/problem+json", (step, given_, answer.text)

    def check(self) -> None:
        """Files only go on as they may; the bytes of a sealed one are those that were sealed."""
        storage = self._api.world.storage
        with self._api.world.app.context.store.read() as tx:
            files = tx.files.of_job(self._job_id)
        for file in files:
            state, final_key, etag = self._seen.get(file.id, (FileState.OPEN, None, None))
            assert file.state is state or file.state in ON_FROM.get(state, set()), (state, file.state)
            if state is FileState.SEALED:
                assert (file.final_key, file.etag) == (final_key, etag)
            if file.state is FileState.SEALED:
                found = storage.head(str(file.final_key))
                assert found is not None and found.etag == file.etag  # noqa: PT018  one claim
            self._seen[file.id] = (file.state, file.final_key, file.etag)


_JSON = {"Content-Type": "application/json"}


def _json(value: object) -> bytes:
    return json.dumps(value).encode()
