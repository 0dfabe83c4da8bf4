"""What the README tells people to type works, in the order in which it stands there."""

import inspect
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.cli.demo.vendor import connect
from orchestrator.cli.failures import EXIT_WORDS
from tests.e2e.conftest import environment

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```sh\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
PROGRAMS = {
    name: next(
        block
        for block in re.findall(r"^```python\n(.*?)^```", (ROOT / path).read_text(), re.MULTILINE | re.DOTALL)
        if block.startswith("import ")
    )
    for name, path in {"metastudio": "README.md", "native": "orchestrator/dialects/native/README.md"}.items()
}
TYPED = [block for block in BLOCKS if "understudy " in block]


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize("block", TYPED, ids=lambda block: block.split("\n")[0].replace(" ", "-"))
def test_what_is_to_be_typed_works(block, dev, good_video, tmp_path):
    shutil.copy(good_video, tmp_path / "ada.mp4")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ended = subprocess.run(
        ["/bin/sh", "-eu", "-c", block],
        env=environment() | {"UNDERSTUDY_DEV": str(dev.data_dir), "PATH": path},
        cwd=tmp_path, capture_output=True, text=True, timeout=170, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, f"{ended.stdout}\n{ended.stderr}"


@pytest.mark.slow
@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_run_as_they_stand(name, dev, good_video, tmp_path):
    shutil.copy(good_video, tmp_path / "ada.mp4")
    (tmp_path / ".understudy").symlink_to(dev.data_dir)
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAMS[name]],
        env=environment() | {"HOME": str(tmp_path), "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"},
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr


def test_the_line_that_changes_is_the_demos():
    _, _, code = inspect.getsource(connect).partition("return ")
    shown = "\n".join(line.removeprefix("    ") for line in code.splitlines())
    assert f"client = {shown}" in PROGRAMS["metastudio"]


def test_every_other_command_is_one_of_the_script_and_has_its_own_test():
    others = [line for block in BLOCKS if block not in TYPED for line in block.splitlines()]
    assert set(others) == {"./run demo", "./run dev"}, "tested by test_demo and test_dev"
    help_text = subprocess.run([ROOT / "run", "help"], capture_output=True, text=True, check=True).stdout
    assert all(re.search(rf"^{re.escape(line)}\b", help_text, re.MULTILINE) for line in others)


def test_exit_codes_are_the_ones_of_the_code():
    rows = dict(re.findall(r"^\| (\d+) \| (.*) \|$", README, re.MULTILINE))
    assert rows == {str(code.value): words for code, words in EXIT_WORDS.items()}


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target
