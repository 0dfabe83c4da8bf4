from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from orchestrator.adapters.celery_waker import CeleryWaker, NullWaker
from orchestrator.adapters.secret_box import FernetBox, new_key
from orchestrator.bootstrap import build_app, build_context, build_waker, store_options
from orchestrator.domain.errors import Invalid
from orchestrator.settings import BadSettings, Settings, load

NEEDED = {
    "database.url": "sqlite:////nowhere/x.db",
    "storage.endpoint": "http://127.0.0.1:9",
    "storage.bucket": "b",
    "storage.access_key": "a",
    "storage.secret_key": "s",
    "secrets.encryption_key": new_key(),
}


def settings(**flags: object) -> Settings:
    return load(flags=NEEDED | {name.replace("__", "."): value for name, value in flags.items()}, environ={})


def test_nothing_connects_before_it_is_used():
    app = build_app(settings(broker__url="redis://127.0.0.1:9/0"))  # sockets are blocked here
    assert sorted(app.context.profiles) == ["avatar", "ims", "metastudio"]
    assert isinstance(app.context.waker, CeleryWaker)


@pytest.mark.parametrize("name", ["database.url", "storage.bucket", "secrets.encryption_key"])
def test_what_is_necessary_is_asked_for_by_name(name: str):
    with pytest.raises(BadSettings, match=f"{name} is not set"):
        build_context(load(flags=NEEDED | {name: ""}, environ={}))


def test_a_profile_that_names_a_pool_which_is_not_there_stops_the_start(tmp_path: Path):
    text = 'name = "x"\ntitle = "X"\n[materials]\n[stages.training]\ncommand = ["t"]\npool = "gpu"\n'
    (tmp_path / "x.toml").write_text(text)
    with pytest.raises(BadSettings, match="profile x: stage training runs in the pool 'gpu'"):
        build_context(settings(profiles__dir=str(tmp_path)))
    assert build_context(settings(profiles__dir=str(tmp_path), pools__gpu__slots=1)).pools["gpu"].slots == 1


def test_without_a_broker_nobody_is_woken():
    assert isinstance(build_waker(settings()), NullWaker)


def test_store_options_can_be_handed_to_a_runner():
    json.dumps(asdict(store_options(settings())))


def test_secrets_are_sealed_and_opened_by_any_of_the_keys():
    old, new = new_key(), new_key()
    sealed = FernetBox([old]).seal("hunter2")
    assert "hunter2" not in sealed
    rotated = FernetBox([new, old])
    assert rotated.open(sealed) == "hunter2"
    assert FernetBox([new]).open(rotated.seal("hunter2")) == "hunter2"
    with pytest.raises(Invalid, match="not configured any more"):
        FernetBox([new]).open(sealed)


@pytest.mark.parametrize("keys", [[], ["short"], ["é" * 44]])
def test_keys_that_are_none_are_refused_without_showing_them(keys: list[str]):
    with pytest.raises(Invalid) as caught:
        FernetBox(keys)
    assert not keys or keys[0] not in str(caught.value)
