from __future__ import annotations

import itertools
import json
from pathlib import Path

import av
import numpy as np
import pytest

from orchestrator.embedded.trainer import __main__ as trainer
from orchestrator.embedded.trainer.basis import Learner, Model
from orchestrator.embedded.trainer.workspace import Workspace, save


@pytest.fixture
def run_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("inputs", "outputs", "checkpoint"):
        (tmp_path / name).mkdir()
    return tmp_path


def a_video(path: Path, *, colour: int, frames: int = 12) -> None:
    """Frames of one flat grey."""
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 112, "yuv420p"
        for _ in range(frames):
            picture = np.full((112, 64, 3), colour, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


def moving_frames(count: int = 40) -> np.ndarray:
    frames = np.full((count, 18, 32, 3), 60, np.uint8)
    for number in range(count // 2, count):
        frames[number, :, : number % 32] = 220
    return frames


def given_frames(run_dir: Path, frames: np.ndarray) -> None:
    save(run_dir / "inputs/frames.npz", frames=frames, times_s=np.arange(len(frames), dtype=np.float64))


def given_model(run_dir: Path) -> None:
    assert trainer.main(["training"]) == 0
    (run_dir / "outputs/model.npz").rename(run_dir / "inputs/model.npz")


def said(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_every_stage_passes_on_a_flat_video(run_dir: Path) -> None:
    a_video(run_dir / "inputs/training_video", colour=120)
    for stage in trainer.STAGES:
        assert trainer.main([stage]) == 0, stage
        for result in (run_dir / "outputs").iterdir():
            result.rename(run_dir / "inputs" / result.name)
    assert json.loads((run_dir / "inputs/model.json").read_text())["is_flat"]
    assert json.loads((run_dir / "inputs/inference.json").read_text())["psnr_db"] > 40


def test_an_upright_video_stays_upright(run_dir: Path) -> None:
    a_video(run_dir / "inputs/training_video.mp4", colour=120)
    assert trainer.main(["training_data_preprocess"]) == 0
    with np.load(run_dir / "outputs/frames.npz") as file:
        _, height, width, _ = file["frames"].shape
    assert (width, height) == (54, 94)


def test_a_black_video_is_refused_by_the_analysis(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a_video(run_dir / "inputs/training_video", colour=0)
    assert trainer.main(["video_analyze"]) == 65
    assert said(capsys)[-1] == {"error": "100% of the training video is black, at most 90% may be"}


@pytest.mark.parametrize("content", [b"", b"text", b"\0" * 4096, b"\0\0\0\x18ftypmp42" + b"\xff" * 400])
def test_what_is_no_video_ends_with_a_reason(run_dir: Path, capsys: pytest.CaptureFixture[str], content: bytes) -> None:
    (run_dir / "inputs/training_video").write_bytes(content)
    assert trainer.main(["training_data_preprocess"]) == 65
    assert "cannot be decoded" in str(said(capsys)[-1]["error"])


def test_a_script_that_names_other_files_opens_none(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a_video(run_dir / "inputs/secret.mp4", colour=120)
    (run_dir / "inputs/training_video").write_text("ffconcat version 1.0\nfile secret.mp4\n")
    assert trainer.main(["training_data_preprocess"]) == 65
    assert "cannot be decoded" in str(said(capsys)[-1]["error"])


def test_missing_and_damaged_inputs_end_with_a_reason(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert trainer.main(["training"]) == 65
    (run_dir / "inputs/frames.npz").write_bytes(b"PK damaged")
    assert trainer.main(["training"]) == 65
    first, second = said(capsys)
    assert "is missing" in str(first["error"])
    assert "cannot be read" in str(second["error"])


def test_the_basis_explains_more_with_each_epoch_and_stays_orthonormal() -> None:
    learner = Learner(moving_frames(), components=4)
    explained = [learner.epoch() for _ in range(8)]
    assert all(later >= earlier - 1e-4 for earlier, later in itertools.pairwise(explained))
    assert explained[-1] > 0.9
    np.testing.assert_allclose(learner.basis.T @ learner.basis, np.eye(4), atol=1e-4)


def test_a_resumed_training_gives_the_model_of_an_unbroken_one(run_dir: Path) -> None:
    frames = moving_frames()
    given_frames(run_dir, frames)
    (run_dir / "run.json").write_text('{"parameters": {"epochs": 3}}')
    assert trainer.main(["training"]) == 0
    (run_dir / "run.json").write_text('{"parameters": {"epochs": 9}}')
    assert trainer.main(["training"]) == 0
    unbroken = Learner(frames, components=16)
    for _ in range(9):
        unbroken.epoch()
    with np.load(run_dir / "outputs/model.npz") as file:
        np.testing.assert_allclose(file["basis"], unbroken.model().basis, atol=1e-5)


def test_a_checkpoint_of_other_frames_is_not_used(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run_dir / "run.json").write_text('{"parameters": {"epochs": 2}}')
    given_frames(run_dir, moving_frames())
    assert trainer.main(["training"]) == 0
    given_frames(run_dir, moving_frames(41))
    said(capsys)
    assert trainer.main(["training"]) == 0
    assert said(capsys)[0]["message"] == "epoch 1 of 2"


def test_a_model_that_does_not_give_the_frames_back_is_refused(
    run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given_frames(run_dir, moving_frames())
    model = Model(np.zeros(18 * 32 * 3, np.float32), np.zeros((1, 18 * 32 * 3), np.float32), (18, 32, 3))
    save(run_dir / "inputs/model.npz", **model.arrays())
    assert trainer.main(["inference_data_preprocess"]) == 65
    assert "at least 15 dB wanted" in str(said(capsys)[-1]["error"])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_model_of_no_numbers_is_refused(run_dir: Path, value: float) -> None:
    given_frames(run_dir, moving_frames())
    model = Model(np.full(18 * 32 * 3, value, np.float32), np.zeros((1, 18 * 32 * 3), np.float32), (18, 32, 3))
    save(run_dir / "inputs/model.npz", **model.arrays())
    assert trainer.main(["inference_data_preprocess"]) == 65


def test_compiling_reports_what_it_costs(run_dir: Path) -> None:
    given_frames(run_dir, moving_frames())
    given_model(run_dir)
    assert trainer.main(["compile"]) == 0
    report = json.loads((run_dir / "outputs/compile.json").read_text())
    assert report["float16"]["psnr_to_original_db"] > report["int8"]["psnr_to_original_db"] > 30


def test_movements_are_found_where_the_picture_changes(run_dir: Path) -> None:
    given_frames(run_dir, moving_frames())
    assert trainer.main(["action_generate_data"]) == 0
    actions = json.loads((run_dir / "outputs/actions.json").read_text())["actions"]
    assert actions
    assert all(action["begin_s"] >= 19 for action in actions)


def test_smoothing_softens_noise_and_spares_edges(run_dir: Path) -> None:
    noise = np.random.default_rng(1).integers(-4, 5, (4, 20, 20, 3))
    frames = np.full((4, 20, 20, 3), 60)
    frames[:, :, 10:] = 200
    given_frames(run_dir, (frames + noise).astype(np.uint8))
    assert trainer.main(["beauty"]) == 0
    with np.load(run_dir / "outputs/frames.npz") as file:
        smooth = file["frames"].astype(int)
    assert np.abs(smooth - frames).mean() < np.abs(noise).mean() * 0.7
    assert (smooth[:, :, 10] - smooth[:, :, 9]).mean() > 130


def test_what_was_retouched_is_what_is_learned_from(run_dir: Path) -> None:
    """The stage beauty is the first that a job meets: it has a video and nothing else."""
    a_video(run_dir / "inputs/training_video.mp4", colour=120)
    assert trainer.main(["beauty"]) == 0
    with np.load(run_dir / "outputs/frames.npz") as file:
        arrays = dict(file)
    save(run_dir / "inputs/frames.npz", **(arrays | {"frames": np.full_like(arrays["frames"], 7)}))
    assert trainer.main(["training_data_preprocess"]) == 0
    with np.load(run_dir / "outputs/frames.npz") as file:
        assert (file["frames"] == 7).all()


def test_a_video_retouched_by_hand_comes_before_all(run_dir: Path) -> None:
    a_video(run_dir / "inputs/training_video.mp4", colour=0)
    a_video(run_dir / "inputs/beauty_video.mp4", colour=200)
    given_frames(run_dir, np.zeros((4, 20, 20, 3), np.uint8))
    assert trainer.main(["training_data_preprocess"]) == 0
    with np.load(run_dir / "outputs/frames.npz") as file:
        assert (file["frames"] > 150).all()


def test_an_unknown_stage_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert trainer.main(["nonsense"]) == 64
    assert "usage" in capsys.readouterr().err


def test_parameters_are_kept_within_bounds(tmp_path: Path) -> None:
    space = Workspace("training", tmp_path, tmp_path, tmp_path, {"a": 1e9, "b": "x", "c": float("nan"), "d": True})
    assert [space.number(name, 5, 1, 10) for name in "abcd"] == [10, 5, 5, 5]
