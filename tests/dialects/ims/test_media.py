"""Media through the SDK, with real videos, the real check and a store that checks signatures."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from orchestrator.adapters.media.prober import SandboxedProber
from tests.dialects.ims.conftest import Api
from tests.dialects.ims.support import call, refused
from tests.fakes.app import World
from tests.media_samples import ReadHere, sample

NOT_FOUND = "InvalidParameter.ResourceNotFound"
WRONG_STATE = "InvalidParameter.InvalidState"
INVALID = "InvalidParameter"
OK = 200
SEVENTEEN = ",".join(map(str, range(17)))
PLACE = {"input_url": "oss://b/a.mp4"}
FILM, TOLD = {"Type": "video", "Name": "a", "Ext": "mp4"}, {"Title": "t", "BusinessType": "general"}


def uploading(file: object, told: object) -> dict[str, str]:
    return {"file_info": json.dumps(file), "media_meta_data": json.dumps(told)}


WRONG: tuple[tuple[str, dict[str, object], str], ...] = (
    ("register_media_info", {}, "MissingInputURL"),
    ("register_media_info", PLACE | {"title": "é" * 65}, INVALID),
    ("register_media_info", PLACE | {"description": "é" * 513}, INVALID),
    ("register_media_info", PLACE | {"cover_url": "x" * 129}, INVALID),
    ("register_media_info", PLACE | {"user_data": "no JSON"}, INVALID),
    ("register_media_info", PLACE | {"media_tags": SEVENTEEN}, INVALID),
    ("register_media_info", PLACE | {"media_tags": "é" * 17}, INVALID),
    ("register_media_info", PLACE | {"media_type": "text"}, INVALID),
    ("register_media_info", PLACE | {"reference_id": "short"}, INVALID),
    ("get_media_info", {}, "MissingMediaId"),
    ("get_media_info", {"media_id": "a" * 31}, INVALID),
    ("get_media_info", {"media_id": "a" * 32, "auth_timeout": 86401}, INVALID),
    ("create_upload_media", {"media_meta_data": "{}"}, "MissingFileInfo"),
    ("create_upload_media", {"file_info": "[]", "media_meta_data": "{"}, INVALID),
    ("create_upload_media", uploading(FILM | {"Type": "film"}, TOLD), INVALID),
    ("create_upload_media", uploading({"Type": "video", "Ext": "mp4"}, TOLD), INVALID),
    ("create_upload_media", uploading(FILM, {"Title": "t"}), INVALID),
    ("create_upload_media", uploading(FILM, TOLD | {"Title": "é" * 129}), INVALID),
    ("create_upload_media", uploading(FILM, TOLD | {"BusinessType": "subtitles"}), INVALID),
    ("create_upload_media", uploading(FILM | {"Type": "image"}, TOLD | {"BusinessType": "opening"}), INVALID),
    ("delete_media_infos", {}, "MissingMediaIds"),
    ("update_media_info", {"title": "x"}, "MissingMediaId"),
    ("update_media_info", {"media_id": "a" * 32, "business_type": "font"}, INVALID),
    ("list_media_basic_infos", {"max_results": 101}, INVALID),
    ("list_media_basic_infos", {"start_time": "yesterday"}, INVALID),
)


@pytest.fixture
def world(world: World) -> World:
    """With the real readers in place of the scripted check."""
    world.prober = ReadHere()  # type: ignore[assignment]  # another prober
    world.app = world.process()
    return world


@pytest.fixture
def place(api: Api) -> Callable[..., str]:
    return api.place


def register(client: Any, address: str, **fields: object) -> str:
    return call(client, "register_media_info", input_url=address, **fields).media_id


def show(client: Any, media_id: str) -> Any:
    return call(client, "get_media_info", media_id=media_id).media_info


def status(client: Any, media_id: str) -> str:
    return show(client, media_id).media_basic_info.status


def upload(client: Any, kind: str = "video", ext: str = "mp4", **more: object) -> Any:
    info = {"Type": kind, "Name": "ada", "Ext": ext, **more}
    told = {"Title": "Ada", "BusinessType": "general" if kind != "image" else "default", "Tags": "a,b"}
    return call(client, "create_upload_media", file_info=json.dumps(info), media_meta_data=json.dumps(told))


def unpacked(text: str) -> dict[str, str]:
    return json.loads(base64.b64decode(text))


def test_from_upload_to_trained_avatar_with_the_vendors_sdk_alone(
    api: Api, client: Any, place: Callable[..., str], put: Callable[..., int]
) -> None:
    api.world.prober = SandboxedProber()  # type: ignore[assignment]  # the real one, in its child process
    api.world.app = api.world.process()
    film = upload(client, Size=str(len(sample("landscape.mp4"))))
    assert put(film.file_url, sample("landscape.mp4")) == OK
    portrait = register(client, place("face.jpg", sample("square.jpg")))
    made = call(
        client, "create_avatar_training_job", avatar_name="Ada", video=film.media_id, portrait=portrait
    ).data.job_id  # fmt: skip

    call(client, "submit_avatar_training_job", job_id=made)
    asked = call(client, "get_avatar_training_job", job_id=made).data.avatar_training_job
    assert (asked.status, asked.video, asked.portrait) == ("Queuing", film.media_id, portrait)
    gone = call(client, "delete_media_infos", media_ids=f"{film.media_id},{'0' * 32},{portrait}")
    assert (gone.forbidden_list, gone.ignored_list) == ([film.media_id, portrait], ["0" * 32])

    api.world.settle()
    done = call(client, "get_avatar_training_job", job_id=made).data.avatar_training_job
    assert (done.status, bool(done.avatar_id)) == ("Success", True)
    assert (status(client, film.media_id), status(client, portrait)) == ("Normal", "Normal")
    gone = call(client, "delete_media_infos", media_ids=film.media_id)
    assert (gone.forbidden_list, gone.ignored_list) == ([], [])
    refused(lambda: show(client, film.media_id), NOT_FOUND, 404)


def test_bad_content_fails_the_job_with_what_was_measured_and_allowed(
    api: Api, client: Any, place: Callable[..., str]
) -> None:
    video = register(client, place("a.mp4", sample("too_short.mp4")))
    portrait = register(client, place("a.png", sample("not_square.png")))
    made = call(
        client, "create_avatar_training_job", avatar_name="Ada", video=video, portrait=portrait
    ).data.job_id  # fmt: skip
    call(client, "submit_avatar_training_job", job_id=made)
    api.verify()
    shown = call(client, "get_avatar_training_job", job_id=made).data.avatar_training_job
    assert shown.status == "Fail"
    assert "5:00" in shown.message
    assert "square" in shown.message
    other = call(
        client, "create_avatar_training_job", avatar_name="Ada", video=portrait, portrait=video
    ).data.job_id  # fmt: skip
    error = refused(lambda: call(client, "submit_avatar_training_job", job_id=other), "InvalidParameter")
    assert "has to be of type" in error.message


def test_every_number_of_a_file_is_a_text(api: Api, client: Any, place: Callable[..., str]) -> None:
    data = sample("landscape.mp4")
    media_id = register(client, place("ada.mp4", data), title="Ada", cate_id=7, media_tags="x, y", user_data="{}")
    assert status(client, media_id) == "Init"
    assert show(client, media_id).file_info_list == []
    api.world.app.preparation.drain()

    info = show(client, media_id)
    basic = info.media_basic_info
    told = (basic.media_id, basic.status, basic.title, basic.media_type, basic.cate_id, basic.media_tags, basic.source)
    assert told == (media_id, "Normal", "Ada", "video", 7, "x,y", "oss")
    [file] = info.file_info_list
    plain = file.file_basic_info
    sizes = (plain.file_size, plain.duration, plain.width, plain.height, plain.file_name, plain.file_type)
    assert sizes == (str(len(data)), "312.0", "1920", "1080", "ada.mp4", "source_file")
    [video], [sound] = file.video_stream_info_list, file.audio_stream_info_list
    assert (video.codec_name, video.pix_fmt, video.fps, video.num_frames) == ("h264", "yuv420p", "1.0", "312")
    assert (video.dar, video.sar, video.codec_tag_string, video.codec_tag) == ("16:9", "1:1", "avc1", "0x31637661")
    assert (sound.codec_name, sound.channels, sound.sample_rate, sound.channel_layout) == ("aac", "1", "8000", "mono")
    for part in (plain, video, sound):
        values = [value for name, value in vars(part).items() if not name.startswith("_")]
        assert all(isinstance(value, str) for value in values if value is not None)
    by_address = call(client, "get_media_info", input_url=basic.input_url, auth_timeout=60).media_info
    assert "X-Amz-Expires=120&" in by_address.file_info_list[0].file_basic_info.file_url  # begins a minute early
    batch = call(client, "batch_get_media_infos", media_ids=f"{media_id},{'0' * 32}", addition_type="FileInfo")
    assert [each.media_id for each in batch.media_infos] == [media_id]
    assert batch.ignored_list == ["0" * 32]


def test_an_upload_address_holds_the_right_to_one_file_and_no_key_of_the_store(
    api: Api, client: Any, put: Callable[..., int]
) -> None:
    made = upload(client, "image", "jpg")
    address, authority = unpacked(made.upload_address), unpacked(made.upload_auth)
    assert set(address) == {"Endpoint", "Bucket", "FileName"}
    assert address["FileName"].startswith("staging/")
    options = api.world.storage.options  # type: ignore[attr-defined]  # the real store
    assert options.secret_key not in json.dumps(authority)
    assert (authority["AccessKeyId"], authority["AccessKeySecret"]) == ("", "")
    ends_at = datetime.strptime(authority["ExpireUTCTime"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    assert abs((ends_at - api.world.clock()).total_seconds() - int(authority["Expiration"])) < 60
    again = call(client, "refresh_upload_media", media_id=made.media_id)
    fresh = unpacked(again.upload_auth)["UploadURL"]
    assert put(fresh, sample("square.jpg")) == OK

    api.world.sweep("seal_uploads", after=11)
    api.world.app.preparation.drain()

    assert status(client, made.media_id) == "Normal"
    for late in (fresh, made.file_url, authority["UploadURL"]):
        assert put(late, b"late") != OK
    refused(lambda: call(client, "refresh_upload_media", media_id=made.media_id), WRONG_STATE)
    found = call(client, "get_media_info", input_url=made.media_url).media_info
    assert (found.media_id, found.media_basic_info.media_tags) == (made.media_id, "a,b")


def test_only_the_own_inbox_is_registered_once_and_by_one_token(
    api: Api, client: Any, place: Callable[..., str]
) -> None:
    foreign = place("a.mp4", project_id="project-2")
    for address in (foreign, "http://169.254.169.254/a.mp4", "vod://671c704445f9a0ee011406c2", "oss://other/a.mp4"):
        refused(lambda address=address: register(client, address), "InvalidParameter")
    mine = place("a.mp4")
    token = uuid.uuid4().hex
    first = register(client, mine, client_token=token, reference_id="ref-001")
    api.world.clock.advance(2)
    assert register(client, mine, client_token=token, reference_id="ref-001") == first
    assert len(first) == 32
    refused(lambda: register(client, mine), WRONG_STATE)
    refused(lambda: register(client, place("b.mp4"), reference_id="ref-001"), WRONG_STATE)
    second = register(client, mine, overwrite=True)
    assert second != first
    refused(lambda: show(client, first), NOT_FOUND, 404)


def test_what_is_told_is_changed_and_tags_are_added(client: Any, place: Callable[..., str]) -> None:
    media_id = register(client, place("a.mp4"), description="old", media_tags="a,b")
    call(client, "update_media_info", media_id=media_id, title="é" * 64, media_tags="b,c", append_tags=True,
         category="films", business_type="opening", reference_id="ref-002")  # fmt: skip
    basic = show(client, media_id).media_basic_info
    told = (basic.title, basic.media_tags, basic.description, basic.category, basic.business_type, basic.reference_id)
    assert told == ("é" * 64, "a,b,c", "old", "films", "opening", "ref-002")
    call(client, "update_media_info", input_url=basic.input_url, description="", media_tags="z")
    basic = show(client, media_id).media_basic_info
    assert (basic.description, basic.media_tags) == ("", "z")


def test_what_is_wrong_is_named(client: Any) -> None:
    for action, fields, code in WRONG:
        refused(lambda action=action, fields=fields: call(client, action, **fields), code)


def test_lists_are_walked_by_token(api: Api, client: Any, place: Callable[..., str]) -> None:
    made = []
    for number in range(5):
        made.append(register(client, place(f"{number}.{'png' if number == 4 else 'mp4'}")))
        api.world.clock.advance(2)
    seen: list[str] = []
    token = None
    while True:
        page = call(client, "list_media_basic_infos", max_results=2, next_token=token, include_file_basic_info=True)
        assert (page.total_count, page.max_results) == (5, 2)
        seen += [each.media_id for each in page.media_infos]
        token = page.next_token
        if not token:
            break
    assert seen == made[::-1]
    third = show(client, made[2]).media_basic_info.create_time

    def listed(**fields: object) -> list[str]:
        return [each.media_id for each in call(client, "list_media_basic_infos", **fields).media_infos]

    assert listed(sort_by="asc", media_type="video") == made[:4]
    assert listed(status="Normal") == listed(source="vod") == []
    assert listed(media_id=made[1]) == [made[1]]
    # times are told in whole seconds: what is told with one is not after it
    assert listed(end_time=third) == made[2::-1]
    assert listed(start_time=third) == made[:2:-1]


def test_two_tenants_never_see_each_others_media(api: Api, client: Any, place: Callable[..., str]) -> None:
    address = place("a.mp4")
    media_id = register(client, address, reference_id="ref-003")
    stranger = api.client(api.key("project-2"))
    refused(lambda: show(stranger, media_id), NOT_FOUND, 404)
    refused(lambda: call(stranger, "get_media_info", input_url=address), NOT_FOUND, 404)
    refused(lambda: register(stranger, address), "InvalidParameter")
    refused(lambda: call(stranger, "update_media_info", media_id=media_id, title="x"), NOT_FOUND, 404)
    refused(lambda: call(stranger, "refresh_upload_media", media_id=media_id), NOT_FOUND, 404)
    assert call(stranger, "delete_media_infos", media_ids=media_id).ignored_list == [media_id]
    assert call(stranger, "delete_media_infos", input_urls=address).ignored_list == [address]
    assert call(stranger, "batch_get_media_infos", media_ids=media_id).ignored_list == [media_id]
    assert call(stranger, "list_media_basic_infos").total_count == 0
    register(stranger, place("b.mp4", project_id="project-2"), reference_id="ref-003")
    assert call(client, "delete_media_infos", input_urls=address).ignored_list == []
