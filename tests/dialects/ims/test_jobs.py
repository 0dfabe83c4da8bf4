"""Training jobs through the SDK."""

from __future__ import annotations

from typing import Any

from tests.dialects.ims.support import UPPER_UUID, call, refused


def create(client: Any, avatar_name: str = "Anna", **fields: object) -> str:
    return call(client, "create_avatar_training_job", avatar_name=avatar_name, **fields).data.job_id


def show(client: Any, job_id: str) -> Any:
    return call(client, "get_avatar_training_job", job_id=job_id).data.avatar_training_job


def test_a_draft_is_shown_as_it_was_told(client: Any) -> None:
    told = {
        "avatar_name": "七个字的名字啊", "avatar_description": "x" * 999 + "é", "avatar_type": "2DAvatar",
        "portrait": "a" * 32, "video": "b" * 32, "thumbnail": "https://bucket.oss.example/t.png", "transparent": True,
    }  # fmt: skip
    body = call(client, "create_avatar_training_job", **told)
    assert body.success is True
    assert UPPER_UUID.fullmatch(body.request_id)
    shown = show(client, body.data.job_id)
    assert {name: getattr(shown, name) for name in told} == told
    assert (shown.status, shown.message, shown.avatar_id) == ("Init", "", "")
    assert (shown.first_training_time, shown.last_training_time) == ("", "")


def test_names_are_counted_in_characters(client: Any) -> None:
    refused(lambda: create(client, "12345678"), "InvalidParameter")
    refused(lambda: create(client, None), "MissingAvatarName")
    refused(lambda: create(client, avatar_description="x" * 1001), "InvalidParameter")
