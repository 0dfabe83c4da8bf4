"""The example trainer through the local backend and a real S3 server: stage after stage, and killed in the middle."""

from __future__ import annotations

import hashlib
import json
import os
import signal
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import av
import numpy as np
import pytest

from orchestrator.adapters.s3.options import S3Options
from orchestrator.adapters.s3.storage import S3Storage
from orchestrator.adapters.trainers import processes
from orchestrator.adapters.trainers.local import LocalBackend
from orchestrator.adapters.trainers.rundir import RunDir
from orchestrator.adapters.trainers.upkeep import terminate_all
from orchestrator.domain.retry import FailureClass
from orchestrator.ports.trainer import RunInput, RunSpec, RunState
from tests.contract.trainer_harness import reaches, until
from tests.fakes.trainer import a_spec
from tests.servers import StoreServer


@pytest.fixture(scope="module")
def options() -> Iterator[S3Options]:
    with StoreServer() as server:
        yield S3Options(server.url, server.bucket, server.access_key, server.secret_key)


@pytest.fixture
def backend(tmp_path: Path, options: S3Options) -> Iterator[LocalBackend]:
    yield LocalBackend(tmp_path / "runs", store=asdict(options), environment={"OPENBLAS_NUM_THREADS": "1"})
    terminate_all(tmp_path / "runs", grace_s=0.1)


def a_video(path: Path) -> bytes:
    """Three seconds of a square that walks through a room."""
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=20)
        stream.width, stream.height, stream.pix_fmt = 192, 108, "yuv420p"
        for number in range(60):
            picture = np.full((108, 192, 3), 90, np.uint8)
            picture[30:60, 2 * number : 2 * number + 40] = (200, 60, 40)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path.read_bytes()


class Bench:
    """Runs stages one after the other; each gets the results of all before it."""

    def __init__(self, backend: LocalBackend, storage: S3Storage) -> None:
        self.backend = backend
        self.storage = storage
        self.inputs: dict[str, RunInput] = {}

    def add(self, name: str, key: str, size_bytes: int, sha256: str) -> None:
        day = timedelta(hours=1)
        url = self.storage.presign_get(
            key, filename=name, content_type="application/octet-stream", now=datetime.now(UTC), expires_in=day
        )
        self.inputs[name] = RunInput(name, url, size_bytes, sha256)

    def spec(self, stage: str, **changes: object) -> RunSpec:
        command = ("{python}", "-m", "orchestrator.embedded.trainer", stage)
        fixed = {"stage": stage, "command": command, "inputs": tuple(self.inputs.values())}
        return a_spec(**{**fixed, "output_prefix": f"runs/{stage}/", "checkpoint_key": stage, **changes})

    def succeeds(self, stage: str, **changes: object) -> dict[str, bytes]:
        status = reaches(
            self.backend, self.backend.submit(self.spec(stage, **changes), f"{stage}.1"), RunState.SUCCEEDED
        )
        made = {}
        for artefact in status.artefacts:
            self.add(artefact.name, artefact.key, artefact.size_bytes, artefact.sha256)
            made[artefact.name] = self.storage.read_range(artefact.key, 0, artefact.size_bytes)
            assert hashlib.sha256(made[artefact.name]).hexdigest() == artefact.sha256
        return made


@pytest.fixture
def bench(backend: LocalBackend, options: S3Options, tmp_path: Path) -> Bench:
    bench = Bench(backend, S3Storage(options))
    data = a_video(tmp_path / "video")
    bench.storage.put("final/video", data, "video/mp4")
    bench.add("training_video.mp4", "final/video", len(data), hashlib.sha256(data).hexdigest())
    return bench


def test_a_video_becomes_a_model_that_gives_the_video_back(bench: Bench) -> None:
    assert set(bench.succeeds("training_data_preprocess")) == {"frames.npz", "thumbnail.jpg"}
    trained = bench.succeeds("training", parameters={"epochs": 5})
    assert set(trained) == {"model.npz", "model.json", "thumbnail.png"}
    assert json.loads(trained["model.json"])["explained_variance"] > 0.8
    checked = bench.succeeds("inference_data_preprocess")
    assert json.loads(checked["inference.json"])["psnr_db"] > 20


def test_a_training_killed_in_the_middle_goes_on_where_it_was(bench: Bench) -> None:
    bench.succeeds("training_data_preprocess")
    spec = bench.spec("training", parameters={"epochs": 2000})
    bench.backend.submit(spec, "first")
    look = bench.backend.observe
    seen = until(lambda: look(["first"])[0], lambda status: status.metrics.get("epoch", 0) >= 5, "epoch 5")
    runner = processes.recorded(RunDir(bench.backend._runs_dir / "first").runner)
    assert runner is not None
    os.kill(runner, signal.SIGKILL)
    reaches(bench.backend, "first", RunState.GONE)
    bench.backend.submit(spec, "second")
    again = until(lambda: look(["second"])[0], lambda status: bool(status.metrics), "metrics")
    assert again.metrics["epoch"] > seen.metrics["epoch"]


def test_a_file_that_is_no_video_is_a_fault_of_the_data(bench: Bench) -> None:
    bench.storage.put("final/text", b"no video", "video/mp4")
    bench.add("training_video.mp4", "final/text", 8, hashlib.sha256(b"no video").hexdigest())
    handle = bench.backend.submit(bench.spec("training_data_preprocess"), "bad")
    status = reaches(bench.backend, handle, RunState.FAILED)
    assert (status.failure, status.exit_code) == (FailureClass.DATA, 65)
    assert "the training video cannot be decoded" in status.message
