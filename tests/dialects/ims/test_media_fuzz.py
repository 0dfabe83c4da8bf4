"""Whatever the parameters of the media operations are, they are answered, or refused as the caller's mistake."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.dialects.common.faults import Fault
from orchestrator.dialects.ims import errors
from orchestrator.dialects.ims.operations import OPERATIONS
from orchestrator.domain.errors import UnderstudyError
from orchestrator.domain.media_items import MediaQuery
from tests.databases import SQLiteFiles
from tests.fakes.app import World, a_world

MEDIA = {operation.name: operation for operation in OPERATIONS if "Media" in operation.name}
KNOWN = {
    "InputURL": ["oss://memory/inbox/project-1/a.mp4", "oss://memory/inbox/project-2/a.mp4", "http://[::1", "oss://b/"],
    "MediaType": ["video", "text", "VIDEO"], "BusinessType": ["general", "subtitles"], "Overwrite": ["True", "2"],
    "ClientToken": ["t" * 32], "ReferenceId": ["ref-001"], "MediaTags": ["a,b", "," * 40], "CateId": ["7", "-9" * 20],
    "FileInfo": [json.dumps({"Type": "video", "Name": "a", "Ext": "mp4", "Size": 10**30}),
                 json.dumps({"Type": "image", "Name": "a/../b", "Ext": ".jpg"}), "[", "null"],
    "MediaMetaData": [json.dumps({"Title": "t", "BusinessType": "general"}), "{}", "3"],
    "UploadTargetConfig": ["{}", '{"StorageType": "vod"}'], "MaxResults": ["1", "0", "9" * 30], "NextToken": ["0" * 32],
    "StartTime": ["2024-07-30T10:43:17Z", "0000-00-00T00:00:00Z"], "SortBy": ["asc"], "Status": ["Normal"],
    "AuthTimeout": ["1", "86401"], "MediaIds": [",", "a,b"], "InputURLs": ["oss://memory/inbox/project-1/a.mp4"],
    "DeletePhysicalFiles": ["true"], "AppendTags": ["True"], "Title": ["x"], "IncludeFileBasicInfo": ["true"],
}  # fmt: skip
OK = 200
ODD = st.one_of(st.text(max_size=60), st.sampled_from(["", "\0", "é" * 700, "\ud7ff", "-1", "1e9", "NaN"]))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with SQLiteFiles(tmp_path_factory.mktemp("fuzz")).migrated() as url, a_world(url) as world:
        yield world


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(data=st.data(), name=st.sampled_from(sorted(MEDIA)))
def test_no_parameters_break_an_operation(world: World, data: st.DataObject, name: str) -> None:
    held = [item.media.id for item in world.app.media.page(world.owner, MediaQuery("project-1", limit=5)).items] or [
        "0" * 32
    ]
    chosen = data.draw(st.lists(st.sampled_from([*KNOWN, "MediaId"]), unique=True, max_size=8))
    pairs = []
    for parameter in chosen:
        known = st.sampled_from(KNOWN.get(parameter, held))
        value = data.draw(st.one_of(known, known, ODD))
        pairs.append((parameter.encode(), value.encode()))
    status = OK
    try:
        json.dumps(MEDIA[name].run(world.app, world.owner, pairs))
    except Fault as fault:
        status = fault.status
    except UnderstudyError as exc:
        status = errors.fault_of(exc).status
    assert status in {OK, 400, 403, 404}
