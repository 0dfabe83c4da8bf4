"""The courier on a real socket: what it writes, and where it never goes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from orchestrator.adapters.courier import HttpCourier
from orchestrator.domain.errors import Invalid, Unavailable
from orchestrator.ports.courier import NotDelivered


class Store(HTTPServer):
    """Answers what the path says, and remembers what came."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.taken: list[tuple[str, bytes, str | None]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Store

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.taken.append((self.path, body, self.headers["Content-Type"]))
        status = int(self.path.rpartition("/")[2].partition("?")[0])
        self.send_response(status)
        if status in {301, 307}:
            self.send_header("Location", f"{self.server.url}/in/200")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002  the base class's name


@pytest.fixture(scope="module")
def served() -> Iterator[Store]:
    with Store() as store:
        thread = threading.Thread(target=store.serve_forever, daemon=True)
        thread.start()
        yield store
        store.shutdown()
        thread.join()


@pytest.fixture
def store(served: Store) -> Store:
    served.taken.clear()
    return served


def test_it_puts_to_an_allowed_address(store: Store) -> None:
    HttpCourier([f"{store.url}/in"]).put(f"{store.url}/in/200?X-Amz-Signature=a%2Fb", b"png", "image/png")
    assert store.taken == [("/in/200?X-Amz-Signature=a%2Fb", b"png", "image/png")]


def test_what_an_older_signature_covers_is_left_as_its_signer_left_it(store: Store) -> None:
    HttpCourier([f"{store.url}/in"]).put(f"{store.url}/in/200?Signature=x&Expires=1", b"png", "image/png")
    assert [content_type for _, _, content_type in store.taken] == [None]


@pytest.mark.parametrize(
    ("answer", "error"),
    [(403, NotDelivered), (404, NotDelivered), (301, NotDelivered), (307, NotDelivered), (500, Unavailable),
     (503, Unavailable), (429, Unavailable)],
)  # fmt: skip
def test_what_the_store_answers(store: Store, answer: int, error: type[Exception]) -> None:
    with pytest.raises(error, match=str(answer)):
        HttpCourier([f"{store.url}/in/"]).put(f"{store.url}/in/{answer}?signature=secret", b"png", "image/png")
    assert [path for path, _, _ in store.taken] == [f"/in/{answer}?signature=secret"]  # no redirect is followed


def test_a_store_that_is_not_there() -> None:
    with pytest.raises(Unavailable) as caught:
        HttpCourier(["http://127.0.0.1:9/"]).put("http://127.0.0.1:9/x?signature=secret", b"png", "image/png")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "address",
    [
        "{url}/other/200", "{url}/in", "{url}/in/", "{url}/in/../200", "{url}/in/%2e%2e/200", "{url}/in/%252e%252e/200",
        "{url}/in/..%2f200", "{url}/in/.%2e/200", "{url}/in/..\\200", "{url}/in/%5c..%5c200", "{url}/in2/200",
        "http://user@127.0.0.1:{port}/in/200", "http://127.0.0.1:{port}@evil.example/in/200",
        "http://evil.example#@127.0.0.1:{port}/in/200", "https://127.0.0.1:{port}/in/200", "http://127.0.0.1/in/200",
        "http://localhost:{port}/in/200", "http://169.254.169.254/latest/meta-data", "http://[::1]:{port}/in/200",
        "http://2130706433:{port}/in/200", "ftp://127.0.0.1:{port}/in/200", "file:///etc/passwd", "oss://bucket/key",
        "//127.0.0.1:{port}/in/200", "/in/200", "", "http://", "{url}/in/200\r\nX: y", "{url}/in/ 200",
        "http://127.0.0.1:99999999/in/200", "{url}/in/200#x", "{url}/IN/200", "http://127.0.0.1\t:{port}/in/200",
    ],
)  # fmt: skip
def test_it_goes_nowhere_else(store: Store, address: str) -> None:
    courier = HttpCourier([f"{store.url}/in/"])
    with pytest.raises(NotDelivered):
        courier.put(address.format(url=store.url, port=store.server_port), b"png", "image/png")
    assert store.taken == []


def test_nothing_allowed_means_nowhere(store: Store) -> None:
    with pytest.raises(NotDelivered, match="operator"):
        HttpCourier([]).put(f"{store.url}/in/200", b"png", "image/png")


@pytest.mark.parametrize(
    "prefix", ["", "example.com", "ftp://example.com/", "https://", "https://a@b/", "https://b/?x=1"]
)
def test_prefixes_that_are_none(prefix: str) -> None:
    with pytest.raises(Invalid, match="address"):
        HttpCourier([prefix])
