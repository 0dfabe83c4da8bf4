"""The media library through the native API."""

from __future__ import annotations

import pytest

from orchestrator.domain.errors import DatabaseUnavailable
from tests.dialects.native.conftest import Api
from tests.fakes.app import VIDEO


def test_what_is_registered_is_listed_shown_and_deleted_by_its_owner(api: Api) -> None:
    api.world.storage.put("inbox/project-1/ada.mp4", VIDEO, "video/mp4")
    url = api.world.storage.address_of("inbox/project-1/ada.mp4")
    made = api.owner.post("/media", key="k1", url=url, title="Ada", reference_id="ref-001")
    assert made.status_code == 201, made.text
    media_id = made.json()["id"]
    assert api.owner.post("/media", key="k1", url=url, title="Ada", reference_id="ref-001").json()["id"] == media_id
    assert api.owner.post("/media", url=url).status_code == 409
    assert api.owner.post("/media", url="http://127.0.0.1/a.mp4").json()["code"] == "place_not_allowed"
    api.world.app.preparation.drain()

    shown = api.owner.get(f"/media/{media_id}").json()
    assert (shown["status"], shown["facts"]["duration_s"], shown["name"]) == ("normal", 200.0, "ada.mp4")
    assert shown["download_url"].startswith("memory:///files/")
    assert api.stranger.get(f"/media/{media_id}").status_code == 404
    assert api.stranger.ask("DELETE", f"/media/{media_id}").status_code == 404
    assert api.reviewer.ask("DELETE", f"/media/{media_id}").status_code == 403
    assert [each["id"] for each in api.reviewer.get("/media", status="normal").json()["items"]] == [media_id]
    assert api.stranger.get("/media").json()["items"] == []
    assert api.owner.ask("DELETE", f"/media/{media_id}?with_source=true").status_code == 204
    assert api.owner.get(f"/media/{media_id}").status_code == 404
    assert api.world.storage.head("inbox/project-1/ada.mp4") is None


def test_an_upload_of_parts_becomes_media_when_somebody_says_so(api: Api) -> None:
    opened = api.owner.post("/media/uploads", name="ada.mp4", size_bytes=len(VIDEO), part_count=1).json()
    assert opened["media"]["status"] == "init"
    assert api.world.storage.put_url(opened["upload"]["urls"][0]["url"], VIDEO) == 200
    assert api.owner.post(f"/files/{opened['upload']['file']['id']}/complete").status_code == 200
    assert api.owner.get(f"/media/{opened['media']['id']}").json()["status"] == "preparing"


def test_lists_are_walked_by_cursor(api: Api) -> None:
    made = []
    for number in range(3):
        made.append(api.owner.post("/media/uploads", name=f"{number}.png").json()["media"]["id"])
        api.world.clock.advance(1)
    first = api.owner.get("/media", limit=2, type="image").json()
    second = api.owner.get("/media", limit=2, cursor=first["next_cursor"]).json()
    assert [each["id"] for each in first["items"] + second["items"]] == made[::-1]
    assert second["next_cursor"] is None


@pytest.mark.parametrize("path", ["/media", "/media/uploads"])
def test_a_request_that_broke_off_after_its_commit_is_done_once(
    api: Api, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    api.world.storage.put("inbox/project-1/ada.mp4", VIDEO, "video/mp4")
    where = api.world.storage.address_of("inbox/project-1/ada.mp4")
    told = {"url": where} if path == "/media" else {"name": "ada.mp4"}

    def away(*_: object) -> None:
        raise DatabaseUnavailable("the database does not answer")

    monkeypatch.setattr(api.world.app.media, "show", away)
    assert api.owner.post(path, key="k1", reference_id="ref-001", **told).status_code == 503
    monkeypatch.undo()
    again = api.owner.post(path, key="k1", reference_id="ref-001", **told)
    assert again.status_code == 201, again.text
    assert len(api.owner.get("/media").json()["items"]) == 1
    if path == "/media/uploads":
        assert api.world.storage.put_url(again.json()["upload"]["urls"][0]["url"], VIDEO) == 200
