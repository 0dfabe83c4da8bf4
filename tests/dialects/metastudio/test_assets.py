"""Assets and their files through the SDK: made, filled, found, shared, thrown away."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from huaweicloudsdkmetastudio.v1 import (
    AssetSharedConfig,
    AutoOperationConfig,
    BatchAssetActionReq,
    BatchExecuteAssetActionRequest,
    ConfirmFileUploadRequest,
    ConfirmFileUploadRequestBody,
    CreateDigitalAssetRequest,
    CreateDigitalAssetRequestBody,
    CreateFileRequest,
    CreateLargeFileRequest,
    DeleteAssetRequest,
    DeleteFileRequest,
    FilesCreateReq,
    LargeFilesCreateReq,
    ListAssetsRequest,
    ListAssetSummaryRequest,
    RestoreAssetRequest,
    ShowAssetRequest,
    UpdateDigitalAssetRequest,
    UpdateDigitalAssetRequestBody,
)
from huaweicloudsdkmetastudio.v1 import ListAssetSummarysReq as SummaryBody

from orchestrator.domain.actors import Role
from tests import web
from tests.dialects.metastudio.conftest import Api
from tests.dialects.metastudio.support import refused

Put = Callable[..., int]


def create(client: Any, name: str = "Clip", kind: str = "VIDEO", **fields: Any) -> str:
    body = CreateDigitalAssetRequestBody(asset_name=name, asset_type=kind, **fields)
    asset_id: str = client.create_digital_asset(CreateDigitalAssetRequest(body=body)).asset_id
    return asset_id


def show(client: Any, asset_id: str) -> Any:
    return client.show_asset(ShowAssetRequest(asset_id=asset_id))


def update(client: Any, asset_id: str, **fields: Any) -> Any:
    return client.update_digital_asset(
        UpdateDigitalAssetRequest(asset_id=asset_id, body=UpdateDigitalAssetRequestBody(**fields))
    )


def found(client: Any, **query: Any) -> list[str]:
    answer = client.list_assets(ListAssetsRequest(**query))
    assert answer.count >= len(answer.assets)
    return [asset.asset_name for asset in answer.assets]


def md5(data: bytes) -> str:
    return base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()


def new_file(client: Any, asset_id: str, data: bytes, name: str = "clip.mp4", category: str = "MAIN") -> Any:
    body = FilesCreateReq(
        file_name=name, file_md5=md5(data), file_size=len(data), file_type=name.rpartition(".")[2], asset_id=asset_id,
        asset_file_category=category,
    )  # fmt: skip
    return client.create_file(CreateFileRequest(body=body))


def confirm(client: Any, file_id: str, state: str = "CREATED") -> None:
    client.confirm_file_upload(
        ConfirmFileUploadRequest(file_id=file_id, body=ConfirmFileUploadRequestBody(state=state))
    )


def filled(client: Any, put: Put, name: str = "Clip", **fields: Any) -> str:
    asset_id = create(client, name, **fields)
    data = name.encode()
    file = new_file(client, asset_id, data)
    assert put(file.upload_url, data, "video/mp4", **{"Content-MD5": md5(data)}) == 200
    confirm(client, file.file_id)
    return asset_id


def batch(client: Any, action: str, *asset_ids: str, params: str | None = None) -> list[Any]:
    body = BatchAssetActionReq(action=action, asset_ids=list(asset_ids), params=params)
    results: list[Any] = client.batch_execute_asset_action(BatchExecuteAssetActionRequest(body=body)).results
    return results


def test_an_asset_becomes_usable_with_its_main_file(client: Any, put: Put) -> None:
    asset_id = create(client, tags=["news"], asset_order=3, asset_description="a clip", supported_service=["VIDEO_2D"])
    assert show(client, asset_id).asset_state == "CREATING"
    data = b"a film"
    file = new_file(client, asset_id, data)
    assert put(file.upload_url, data, "video/mp4", **{"Content-MD5": md5(data)}) == 200
    confirm(client, file.file_id)
    shown = show(client, asset_id)
    assert (shown.asset_state, shown.asset_name, shown.asset_type) == ("ACTIVED", "Clip", "VIDEO")
    assert (shown.tags, shown.asset_order, shown.asset_description) == (["news"], 3, "a clip")
    assert shown.supported_service == ["VIDEO_2D"]
    [held] = shown.files
    assert (held.file_md5, held.file_size, held.state) == (md5(data), len(data), "CREATED")
    assert (held.asset_file_category, held.file_type) == ("MAIN", "mp4")
    assert shown.asset_extra_meta.video_meta.duration == 200

    assert web.get(held.download_url).content == data


def test_a_large_file_comes_in_parts(client: Any, put: Put) -> None:
    asset_id = create(client)
    body = LargeFilesCreateReq(
        file_name="raw.mov", file_type="mov", asset_id=asset_id, asset_file_category="MAIN", file_multipart_count=2
    )
    file = client.create_large_file(CreateLargeFileRequest(body=body))
    assert len(file.upload_urls) == 2
    assert put(file.upload_urls[1], b"end") == 200
    refused(lambda: confirm(client, file.file_id), "MSS.10000003")
    assert put(file.upload_urls[0], b"x" * (5 << 20)) == 200
    confirm(client, file.file_id)
    assert show(client, asset_id).files[0].file_size == (5 << 20) + 3


def test_other_bytes_than_announced_fail_the_file_and_its_asset(client: Any, put: Put) -> None:
    asset_id = create(client)
    file = new_file(client, asset_id, b"told")
    assert put(file.upload_url, b"sent", "video/mp4") == 200
    refused(lambda: confirm(client, file.file_id), "MSS.10000003")
    shown = show(client, asset_id)
    assert (shown.asset_state, shown.files[0].state) == ("FAILED", "FAILED")
    again = new_file(client, asset_id, b"sent")
    assert put(again.upload_url, b"sent", "video/mp4") == 200
    confirm(client, again.file_id)
    assert show(client, asset_id).asset_state == "ACTIVED"


@pytest.mark.parametrize(("word", "state"), [("FAILED", "FAILED"), ("CANCELLED", "CREATING")])
def test_an_upload_that_came_to_nothing(client: Any, word: str, state: str) -> None:
    asset_id = create(client)
    file = new_file(client, asset_id, b"x")
    confirm(client, file.file_id, word)
    shown = show(client, asset_id)
    assert (shown.asset_state, shown.files[0].state) == (state, word)


def test_one_main_file_and_the_categories_of_the_type(client: Any, put: Put) -> None:
    asset_id = filled(client, put)
    refused(lambda: new_file(client, asset_id, b"x"), "MSS.10001008")
    refused(lambda: new_file(client, asset_id, b"x", category="PAGE"), "MSS.10000003")
    refused(lambda: new_file(client, "nobody", b"x"), "MSS.10001001")
    cover = new_file(client, asset_id, b"x", "c.png", "COVER")
    refused(lambda: new_file(client, asset_id, b"x", "c.png", "COVER"), "MSS.10001009")
    client.delete_file(DeleteFileRequest(file_id=cover.file_id))
    refused(lambda: client.delete_file(DeleteFileRequest(file_id=cover.file_id)), "MSS.10001004")
    assert [file.asset_file_category for file in show(client, asset_id).files] == ["MAIN"]


def test_what_is_sent_is_changed_and_nothing_else(client: Any, put: Put) -> None:
    asset_id = filled(client, put, tags=["a"], asset_order=1)
    changed = update(client, asset_id, asset_name="New", asset_state="UNACTIVED", asset_description="d")
    assert (changed.asset_name, changed.asset_state, changed.tags, changed.asset_order) == (
        "New",
        "UNACTIVED",
        ["a"],
        1,
    )
    changed = update(client, asset_id, tags=[], asset_state="ACTIVED")
    assert (changed.asset_name, changed.asset_state, changed.asset_description) == ("New", "ACTIVED", "d")
    create(client, "Other")
    refused(lambda: update(client, asset_id, asset_name="Other"), "MSS.10001005")
    refused(lambda: create(client, "Other"), "MSS.10001005")
    refused(lambda: update(client, create(client, "Empty"), asset_state="ACTIVED"), "MSS.10000003")
    refused(lambda: create(client, "Model", "HUMAN_MODEL_2D"), "MSS.10000003")


def test_the_recycle_bin_keeps_for_seven_days(api: Api, client: Any, put: Put) -> None:
    asset_id = filled(client, put)
    client.delete_asset(DeleteAssetRequest(asset_id=asset_id))
    assert show(client, asset_id).asset_state == "DELETING"
    client.restore_asset(RestoreAssetRequest(asset_id=asset_id))
    assert show(client, asset_id).asset_state == "UNACTIVED"
    refused(lambda: client.restore_asset(RestoreAssetRequest(asset_id=asset_id)), "MSS.10000003")
    client.delete_asset(DeleteAssetRequest(asset_id=asset_id))
    file_id = show(client, asset_id).files[0].file_id
    soon = api.world.clock() + timedelta(days=6, hours=23)
    assert api.world.app.library.due(soon, 10) == []
    late = api.world.clock() + timedelta(days=7, minutes=1)
    [due] = api.world.app.library.due(late, 10)
    api.world.app.library.come_due(due, late)
    refused(lambda: show(client, asset_id), "MSS.10001001")
    with api.world.database.read() as tx:
        assert tx.files.get(file_id).state == "deleting"


def test_by_force_it_is_gone_at_once(client: Any, put: Put) -> None:
    asset_id = filled(client, put)
    client.delete_asset(DeleteAssetRequest(asset_id=asset_id, mode="force"))
    refused(lambda: show(client, asset_id), "MSS.10001001")
    refused(lambda: client.delete_asset(DeleteAssetRequest(asset_id=asset_id, mode="gently")), "MSS.10001002")


def test_what_its_owner_planned_happens_by_itself(api: Api, client: Any, put: Put) -> None:
    at = datetime.now(UTC) + timedelta(hours=1)
    plan = [AutoOperationConfig(operation="BLOCK", operation_time=at.strftime("%Y-%m-%dT%H:%M:%SZ"))]
    asset_id = filled(client, put, auto_operation_config=plan)
    assert show(client, asset_id).auto_operation_config[0].operation == "BLOCK"
    late = api.world.clock() + timedelta(hours=2)
    [due] = api.world.app.library.due(late, 10)
    api.world.app.library.come_due(due, late)
    shown = show(client, asset_id)
    assert shown.asset_state == "BLOCK"
    assert shown.files[0].download_url is None
    assert api.world.app.library.due(late + timedelta(days=99), 10) == []


def test_a_batch_tells_of_every_outcome_as_a_group(client: Any, put: Put) -> None:
    one, two = filled(client, put, "One"), filled(client, put, "Two")
    done, failed = batch(client, "UNACTIVE", one, two, "nobody")
    assert (done.ret_status, sorted(done.asset_ids)) == ("SUCCESS", sorted([one, two]))
    assert (failed.ret_status, failed.asset_ids) == ("FAILED", ["nobody"])
    assert failed.error_info.error_code == "MSS.10001001"
    for action, state in (("ACTIVE", "ACTIVED"), ("DELETE", "DELETING"), ("RESTORE", "UNACTIVED")):
        [only] = batch(client, action, one)
        assert only.ret_status == "SUCCESS"
        assert show(client, one).asset_state == state
    assert batch(client, "DELETE_FORCE", one, two)[0].asset_ids == [one, two]
    assert found(client) == []
    refused(lambda: batch(client, "EXPLODE", one), "MSS.10000003")


def test_an_asset_is_shared_with_those_it_names(api: Api, client: Any, put: Put) -> None:
    asset_id = filled(client, put)
    friend, stranger = api.client(api.key("project-2")), api.client(api.key("project-3"))
    refused(lambda: show(friend, asset_id), "MSS.10001001")
    [done] = batch(client, "SHARE", asset_id, params='{"shared_type": "SHARED", "allowed_project_ids": ["project-2"]}')
    assert done.ret_status == "SUCCESS"
    assert show(friend, asset_id).asset_id == asset_id
    assert found(friend, role="SHAREE") == ["Clip"]
    assert found(friend) == []
    assert found(client, role="SHARER") == ["Clip"]
    assert found(stranger, role="SHAREE") == []
    refused(lambda: update(friend, asset_id, asset_name="Mine"), "MSS.10001001")
    refused(lambda: show(stranger, asset_id), "MSS.10001001")
    batch(client, "UNSHARE", asset_id)
    refused(lambda: show(friend, asset_id), "MSS.10001001")
    config = AssetSharedConfig(
        shared_type="SHARED", allowed_project_ids=["project-2"], expire_time="2024-01-01T00:00:00Z"
    )
    update(client, asset_id, shared_config=config)
    refused(lambda: show(friend, asset_id), "MSS.10001001")
    public = AssetSharedConfig(shared_type="PUBLIC")
    refused(lambda: update(client, asset_id, shared_config=public), "MSS.10000003")
    refused(lambda: create(client, "Mine", shared_config=public), "MSS.10000003")
    [failed] = batch(client, "SHARE", asset_id, params='{"shared_type": "PUBLIC"}')
    assert (failed.ret_status, failed.error_info.error_code) == ("FAILED", "MSS.10000003")
    staff = api.client(api.key("people", Role.ADMIN))
    update(staff, filled(staff, put, "Logo"), shared_config=public)
    assert found(stranger, asset_source="SYSTEM") == ["Logo"]


def test_assets_of_others_are_not_there(api: Api, client: Any, put: Put) -> None:
    asset_id = filled(client, put)
    file_id = show(client, asset_id).files[0].file_id
    stranger = api.client(api.key("project-2"))
    for call in (
        lambda: show(stranger, asset_id),
        lambda: update(stranger, asset_id, asset_name="x"),
        lambda: stranger.delete_asset(DeleteAssetRequest(asset_id=asset_id)),
        lambda: new_file(stranger, asset_id, b"x"),
    ):
        refused(call, "MSS.10001001")
    refused(lambda: confirm(stranger, file_id), "MSS.10001004")
    refused(lambda: stranger.delete_file(DeleteFileRequest(file_id=file_id)), "MSS.10001004")
    assert found(stranger, asset_source="ALL") == []
    summary = stranger.list_asset_summary(ListAssetSummaryRequest(body=SummaryBody(asset_ids=[asset_id])))
    assert summary.asset_list == []


def test_a_summary_of_those_that_are_there(client: Any, put: Put) -> None:
    asset_id = filled(client, put)
    body = SummaryBody(asset_ids=[asset_id, "nobody"])
    [only] = client.list_asset_summary(ListAssetSummaryRequest(body=body)).asset_list
    assert (only.asset_id, only.asset_name, only.asset_state, only.asset_type) == (asset_id, "Clip", "ACTIVED", "VIDEO")
