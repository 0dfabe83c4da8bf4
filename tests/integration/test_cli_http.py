"""The command line against an API on a real socket of this machine."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from orchestrator.cli.main import run

LOG = "epoch 1\nepoch 2\r\x1b[2Jepoch 3"
PIECE = 11  # ends within a line


class Api(BaseHTTPRequestHandler):
    """One job with one run, whose log comes in pieces."""

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        offset = int(parse_qs(parts.query).get("offset", ["0"])[0])
        text = LOG[offset : offset + PIECE]
        body = json.dumps({
            "/api/v1/jobs/j": {"id": "j", "runs": [{"id": "r"}]},
            "/api/v1/runs/r": {"outcome": "succeeded"},
            "/api/v1/runs/r/log": {"text": text, "next_offset": offset + len(text)},
        }[parts.path]).encode()  # fmt: skip
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing: the test looks at what the command says."""


@pytest.fixture
def endpoint() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Api) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_a_log_is_shown_as_it_was_written_past_any_proxy_and_commands_no_terminal(
    endpoint: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # leads nowhere
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    ended = run(["job", "logs", "j", "--run", "last", "--endpoint", endpoint, "--token", "t"])
    assert (ended, capsys.readouterr().out) == (0, "epoch 1\nepoch 2\n\\x1b[2Jepoch 3\n")
