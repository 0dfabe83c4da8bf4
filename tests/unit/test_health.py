"""Whether the process is ready: what is asked, and how often."""

from __future__ import annotations

from orchestrator.http.health import KEPT_S, TIMEOUT_S, Readiness


def test_whoever_waits_while_a_part_hangs_gets_what_was_found_and_asks_nothing_anew() -> None:
    now_s, asked = [0.0], []

    def hangs() -> None:
        asked.append(now_s[0])
        now_s[0] += TIMEOUT_S

    ready = Readiness({"database": hangs}, frozenset({"database"}), clock=lambda: now_s[0])
    for _ in range(3):
        assert ready.look() == (True, {"database": "ok"})
    assert asked == [0.0]
    now_s[0] += KEPT_S + 1
    ready.look()
    assert len(asked) == 2
    ready.close()


def test_what_is_not_necessary_makes_nobody_unready() -> None:
    def broken() -> None:
        raise ConnectionError

    ready = Readiness({"database": lambda: None, "broker": broken}, frozenset({"database"}))
    assert ready.look() == (True, {"database": "ok", "broker": "ConnectionError"})
    ready.close()
