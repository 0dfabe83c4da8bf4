from __future__ import annotations

import stat

from orchestrator.embedded.kept import Kept, write_private


def test_what_was_chosen_once_stays(tmp_path):
    first = Kept(tmp_path)
    secret = first.secret("store")
    assert first.get("name", lambda: "a") == "a"
    again = Kept(tmp_path)
    assert again.secret("store") == secret
    assert again.get("name", lambda: "b") == "a"


def test_secrets_differ_and_are_for_the_owner_only(tmp_path):
    kept = Kept(tmp_path)
    assert kept.secret("one") != kept.secret("two")
    assert stat.S_IMODE((tmp_path / "kept.json").stat().st_mode) == 0o600


def test_a_private_file_is_replaced_whole(tmp_path):
    path = tmp_path / "deep" / "file"
    write_private(path, "long text")
    write_private(path, "short")
    assert path.read_text() == "short"
    assert [p.name for p in path.parent.iterdir()] == ["file"]
