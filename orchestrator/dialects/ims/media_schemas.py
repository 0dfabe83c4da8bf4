"""What the operations on media take. The limits of their texts count bytes, those of an upload's title characters."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, ClassVar, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Json

from orchestrator.dialects.common.wire import MAX_INT, NoNul, QueryBool, Text, instant, last_instant, split
from orchestrator.dialects.ims.wire import Bytes64, Bytes128, Bytes1024, MediaId, PageSize, Parameters

MAX_TAGS = 16
MAX_TAG_BYTES = 32
MAX_AT_ONCE = 100


def _tags(text: str) -> str:
    tags = split(text)
    if len(tags) > MAX_TAGS:
        raise ValueError(f"there are {len(tags)} tags, {MAX_TAGS} are allowed")
    long = next((tag for tag in tags if len(tag.encode()) > MAX_TAG_BYTES), None)
    if long is not None:
        raise ValueError(f"the tag {long[:40]!r} has more than {MAX_TAG_BYTES} bytes")
    return ",".join(tags)


def _some(text: str) -> str:
    count = len(split(text))
    if not 1 <= count <= MAX_AT_ONCE:
        raise ValueError(f"it names {count} media, 1 to {MAX_AT_ONCE} are allowed")
    return text


def _time(text: str) -> str:
    instant(text)
    return text


def _json(text: str) -> str:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("it is no JSON text") from None
    return text


def _known_place(text: str) -> str:
    if text and not text.lower().startswith("oss"):
        raise ValueError("the only storage type is oss")
    return text


Address = Annotated[str, Field(min_length=1, max_length=4096), NoNul]
Listed = Annotated[Text, AfterValidator(_some)]
Tags = Annotated[Text, AfterValidator(_tags)]
Time = Annotated[Text, AfterValidator(_time)]
ReferenceId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{6,64}$")]
CateId = Annotated[int, Field(ge=-MAX_INT, le=MAX_INT)]
AuthTimeout = Annotated[int, Field(ge=1, le=86400)]
Kind = Literal["image", "video", "audio", "text"]
Business = Literal["subtitles", "font", "watermark", "opening", "ending", "general"]
Changeable = Literal["subtitles", "watermark", "opening", "ending", "general"]
# What an upload of each type may be for. The vendor's type "material" of watermarks is none of its types: a picture is.
BUSINESS_OF: Final[Mapping[str, tuple[str, ...]]] = {
    "video": ("opening", "ending", "general"),
    "image": ("default", "cover", "watermark", "general"),
    "audio": ("general",),
    "text": ("subtitles", "font", "general"),
    "other": ("watermark", "general"),
}
Status = Literal["Init", "Preparing", "PrepareFail", "Normal"]


class Register(Parameters):
    input_url: Address = Field(alias="InputURL")
    media_type: Kind | None = None
    business_type: Business | None = None
    title: Bytes128 = ""
    description: Bytes1024 = ""
    media_tags: Tags = ""
    cover_url: Bytes128 = Field("", alias="CoverURL")
    user_data: Annotated[Bytes1024, AfterValidator(_json)] = ""
    overwrite: QueryBool = False
    client_token: Bytes64 | None = None
    reference_id: ReferenceId | None = None
    cate_id: CateId | None = None


class Get(Parameters):
    media_id: MediaId | None = None
    input_url: Address | None = Field(None, alias="InputURL")
    output_type: Literal["oss", "cdn"] = "oss"
    auth_timeout: AuthTimeout = 3600


class BatchGet(Parameters):
    media_ids: Listed
    addition_type: Text = ""
    auth_timeout: AuthTimeout = 3600


class _InJson(BaseModel):
    """A structure that comes as JSON in a text. What is not known is ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class FileInfo(_InJson):
    type: Literal["video", "image", "audio", "text", "other"] = Field(alias="Type")
    name: Annotated[str, Field(min_length=1, max_length=200), NoNul] = Field(alias="Name")
    ext: Annotated[str, Field(pattern=r"^\.?[A-Za-z0-9]{1,16}$")] = Field(alias="Ext")
    size: Annotated[int, Field(ge=1)] | None = Field(None, alias="Size")


class MetaData(_InJson):
    title: Annotated[str, Field(min_length=1, max_length=128), NoNul] = Field(alias="Title")
    description: Annotated[str, Field(max_length=1024), NoNul] = Field("", alias="Description")
    cate_id: CateId | None = Field(None, alias="CateId")
    tags: Tags = Field("", alias="Tags")
    business_type: Text = Field(alias="BusinessType")
    cover_url: Bytes128 = Field("", alias="CoverURL")


class Target(_InJson):
    storage_type: Annotated[str, AfterValidator(_known_place)] = Field("", alias="StorageType")


class CreateUpload(Parameters):
    file_info: Json[FileInfo]
    media_meta_data: Json[MetaData]
    upload_target_config: Json[Target] | None = None
    user_data: Bytes1024 = ""


class MediaOnly(Parameters):
    media_id: MediaId


class Update(Parameters):
    """What is absent stays as it is; an empty text empties the field."""

    may_be_empty: ClassVar[frozenset[str]] = frozenset(
        {"title", "description", "cover_url", "media_tags", "category", "user_data"}
    )

    media_id: MediaId | None = None
    input_url: Address | None = Field(None, alias="InputURL")
    title: Bytes128 | None = None
    description: Bytes1024 | None = None
    cover_url: Bytes128 | None = Field(None, alias="CoverURL")
    media_tags: Tags | None = None
    append_tags: QueryBool = False
    business_type: Changeable | None = None
    category: Bytes64 | None = None
    cate_id: CateId | None = None
    reference_id: ReferenceId | None = None
    user_data: Bytes1024 | None = None


class Delete(Parameters):
    media_ids: Listed | None = None
    input_urls: Listed | None = Field(None, alias="InputURLs")
    delete_physical_files: QueryBool = False


class ListMedia(Parameters):
    max_results: PageSize = 10
    next_token: MediaId | None = None
    media_type: Kind | None = None
    business_type: Business | None = None
    source: Literal["oss", "vod", "live", "general"] = "general"
    status: Status | None = None
    media_id: Annotated[str, Field(max_length=64), NoNul] = ""
    start_time: Time | None = None
    end_time: Time | None = None
    sort_by: Literal["desc", "asc"] = "desc"
    include_file_basic_info: QueryBool = False
    auth_timeout: AuthTimeout = 3600

    @property
    def since(self) -> datetime | None:
        """What is told with this very second was not created after it."""
        return None if self.start_time is None else last_instant(self.start_time)

    @property
    def until(self) -> datetime | None:
        return None if self.end_time is None else last_instant(self.end_time)
