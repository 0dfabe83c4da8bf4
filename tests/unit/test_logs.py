"""The log: one line an event, and no secret of a URL in it, whoever logs it and however deep it is."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Callable, Iterator

import pytest
import structlog

from orchestrator.logs import configure_logging

SIGNED = "https://store/bucket/key?X-Amz-Signature=5ec7e7&X-Amz-Expires=60"
Read = Callable[[], list[dict[str, object]]]


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Iterator[Read]:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    configure_logging("info", "json")
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.handlers[:] = before
    root.setLevel(level)
    structlog.reset_defaults()


def test_an_event_is_one_line_with_its_fields(written: Read) -> None:
    structlog.get_logger("here").info("drained", effect="verify", text="two\nlines")
    (event,) = written()
    assert event.items() >= {"event": "drained", "effect": "verify", "level": "info", "text": "two\nlines"}.items()


def test_other_libraries_write_the_same_way(written: Read) -> None:
    logging.getLogger("some.library").warning("%s is late", "it")
    (event,) = written()
    assert event["event"] == "it is late"
    assert event["logger"] == "some.library"


@pytest.mark.parametrize("log", [structlog.get_logger("a"), logging.getLogger("b")], ids=["structlog", "logging"])
def test_a_traceback_stays_in_the_line_of_its_event(written: Read, log) -> None:
    def fails() -> None:
        raise ValueError(SIGNED)

    try:
        fails()
    except ValueError:
        log.exception("broken")
    (event,) = written()
    assert "ValueError" in str(event["exception"])
    assert "5ec7e7" not in json.dumps(event)


@pytest.mark.parametrize(
    "value",
    [
        SIGNED,
        f"GET {SIGNED} failed",
        {"url": SIGNED},
        [{"parts": (SIGNED,)}],
        ValueError(SIGNED),
        "/bucket/key?partNumber=1&X-Amz-Signature=5ec7e7",
        "redis://:5ec7e7@host/0",
        "amqp://user:5ec7e7@host//",
        "postgresql+psycopg://understudy:5ec7e7@host/db",
    ],
)
def test_neither_signatures_nor_passwords_of_urls_are_written(written: Read, value: object) -> None:
    structlog.get_logger("a").warning("a field", value=value)
    structlog.get_logger("a").warning(f"the text {value}")
    logging.getLogger("b").warning("an argument %s", value)
    events = written()
    assert len(events) == 3
    assert "5ec7e7" not in json.dumps(events)


def test_what_is_no_secret_stays_readable(written: Read) -> None:
    structlog.get_logger("a").info("is it?", name="who? me", at="somebody@example.org", broker="redis://:**@h/0", n=3)
    (event,) = written()
    assert event.items() >= {"event": "is it?", "name": "who? me", "at": "somebody@example.org", "n": 3}.items()
    assert event["broker"] == "redis://:**@h/0"


@pytest.mark.usefixtures("written")
def test_a_quieter_level_keeps_the_rest_out(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("warning", "json")
    structlog.get_logger("a").info("unheard")
    logging.getLogger("b").info("unheard")
    structlog.get_logger("a").warning("heard")
    assert [json.loads(line)["event"] for line in capsys.readouterr().err.splitlines()] == ["heard"]
