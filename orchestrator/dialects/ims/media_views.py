"""Media as the vendor shows them: every number of a file is a text."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import timedelta
from fractions import Fraction
from typing import Final
from urllib.parse import urlsplit

from orchestrator.app.app import App
from orchestrator.app.media import Shown
from orchestrator.app.uploads import Upload
from orchestrator.dialects.common.wire import time_text
from orchestrator.domain.media_items import Media, MediaStatus, MediaType
from orchestrator.domain.model import File

STATUS_NAMES: Final[Mapping[MediaStatus, str]] = {
    MediaStatus.INIT: "Init", MediaStatus.PREPARING: "Preparing", MediaStatus.PREPARE_FAIL: "PrepareFail",
    MediaStatus.NORMAL: "Normal",
}  # fmt: skip
STATUSES: Final = {name: status for status, name in STATUS_NAMES.items()}

# As FFmpeg names what our reader tells apart.
_FORMATS: Final = {
    "mp4": "mov,mp4,m4a,3gp,3g2,mj2", "mov": "mov,mp4,m4a,3gp,3g2,mj2", "m4a": "mov,mp4,m4a,3gp,3g2,mj2",
    "webm": "matroska,webm", "matroska": "matroska,webm", "jpeg": "jpeg_pipe", "png": "png_pipe", "webp": "webp_pipe",
}  # fmt: skip
_KILO: Final = 1000


def media_info(app: App, shown: Shown, auth_timeout: int) -> dict[str, object]:
    """Everything about an item."""
    return _named(shown, {}) | {"FileInfoList": _file_infos(app, shown, auth_timeout, detailed=True)}


def media_line(app: App, shown: Shown, auth_timeout: int, *, with_file: bool, **also: str) -> dict[str, object]:
    """An item among others; of its file only if that is asked for, and without its streams.

    Args:
        also: fields of MediaBasicInfo that only this list has.
    """
    files = {"FileInfoList": _file_infos(app, shown, auth_timeout, detailed=False)} if with_file else {}
    return _named(shown, also) | files


def _named(shown: Shown, also: Mapping[str, str]) -> dict[str, object]:
    return {"MediaId": shown.media.id, "MediaBasicInfo": {**_basic_info(shown.media), **also}}


def _basic_info(item: Media) -> dict[str, object]:
    kept = {name: item.attributes.get(name) for name in ("description", "category", "tags", "cover_url", "user_data")}
    text = {name: value if isinstance(value, str) else "" for name, value in kept.items()}
    return {
        "MediaId": item.id,
        "InputURL": item.input_url,
        "MediaType": item.type.value,
        "BusinessType": item.business_type,
        "Source": "oss",
        "Title": item.title,
        "Description": text["description"],
        "Category": text["category"],
        "CateId": item.attributes.get("cate_id"),
        "CateName": "",
        "MediaTags": text["tags"],
        "CoverURL": text["cover_url"],
        "UserData": text["user_data"],
        "Snapshots": "",
        "SpriteImages": "",
        "Status": STATUS_NAMES[item.status],
        # a word of ours that the SDK leaves out: why it could not be prepared
        "Message": item.reason,
        "ReferenceId": item.reference_id or "",
        "Biz": "ICE",
        "UploadSource": "" if item.is_registered else "general",
        "CreateTime": time_text(item.created_at),
        "ModifiedTime": time_text(item.updated_at),
        "DeletedTime": "",
    }


def _file_infos(app: App, shown: Shown, auth_timeout: int, *, detailed: bool) -> list[dict[str, object]]:
    """The one file of an item; nothing while its bytes are not here."""
    url = app.media.download(shown, timedelta(seconds=auth_timeout))
    if url is None or shown.file is None:
        return []
    facts = shown.media.facts or {}
    info: dict[str, object] = {"FileBasicInfo": _file(app, shown.media, shown.file, facts, url)}
    if detailed:
        info["VideoStreamInfoList"] = [_video(facts)] if "video_codec" in facts else []
        info["AudioStreamInfoList"] = [_audio(facts)] if "audio_codec" in facts else []
        info["SubtitleStreamInfoList"] = []
    return [info]


def _file(app: App, item: Media, file: File, facts: Mapping[str, object], url: str) -> dict[str, object]:
    width, height = _size(facts.get("display"))
    container = str(facts.get("container", ""))
    return {
        "FileName": file.name,
        "FileStatus": "Normal",
        "FileType": "source_file",
        "FileSize": _text(file.size_bytes),
        "FileUrl": url,
        "Region": app.context.storage.region,
        "FormatName": _FORMATS.get(container, container),
        "Duration": _text(facts.get("duration_s")),
        "Bitrate": _kilo(facts.get("bit_rate")),
        "Width": width,
        "Height": height,
        "CreateTime": time_text(item.created_at),
        "ModifiedTime": time_text(item.updated_at),
    }


def _video(facts: Mapping[str, object]) -> dict[str, object]:
    width, height = _size(facts.get("coded"))
    sar = str(facts.get("sar", ""))
    return {
        "Index": "0",
        **_codec(facts, "video"),
        "Profile": _text(facts.get("video_profile")),
        "Level": _text(facts.get("video_level")),
        "Width": width,
        "Height": height,
        "Fps": _text(facts.get("fps")),
        "AvgFPS": _text(facts.get("fps")),
        "Bitrate": _kilo(facts.get("video_bit_rate")),
        "Duration": _text(facts.get("duration_s")),
        "StartTime": _text(facts.get("video_start_s")),
        "PixFmt": _text(facts.get("pix_fmt")),
        "Dar": _aspect(facts.get("coded"), sar),
        "Sar": sar,
        "Rotate": _text(facts.get("rotation")),
        "HasBFrames": _text(facts.get("video_b_frames")),
        "NumFrames": _text(facts.get("frames")),
        "Nb_frames": _text(facts.get("frames")),
        "Lang": _text(facts.get("video_language")),
    }


def _audio(facts: Mapping[str, object]) -> dict[str, object]:
    is_alone = facts.get("kind") == MediaType.AUDIO
    return {
        "Index": "0" if is_alone else "1",
        **_codec(facts, "audio"),
        "Channels": _text(facts.get("channels")),
        "ChannelLayout": _text(facts.get("channel_layout")),
        "SampleRate": _text(facts.get("sample_rate_hz")),
        "SampleFmt": _text(facts.get("sample_format")),
        "Bitrate": _kilo(facts.get("audio_bit_rate")),
        "Duration": _text(facts.get("audio_duration_s")),
        "StartTime": _text(facts.get("audio_start_s")),
        "NumFrames": "",
        "Profile": _text(facts.get("audio_profile")),
        "Lang": _text(facts.get("audio_language")),
    }


def _codec(facts: Mapping[str, object], kind: str) -> dict[str, object]:
    """What both kinds of streams tell of their codec."""
    tag = str(facts.get(f"{kind}_tag", ""))
    time_base = _text(facts.get(f"{kind}_time_base"))
    return {
        "CodecName": _text(facts.get(f"{kind}_codec")),
        "CodecLongName": _text(facts.get(f"{kind}_codec_name")),
        "CodecTag": f"0x{int.from_bytes(tag.encode('latin-1', 'replace')[:4], 'little'):08x}" if tag else "",
        "CodecTagString": tag,
        "CodecTimeBase": time_base,
        "Timebase": time_base,
    }


def upload_told(app: App, upload: Upload) -> dict[str, object]:
    """Address and authority of an upload, as the vendor's clients unpack them: Base64 of JSON.

    The store's keys are never among them. The right to write is the signed URL, good for one file and until the upload
    is sealed; a client that wants keys finds empty ones and says so.
    """
    url = upload.urls[1]
    parts = urlsplit(url)
    bucket, _, key = app.context.storage.address_of(upload.file.staging_key).partition("://")[2].partition("/")
    lasts_s = int((upload.url_expires_at - app.context.clock()).total_seconds())
    return {
        "UploadAddress": _packed({"Endpoint": f"{parts.scheme}://{parts.netloc}", "Bucket": bucket, "FileName": key}),
        "UploadAuth": _packed(
            {
                "AccessKeyId": "", "AccessKeySecret": "", "SecurityToken": "",
                "Expiration": str(lasts_s), "ExpireUTCTime": time_text(upload.url_expires_at),
                "Region": app.context.storage.region, "Method": "PUT", "UploadURL": url,
            }
        ),
    }  # fmt: skip


def _packed(told: Mapping[str, object]) -> str:
    return base64.b64encode(json.dumps(told, separators=(",", ":")).encode()).decode()


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _kilo(value: object) -> str:
    """Bits a second as the vendor tells them: in thousands."""
    return str(round(value / _KILO, 3)) if isinstance(value, int | float) else ""


def _size(value: object) -> tuple[str, str]:
    if isinstance(value, list | tuple) and len(value) == 2:  # noqa: PLR2004  width and height
        return str(value[0]), str(value[1])
    return "", ""


def _aspect(coded: object, sar: str) -> str:
    """Of the picture as shown, without its rotation."""
    width, height = _size(coded)
    if not (width and height and int(height)):
        return ""
    try:
        aspect = Fraction(int(width), int(height)) * Fraction(sar.replace(":", "/") or 1)
    except (ValueError, ZeroDivisionError):
        return ""
    return f"{aspect.numerator}:{aspect.denominator}"
