"""Requests about assets and their files. Limits are the vendor's."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from orchestrator.dialects.common.wire import QueryBool, Text, instant
from orchestrator.dialects.metastudio.asset_meta_schemas import AssetExtraMeta
from orchestrator.dialects.metastudio.job_schemas import Service, Services
from orchestrator.dialects.metastudio.wire import (
    Exactly24,
    Id,
    Limit,
    Offset,
    Some64,
    Some256,
    Some1024,
    Text64,
    Text128,
    Text256,
    Text512,
    Text1024,
    Text4096,
    Time,
    Wire,
)

AssetType = Literal[
    "VOICE_MODEL", "VIDEO", "IMAGE", "PPT", "MUSIC", "AUDIO", "COMMON_FILE", "HUMAN_MODEL_2D", "BUSINESS_CARD_TEMPLET",
    "MATERIAL", "HUMAN_MODEL", "SCENE", "ANIMATION", "NORMAL_MODEL", "MODEL",
]  # fmt: skip
FileCategory = Literal["MAIN", "COVER", "PAGE", "SAMPLE", "OTHER", "TEMPORARY", "PACKAGE"]
LargeFileCategory = Literal["MAIN", "OTHER", "PACKAGE"]
PropertyKey = Literal[
    "BACKGROUND_IMG", "CREATED_BY_PLATFORM", "BACKGROUND_SCENE", "MEITUAN_MATERIAL_APPROVED", "IS_CONTROLLED",
    "LIVE_IS_AUTHORIZED", "VIDEO_IS_AUTHORIZED", "CHAT_IS_AUTHORIZED", "MATERIAL_IMG", "MATERIAL_VIDEO",
    "DIGITAL_HUMAN_2D_VIDEO", "BUSINESS_CARD_VIDEO", "BUSSINESS_CARD_VIDEO", "PHOTO_VIDEO", "STYLE_ID", "DH_ID",
    "PLATFORM_AVAILABLE", "RENDER_ENGINE", "DIGITAL_HUMAN_3D_VIDEO", "TO_BE_TRANSLATED_VIDEO", "TRANSLATED_VIDEO",
    "LAYER_CONFIG_ENABLE",
]  # fmt: skip
MAX_FILE: int = 5_368_709_120
MAX_LARGE_FILE: int = 536_870_912_000


def _full_time(value: str) -> str:
    instant(value)
    return value


def _md5(value: str) -> str:
    try:
        digest = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise ValueError("the MD5 is written in Base64") from exc
    if len(digest) != 16:  # noqa: PLR2004  bytes of an MD5
        raise ValueError("an MD5 has 16 bytes: 24 characters of Base64")
    return value


class ReviewConfig(Wire):
    no_need_review: bool | None = None


class SystemProperty(Wire):
    action: Literal["ADD", "DELETE"] | None = None
    key: PropertyKey | None = None
    value: Some1024 | None = None


class SharedConfig(Wire):
    shared_type: Literal["PRIVATE", "PUBLIC", "SHARED"] | None = None
    expire_time: Time | None = None
    allowed_project_ids: Annotated[list[Id], Field(max_length=1000)] | None = None


class AutoOperation(Wire):
    operation: Literal["BLOCK", "DELETE"]
    operation_time: Annotated[Text, AfterValidator(_full_time)]


class _Asset(Wire):
    """What create and update have in common. What is not sent stays None, and unchanged."""

    asset_description: Text4096 | None = None
    review_config: ReviewConfig | None = None
    tags: Annotated[list[Text128], Field(max_length=50)] | None = None
    asset_extra_meta: AssetExtraMeta | None = None
    system_properties: Annotated[list[SystemProperty], Field(max_length=50)] | None = None
    shared_config: SharedConfig | None = None
    asset_order: Annotated[int, Field(ge=0, le=32767)] | None = None
    supported_service: Services | None = None
    auto_operation_config: Annotated[list[AutoOperation], Field(max_length=50)] | None = None


class CreateAsset(_Asset):
    asset_name: Text256
    asset_type: AssetType
    is_need_generate_cover: bool | None = None


class UpdateAsset(_Asset):
    asset_name: Text256 | None = None
    asset_type: AssetType | None = None
    asset_state: Literal["UNACTIVED", "ACTIVED"] | None = None


class Summarize(Wire):
    asset_ids: Annotated[list[Id], Field(max_length=100)]


class BatchAction(Wire):
    action: Literal["DELETE", "DELETE_FORCE", "RESTORE", "UNACTIVE", "ACTIVE", "SHARE", "UNSHARE"]
    asset_ids: Annotated[list[Id], Field(min_length=1, max_length=100)]
    params: Text4096 | None = None


class DeleteAsset(Wire):
    mode: Literal["force"] | None = None


class ListAssets(Wire):
    limit: Limit = 10
    offset: Offset = 0
    name: Text128 = ""
    tag: Text1024 = ""
    tag_combination_type: Literal["INTERSECTION", "UNION_SET"] = "UNION_SET"
    start_time: Time = ""
    end_time: Time = ""
    asset_type: Text128 = ""
    sort_key: Literal["create_time", "update_time", "asset_order"] = "create_time"
    sort_dir: Literal["asc", "desc"] = "asc"
    asset_source: Literal["SYSTEM", "CUSTOMIZATION", "ALL"] = "CUSTOMIZATION"
    asset_state: Text512 = ""
    style_id: Text64 = ""
    accurate_query_field: Annotated[list[Text], Field(max_length=50)] = Field(default=[])
    asset_id: Annotated[list[Id], Field(max_length=200)] = Field(default=[])
    sex: Text128 = ""
    language: Text128 = ""
    system_property: Text1024 = ""
    action_editable: QueryBool | None = None
    is_with_action_library: QueryBool | None = None
    is_movable: QueryBool | None = None
    voice_provider: Text128 = ""
    role: Literal["SHARER", "SHAREE"] | None = None
    is_realtime_voice: QueryBool | None = None
    human_model_2d_version: Text128 = ""
    include_device_name: Text128 = ""
    exclude_device_name: Text128 = ""
    supported_service: Service | None = None
    app_user_id: Text256 = ""


class CreateFile(Wire):
    file_name: Some256
    file_md5: Annotated[Exactly24, AfterValidator(_md5)]
    file_size: Annotated[int, Field(ge=1, le=MAX_FILE)]
    file_type: Some64
    asset_id: Id
    asset_file_category: FileCategory


class CreateLargeFile(Wire):
    file_name: Some256
    file_size: Annotated[int, Field(ge=1, le=MAX_LARGE_FILE)] | None = None
    file_type: Some64
    asset_id: Id
    asset_file_category: LargeFileCategory
    file_multipart_count: Annotated[int, Field(ge=1, le=100)] | None = None


class ConfirmFile(Wire):
    state: Literal["CREATED", "FAILED", "CANCELLED"]
