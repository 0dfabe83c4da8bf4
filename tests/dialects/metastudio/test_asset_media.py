"""Real pictures, films and sound as assets: what the SDK shows of them is what was measured, and what is true."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.adapters.media.prober import SandboxedProber
from orchestrator.domain.media import MediaKind
from tests import web
from tests.dialects.metastudio.test_assets import confirm, create, new_file, show
from tests.fakes.app import World
from tests.media_samples import Bytes, sample, truth

Put = Callable[..., int]
SIDE = {True: "Horizontal", False: "Vertical"}


@pytest.fixture
def world(world: World) -> World:
    world.prober = SandboxedProber()  # type: ignore[assignment]  # the real one
    world.app = world.process()
    return world


def uploaded(client: Any, put: Put, kind: str, name: str) -> Any:
    """The asset, after its main file was sent as the vendor's users send it, and looked at by the worker's probe."""
    data, asset_id = sample(name), create(client, name, kind)
    held = new_file(client, asset_id, data, name)
    told = base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()
    assert put(held.upload_url, data, **{"Content-MD5": told}) == 200
    confirm(client, held.file_id)
    asset = show(client, asset_id)
    assert (asset.asset_state, asset.files[0].file_size, asset.files[0].file_md5) == ("ACTIVED", len(data), told)
    assert web.get(asset.files[0].download_url).content == data
    return asset


def measured(name: str, kind: MediaKind) -> Any:
    """By the probe itself, and held to what the sample is known to be."""
    facts = SandboxedProber().facts(Bytes(sample(name)), kind)
    known, told = next(case["facts"] for case in truth() if case["name"] == name) or {}, facts.as_dict()
    assert facts.problems or {field: told.get(field) for field in known} == known
    return facts


def kilobits(rate: int | None) -> int | None:
    return None if rate is None else round(rate / 1000)


@pytest.mark.parametrize("name", ["landscape.mp4", "phone.mov", "transparent.webm"])
def test_a_film(client: Any, put: Put, name: str) -> None:
    asset = uploaded(client, put, "VIDEO", name)
    found, shown = measured(name, MediaKind.VIDEO), asset.asset_extra_meta.video_meta
    width, height = found.display
    assert (shown.width, shown.height, shown.mode) == (width, height, SIDE[width >= height])
    assert (shown.video_codec, shown.audio_codec) == (found.video_codec, found.audio_codec)
    assert (shown.duration, shown.frame_rate) == (round(found.duration_s), f"{found.fps:g}")
    assert (shown.video_bit_rate, shown.audio_bit_rate) == (
        kilobits(found.video_bit_rate), kilobits(found.audio_bit_rate)
    )  # fmt: skip
    assert (shown.audio_channels, shown.sample) == (found.channels, found.sample_rate_hz)
    assert shown.error_info is None


@pytest.mark.parametrize("name", ["square.jpg", "not_square.png"])
def test_a_picture(client: Any, put: Put, name: str) -> None:
    asset = uploaded(client, put, "IMAGE", name)
    found, shown = measured(name, MediaKind.IMAGE), asset.asset_extra_meta.image_meta
    width, height = found.display
    assert (shown.width, shown.height, shown.mode) == (width, height, SIDE[width >= height])
    assert (shown.codec, shown.size) == (found.container, len(sample(name)))


@pytest.mark.parametrize("kind", ["AUDIO", "MUSIC"])
def test_sound(client: Any, put: Put, kind: str) -> None:
    shown = uploaded(client, put, kind, "voice.wav").asset_extra_meta.audio_meta
    found = measured("voice.wav", MediaKind.AUDIO)
    assert (shown.duration, shown.audio_codec) == (round(found.duration_s), found.audio_codec)
    assert (shown.audio_channels, shown.sample) == (found.channels, found.sample_rate_hz)
    assert shown.audio_bit_rate == kilobits(found.audio_bit_rate)
    assert shown.audio_bit_rate == round(found.sample_rate_hz * found.channels * 16 / 1000)


@pytest.mark.parametrize("name", ["playlist.mp4", "cut_off.mp4"])
def test_a_film_that_cannot_be_read_says_why(client: Any, put: Put, name: str) -> None:
    shown = uploaded(client, put, "VIDEO", name).asset_extra_meta.video_meta
    reason = measured(name, MediaKind.VIDEO).problems[0]
    assert shown.error_info.error_code == "MSS.10000003"
    assert shown.error_info.error_msg.startswith(reason.message)
