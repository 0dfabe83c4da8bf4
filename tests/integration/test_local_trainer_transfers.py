"""What goes in and out of a local run: inputs by URL, results to a store."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from orchestrator.adapters.trainers.local import LocalBackend
from orchestrator.adapters.trainers.upkeep import terminate_all
from orchestrator.domain.retry import FailureClass
from orchestrator.ports.trainer import RunInput, RunSpec, RunState, RunStatus
from tests.contract.trainer_harness import reaches, until
from tests.fakes.trainer import a_spec

KEY = "job-1.training.1"
BODY = bytes(range(256)) * 1000
DIGEST = hashlib.sha256(BODY).hexdigest()
COPY = (
    "import shutil, pathlib; pathlib.Path('outputs/deep').mkdir(); shutil.copy('inputs/a.bin', 'outputs/deep/b.json')"
)


@dataclass
class Files:
    """A web server whose paths say what it does: /ok, /flaky (good at the third try), /cut, /500, /403."""

    url: str = ""
    asked: Counter[str] = field(default_factory=Counter)


@pytest.fixture
def files() -> Iterator[Files]:
    files = Files()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            files.asked[path] += 1
            if path in {"/500", "/403"} or (path == "/flaky" and files.asked[path] < 3):
                self.send_error(403 if path == "/403" else 500)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(BODY)))
            self.end_headers()
            self.wfile.write(BODY[:100] if path == "/cut" else BODY)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        files.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield files
        server.shutdown()
        thread.join()


@pytest.fixture
def backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalBackend]:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))  # where runners find the store of tests
    yield LocalBackend(
        tmp_path / "runs",
        store={"root": str(tmp_path / "store")},
        store_factory="tests.fakes.trainer:DirectoryStore",
    )
    terminate_all(tmp_path / "runs", grace_s=0.1)


def an_input(files: Files, path: str, **changes: object) -> RunInput:
    plain = {"name": "a.bin", "url": f"{files.url}{path}?X-Signature=secret", "size_bytes": len(BODY), "sha256": DIGEST}
    return RunInput(**{**plain, **changes})


def ended(backend: LocalBackend, state: RunState, *inputs: RunInput, code: str = COPY) -> RunStatus:
    spec: RunSpec = a_spec(command=("{python}", "-I", "-S", "-c", code), inputs=inputs)
    return reaches(backend, backend.submit(spec, KEY), state)


def test_results_are_stored_below_the_prefix_with_their_hashes(
    backend: LocalBackend, files: Files, tmp_path: Path
) -> None:
    status = ended(backend, RunState.SUCCEEDED, an_input(files, "/ok", sha256=None))
    [artefact] = status.artefacts
    assert (artefact.name, artefact.key) == ("deep/b.json", "runs/run-1/deep/b.json")
    assert (artefact.size_bytes, artefact.sha256, artefact.content_type) == (len(BODY), DIGEST, "application/json")
    assert status.input_hashes == {"a.bin": DIGEST}
    assert (tmp_path / "store" / artefact.key).read_bytes() == BODY


def test_signed_urls_and_inputs_are_gone_once_the_run_has_ended(
    backend: LocalBackend, files: Files, tmp_path: Path
) -> None:
    run = tmp_path / "runs" / KEY
    ended(backend, RunState.SUCCEEDED, an_input(files, "/ok"))
    until(lambda: (run / "inputs").exists() or (run / "spec.json").exists(), lambda left: not left, "tidied")
    texts = [path.read_text(errors="replace") for path in run.rglob("*") if path.is_file()]
    assert texts
    assert "X-Signature" not in "".join(texts)


def test_only_the_runner_may_read_the_signed_urls(backend: LocalBackend, files: Files, tmp_path: Path) -> None:
    wait = "import time; time.sleep(600)"
    backend.submit(a_spec(command=("{python}", "-c", wait), inputs=(an_input(files, "/ok"),)), KEY)
    spec = tmp_path / "runs" / KEY / "spec.json"
    assert spec.stat().st_mode & 0o077 == 0
    assert "X-Signature" in spec.read_text()
    assert "X-Signature" not in spec.with_name("run.json").read_text()


def test_trouble_that_passes_is_tried_again(backend: LocalBackend, files: Files) -> None:
    ended(backend, RunState.SUCCEEDED, an_input(files, "/flaky"))
    assert files.asked["/flaky"] == 3


@pytest.mark.parametrize(
    ("path", "words", "asked"),
    [("/500", "HTTP 500, 4 times", 4), ("/403", "HTTP 403", 1), ("/cut", "RemoteProtocolError, 4 times", 4)],
)
def test_an_input_that_cannot_be_had_is_a_fault_of_the_infrastructure(
    backend: LocalBackend, files: Files, path: str, words: str, asked: int
) -> None:
    status = ended(backend, RunState.FAILED, an_input(files, path))
    assert status.failure is FailureClass.INFRASTRUCTURE
    assert status.message == f"input a.bin: {words}"
    assert files.asked[path] == asked


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sha256": "0" * 64}, f"SHA-256 {DIGEST}, expected {'0' * 64}"),
        ({"size_bytes": len(BODY) + 1}, f"{len(BODY)} bytes, expected {len(BODY) + 1}"),
        ({"size_bytes": 10}, "expected 10"),
    ],
)
def test_other_bytes_than_were_validated_are_refused(
    backend: LocalBackend, files: Files, changes: dict[str, object], words: str
) -> None:
    status = ended(backend, RunState.FAILED, an_input(files, "/ok", **changes))
    assert status.failure is FailureClass.DATA
    assert words in status.message


def test_an_input_name_cannot_leave_its_directory(backend: LocalBackend, files: Files, tmp_path: Path) -> None:
    status = ended(backend, RunState.FAILED, an_input(files, "/ok", name="../../../escaped"))
    assert "leads out of inputs/" in status.message
    assert not list(tmp_path.rglob("escaped"))


def test_links_among_the_results_are_not_followed(backend: LocalBackend) -> None:
    code = "import os; os.symlink('/etc/passwd', 'outputs/passwd'); os.symlink('/etc', 'outputs/etc')"
    assert ended(backend, RunState.SUCCEEDED, code=code).artefacts == ()


def test_results_without_a_store_are_not_lost_silently(tmp_path: Path) -> None:
    backend = LocalBackend(tmp_path / "runs")
    status = ended(backend, RunState.FAILED, code="open('outputs/a', 'w').close()")
    assert status.failure is FailureClass.INFRASTRUCTURE
    assert "no store is configured" in status.message


def test_a_store_that_fails_is_a_fault_of_the_infrastructure(tmp_path: Path, backend: LocalBackend) -> None:
    (tmp_path / "store").write_text("in the way")
    status = ended(backend, RunState.FAILED, code="open('outputs/a', 'w').close()")
    assert status.failure is FailureClass.INFRASTRUCTURE
    assert status.message.startswith("result a: ")


def test_a_run_that_hangs_in_its_store_is_cancelled_all_the_same(
    tmp_path: Path, backend: LocalBackend, files: Files
) -> None:
    del backend  # for its environment
    stuck = LocalBackend(tmp_path / "runs", store={}, store_factory="tests.fakes.trainer:StuckStore")
    code = "open('outputs/a', 'w').close()"
    handle = stuck.submit(a_spec(command=("{python}", "-c", code), inputs=(an_input(files, "/ok"),)), KEY)
    until(lambda: stuck.observe([handle])[0].message, lambda message: message == "storing a", "storing")
    stuck.cancel(handle, 0.1)
    reaches(stuck, handle, RunState.CANCELLED)
    until((tmp_path / "runs" / KEY / "inputs").exists, lambda there: not there, "tidied")


def test_the_store_s_keys_are_not_within_reach_of_the_command(tmp_path: Path) -> None:
    backend = LocalBackend(tmp_path / "runs", store={"endpoint": "", "bucket": "b", "secret_key": "very-secret"})
    code = "import json, os; print(json.dumps(dict(os.environ)), open('run.json').read(), os.listdir('.'))"
    ended(backend, RunState.SUCCEEDED, code=code)
    run = tmp_path / "runs" / KEY
    assert "very-secret" not in "".join(path.read_text() for path in run.rglob("*") if path.is_file())
    assert json.loads((run / "run.json").read_text())["run_id"] == "run-1"
