"""Every filter of both lists through the SDK, on both databases."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from huaweicloudsdkmetastudio.v1 import AssetExtraMeta, SystemProperty, VoiceModelAssetMeta

from tests.dialects.metastudio import test_assets as assets
from tests.dialects.metastudio.conftest import Api
from tests.dialects.metastudio.support import refused
from tests.dialects.metastudio.test_assets import filled, found
from tests.dialects.metastudio.test_jobs import command, create, listed, show, submitted
from tests.fakes.app import REFUSED

Put = Callable[..., int]
VIDEO = b"v" * 100  # what `submitted` sends


@pytest.fixture
def url(database_url: str) -> str:
    return database_url


def test_every_filter_finds_the_jobs_it_should(api: Api, client: Any, put: Put) -> None:
    ids = {
        "Anna": submitted(client, put, name="Anna", batch_name="b1", tags=["x", "y"], is_flexus=True).job_id,
        "Berta": create(client, "Berta", tags=["yy"], is_live_copy=True, is_ondemand_resource=True).job_id,
        "Hanna": create(client, "Hanna").job_id,
    }
    for query, names in (
        ({}, ["Anna", "Berta", "Hanna"]),
        ({"sort_dir": "desc"}, ["Hanna", "Berta", "Anna"]),
        ({"sort_key": "update_time", "sort_dir": "desc"}, None),
        ({"sort_key": "asset_order"}, ["Anna", "Berta", "Hanna"]),
        ({"offset": 1, "limit": 1}, ["Berta"]),
        ({"state": "AUTO_VERIFYING"}, ["Anna"]),
        ({"state": "AUTO_VERIFYING,WAIT_FILE_UPLOAD"}, ["Anna", "Berta", "Hanna"]),
        ({"state": "WAIT_FILE_UPLOAD,WAIT_FILE_UPLOAD"}, ["Berta", "Hanna"]),
        ({"name": "nna"}, ["Anna", "Hanna"]),
        ({"batch_name": "b1"}, ["Anna"]),
        ({"tag": "y"}, ["Anna"]),
        ({"job_id": ids["Berta"]}, ["Berta"]),
        ({"is_flexus": True}, ["Anna"]),
        ({"is_flexus": False}, ["Berta", "Hanna"]),
        ({"is_live_copy": True}, ["Berta"]),
        ({"is_ondemand_resource": True}, ["Berta"]),
        ({"train_location": "cn-north-4"}, []),
        ({"model_resolution": "4K"}, []),
        ({"model_resolution": "1080P"}, ["Anna", "Berta", "Hanna"]),
        ({"model_resolution": "8K"}, []),
        ({"create_since": "2020-01-01T00:00:00Z", "create_until": "2030-01-01T00:00:00Z"}, ["Anna", "Berta", "Hanna"]),
        ({"create_until": "2020-01-01T00:00:00Z"}, []),
        ({"update_since": "2020-01-01T00:00:00Z"}, ["Anna", "Berta", "Hanna"]),
        ({"update_until": "2020-01-01T00:00:00Z"}, []),
        ({"query_project_id": "project-1"}, ["Anna", "Berta", "Hanna"]),
        ({"query_project_id": "project-2"}, []),
    ):
        page = listed(client, **query)
        shown = [job.name for job in page.jobs]
        if names is not None:
            assert shown == names, query
        assert page.count == (3 if "limit" in query else len(shown)), query
    with api.world.database.begin() as tx:
        [video] = [f for f in tx.files.of_job(ids["Anna"]) if f.kind == "training_video"]
        tx.files.record(video.id, facts={"display": [3840, 2160]})
    assert [(job.name, job.model_resolution) for job in listed(client, model_resolution="4K").jobs] == [("Anna", "4K")]
    api.world.prober.refuse[VIDEO] = (REFUSED,)  # so that its owner may delete the video
    api.verify()
    with api.world.database.begin() as tx:
        tx.files.record(video.id, facts={"display": [3840, 2160]})
    assert command(client, ids["Anna"], "DELETE_JOB_VIDEO").commond_result == "EXCUTE_SUCCESS"
    shown = show(client, ids["Anna"])
    assert (shown.model_resolution, shown.training_video_download_url) == ("4K", None)
    assert [(job.name, job.model_resolution) for job in listed(client, model_resolution="4K").jobs] == [("Anna", "4K")]
    assert listed(client, model_resolution="1080P").count == 2
    for query in ({"limit": 0}, {"limit": 101}, {"state": "BROKEN"}, {"sort_dir": "up"}, {"create_since": "now"}):
        refused(lambda query=query: listed(client, **query), "MSS.00000003")


def test_every_filter_finds_the_assets_it_should(client: Any, put: Put) -> None:
    voice = VoiceModelAssetMeta(sex="MALE")
    ids = {
        "Sea": filled(client, put, "Sea", tags=["blue", "water"], asset_order=2, supported_service=["VIDEO_2D"]),
        "Land": assets.create(client, "Land", "IMAGE", tags=["green"], asset_order=1, system_properties=[
            SystemProperty(key="BACKGROUND_IMG", value="Yes"), SystemProperty(key="IS_CONTROLLED", value="YES")]),
        "Song": assets.create(client, "Song", "MUSIC", tags=["blue"], asset_order=3,
                       asset_extra_meta=AssetExtraMeta(voice_model_meta=voice)),
    }  # fmt: skip
    for query, names in (
        ({}, ["Sea", "Land", "Song"]),
        ({"sort_dir": "desc"}, ["Song", "Land", "Sea"]),
        ({"sort_key": "asset_order"}, ["Land", "Sea", "Song"]),
        ({"limit": 1, "offset": 1}, ["Land"]),
        ({"name": "a"}, ["Sea", "Land"]),
        ({"name": "Sea", "accurate_query_field": ["name"]}, ["Sea"]),
        ({"name": "Se", "accurate_query_field": ["name", "tag"]}, []),
        ({"tag": "blue"}, ["Sea", "Song"]),
        ({"tag": "blue,green"}, ["Sea", "Land", "Song"]),
        ({"tag": "blue,water", "tag_combination_type": "INTERSECTION"}, ["Sea"]),
        ({"tag": "lu"}, ["Sea", "Song"]),
        ({"tag": "lu", "accurate_query_field": ["tag"]}, []),
        ({"asset_type": "IMAGE,MUSIC"}, ["Land", "Song"]),
        ({"asset_state": "ACTIVED"}, ["Sea"]),
        ({"asset_state": "CREATING,FAILED"}, ["Land", "Song"]),
        ({"asset_id": [ids["Sea"], ids["Song"]]}, ["Sea", "Song"]),
        ({"asset_source": "SYSTEM"}, []),
        ({"asset_source": "ALL"}, ["Sea", "Land", "Song"]),
        ({"system_property": "BACKGROUND_IMG:Yes"}, ["Land"]),
        ({"system_property": "IS_CONTROLLED:YES"}, []),
        ({"style_id": "system_male_001"}, []),
        ({"supported_service": "VIDEO_2D"}, ["Sea"]),
        ({"start_time": "2020-01-01T00:00:00Z", "end_time": "2020-01-02T00:00:00Z"}, []),
        ({"start_time": "2020-01-01T00:00:00Z"}, ["Sea", "Land", "Song"]),
        ({"sex": "MALE"}, []),
        ({"language": "CN,EN"}, []),
        ({"action_editable": True}, []),
        ({"action_editable": False, "is_with_action_library": False, "is_movable": False}, ["Sea", "Land", "Song"]),
        ({"voice_provider": "MOBVOI"}, []),
        ({"is_realtime_voice": True}, []),
        ({"human_model_2d_version": "V3_2"}, []),
        ({"include_device_name": "T4"}, []),
        ({"exclude_device_name": "T4"}, ["Sea", "Land", "Song"]),
        ({"app_user_id": "nobody"}, []),
    ):
        assert found(client, **query) == names, query
    for query in (
        {"limit": 101},
        {"asset_state": "BROKEN"},
        {"asset_type": "FILM"},
        {"sort_key": "size"},
        {"start_time": "yesterday"},
    ):
        refused(lambda query=query: found(client, **query), "MSS.10001002")
