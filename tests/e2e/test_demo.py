"""The demo keeps its promises, also where there is no terminal."""

import re
import subprocess

import psutil
import pytest

from orchestrator.embedded import strays
from tests.e2e.conftest import UNDERSTUDY, environment

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

NO_SUCH_PROXY = {"HTTP_PROXY": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9"}
PROMISED = (
    "the video arrived in several parts",
    "a part's URL is dead once the upload is sealed",
    "the sealed file is byte for byte what was sent",
    "the machine accepts it",
    "the demo approves",
    "the job succeeded",
    "the log ends where the job is",
    "the bad video is refused",
    "every reason is told at once",
    "with the vendor's error code",
    "the address of the bad video is dead",
    "the SDK shows the model as an asset",
)


def test_the_demo_shows_a_job_from_nothing_to_a_model_and_leaves_nothing_running(tmp_path):
    data_dir, home = tmp_path / "demo", tmp_path / "home"
    home.mkdir()
    ended = subprocess.run(
        [*UNDERSTUDY, "demo", "--data-dir", data_dir],
        env=environment() | NO_SUCH_PROXY | {"HOME": str(home)}, cwd=tmp_path, capture_output=True, text=True,
        timeout=280, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, f"{ended.stdout}\n{ended.stderr}"
    assert not list(home.iterdir())
    for sentence in PROMISED:
        assert sentence in ended.stdout
    held = re.search(r"(\d+) promises checked", ended.stdout)
    assert held
    assert int(held[1]) == ended.stdout.count("✓")
    assert "X-Amz-Signature" not in ended.stdout + ended.stderr
    assert (data_dir / "results" / "model.npz").stat().st_size > 0
    assert not (data_dir / "dev.json").exists()
    assert strays.marked(str(data_dir.resolve())) == []
    assert not [p for p in psutil.process_iter(["cmdline"]) if str(data_dir) in " ".join(p.info["cmdline"] or [])]
