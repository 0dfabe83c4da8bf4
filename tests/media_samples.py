"""The sample uploads and their ground truth, built once for a test run by `tests/media/make_samples.py`."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import ModuleType

from orchestrator.domain.media import MediaFacts, MediaKind, MediaRules, Verdict, check
from orchestrator.ports.prober import ByteSource

MEDIA = Path(__file__).parent / "media"
CLIPS = MEDIA.parent.parent / ".pytest_cache" / "clips"

IMS = MediaRules(
    name="IMS",
    containers=("mp4", "mov", "webm"),
    sizes=((1920, 1080), (1080, 1920)),
    min_duration_s=300,
    max_duration_s=900,
)
METASTUDIO = MediaRules(
    name="MetaStudio",
    containers=("mp4",),
    sizes=((1920, 1080), (1080, 1920), (3840, 2160), (2160, 3840)),
    min_duration_s=180,
    max_duration_s=600,
)
ASSET = MediaRules(name="asset", square=True, min_duration_s=1, max_duration_s=300)
RULES = {
    "ims_opaque": replace(IMS, alpha=False),
    "ims_transparent": replace(IMS, alpha=True),
    "metastudio": METASTUDIO,
    "asset": ASSET,
}


@cache
def generator() -> ModuleType:
    """The sample generator as a module: its encoders and muxers build the tests' own odd files too."""
    spec = importlib.util.spec_from_file_location("make_samples", MEDIA / "make_samples.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.av.logging.set_level(None)
    module.clip = _kept(module)
    module.cases()
    return module


def _kept(module: ModuleType) -> Callable[..., object]:
    """The generator's `clip`, that finds what was encoded before, by whatever process: most of the time goes there."""
    encode = module.clip
    made_by = (MEDIA / "make_samples.py").read_bytes() + module.av.__version__.encode()
    clips: dict[str, object] = {}

    def clip(*wanted: object, **how: object) -> object:
        name = hashlib.sha256(made_by + repr((wanted, sorted(how.items()))).encode()).hexdigest()
        if name not in clips:
            file = CLIPS / name
            with suppress(FileNotFoundError):
                clips[name] = module.Clip(file.read_bytes())
                return clips[name]
            clips[name] = encode(*wanted, **how)
            CLIPS.mkdir(parents=True, exist_ok=True)
            new = file.with_name(f"{name}.{os.getpid()}")
            new.write_bytes(clips[name].data)
            new.replace(file)
        return clips[name]

    return clip


@cache
def truth() -> list[dict]:
    return json.loads((MEDIA / "samples.json").read_text())["cases"]


@cache
def sample(name: str) -> bytes:
    """The bytes of one sample."""
    return generator().CASES[name]["build"]()


@cache
def folder() -> Path:
    """All samples on disk, for tests that need files. Lives until the process ends."""
    keep = tempfile.TemporaryDirectory(prefix="understudy-samples-")
    _KEPT.append(keep)
    for case in truth():
        (Path(keep.name) / case["name"]).write_bytes(sample(case["name"]))
    return Path(keep.name)


_KEPT: list[tempfile.TemporaryDirectory[str]] = []


class Bytes:
    """A source of bytes in memory that remembers what was asked of it."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.ranges: list[tuple[int, int]] = []

    @property
    def size_bytes(self) -> int:
        return len(self.data)

    def read_range(self, start: int, length: int) -> bytes:
        self.ranges.append((start, length))
        return self.data[start : start + length]


TRANSPARENT_RULES = RULES["ims_transparent"]


def inspect(data: bytes, kind: MediaKind = MediaKind.VIDEO) -> MediaFacts:
    """Facts by the same readers the child runs, in this process: fast, and for files we built ourselves only."""
    from orchestrator.adapters.media import audio, documents, images, probe
    from orchestrator.adapters.media.findings import Report, Unusable
    from orchestrator.adapters.media.ranges import Reader

    looks = {
        MediaKind.VIDEO: probe.probe_video,
        MediaKind.AUDIO: audio.probe_audio,
        MediaKind.IMAGE: images.probe_image,
        MediaKind.DOCUMENT: documents.probe_document,
    }
    source, report = Bytes(data), Report()
    try:
        looks[kind](Reader(source.read_range, source.size_bytes), report)
    except Unusable as exc:
        report.problem(exc.reason)
    known = {name: value for name, value in report.facts.items() if value is not None}
    return MediaFacts(kind, len(data), problems=tuple(report.problems), notes=tuple(report.notes), **known)


class ReadHere:
    """The port `Prober` by the real readers, without the child around them: quick, and for our own samples only."""

    def judge(self, source: ByteSource, kind: MediaKind, rules: MediaRules) -> Verdict:
        return check(self.facts(source, kind), rules)

    def facts(self, source: ByteSource, kind: MediaKind) -> MediaFacts:
        return inspect(source.read_range(0, source.size_bytes), kind)


def codes(data: bytes, rules: MediaRules, kind: MediaKind = MediaKind.VIDEO) -> list[str]:
    """Reason codes, in order; empty means accepted."""
    return [reason.code for reason in check(inspect(data, kind), rules).reasons]
