"""What every trainer backend promises. A new backend is one more harness in `HARNESSES`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestrator.adapters.trainers.instant import InstantBackend
from orchestrator.adapters.trainers.upkeep import terminate_all
from orchestrator.domain.retry import FailureClass
from orchestrator.ports.trainer import Artefact, RunState
from tests.contract.trainer_harness import FakeHarness, Harness, InstantHarness, LocalHarness, reaches

HARNESSES: dict[str, Callable[[Path], Harness]] = {
    "local": LocalHarness,
    "fake": lambda _: FakeHarness(),
    "instant": lambda _: InstantHarness(InstantBackend()),
}
KEY = "job-1.training.1"


def _harness(request: pytest.FixtureRequest, directory: Path) -> Iterator[Harness]:
    yield HARNESSES[request.param](directory)
    terminate_all(directory / "runs", grace_s=0.1)


@pytest.fixture(params=["local", "fake", "instant"])
def anyone(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Harness]:
    """Every backend."""
    yield from _harness(request, tmp_path)


@pytest.fixture(params=["local", "fake"])
def lasting(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Harness]:
    """Backends whose runs take time."""
    yield from _harness(request, tmp_path)


def test_a_run_submitted_twice_under_one_key_is_one_run(anyone: Harness) -> None:
    first = anyone.backend.submit(anyone.spec(), KEY)
    assert anyone.backend.submit(anyone.spec(), KEY) == first
    anyone.finish(first)
    assert anyone.backend.submit(anyone.spec(), KEY) == first
    assert anyone.backend.observe([first])[0].state is RunState.SUCCEEDED


def test_a_run_is_found_by_its_key_and_nothing_by_another(anyone: Harness) -> None:
    assert anyone.backend.find(KEY) is None
    handle = anyone.backend.submit(anyone.spec(), KEY)
    assert anyone.backend.find(KEY) == handle
    assert anyone.backend.find(KEY + ".2") is None


@pytest.mark.parametrize("handle", ["", "never-submitted", "../../etc", "slots", "a\0b"])
def test_an_unknown_handle_is_gone_and_harms_nobody(anyone: Harness, handle: str) -> None:
    anyone.backend.cancel(handle, 0.1)
    assert anyone.backend.logs(handle, 7) == ("", 7)
    assert anyone.backend.find(handle) is None
    assert anyone.backend.observe([handle])[0].state is RunState.GONE


def test_statuses_come_in_the_order_asked(anyone: Harness) -> None:
    handle = anyone.backend.submit(anyone.spec(), KEY)
    statuses = anyone.backend.observe(["unknown", handle, "other"])
    assert [status.handle for status in statuses] == ["unknown", handle, "other"]
    assert [status.state is RunState.GONE for status in statuses] == [True, False, True]
    assert anyone.backend.observe([]) == []


def test_a_run_that_ended_well_stays_so_when_cancelled_late(anyone: Harness) -> None:
    handle = anyone.backend.submit(anyone.spec(), KEY)
    anyone.finish(handle)
    anyone.backend.cancel(handle, 0.1)
    status = anyone.backend.observe([handle])[0]
    assert (status.state, status.progress, status.failure) == (RunState.SUCCEEDED, 1.0, None)


def test_progress_message_and_metrics_are_seen_while_it_runs(lasting: Harness) -> None:
    handle = lasting.backend.submit(lasting.spec(), KEY)
    lasting.running(handle)
    status = reaches(lasting.backend, handle, RunState.RUNNING)
    assert (status.progress, status.message, status.metrics) == (0.25, "a quarter", {"loss": 0.5})


def test_a_cancelled_run_ends_cancelled(lasting: Harness) -> None:
    handle = lasting.backend.submit(lasting.spec(), KEY)
    lasting.running(handle)
    lasting.backend.cancel(handle, 5)
    lasting.backend.cancel(handle, 5)
    assert reaches(lasting.backend, handle, RunState.CANCELLED).failure is FailureClass.CANCELLED


def test_a_run_cancelled_before_it_began_ends_cancelled(lasting: Harness) -> None:
    handle = lasting.backend.submit(lasting.spec(), KEY)
    lasting.backend.cancel(handle, 5)
    reaches(lasting.backend, handle, RunState.CANCELLED)


def test_the_log_is_read_on_from_where_it_was_left(lasting: Harness) -> None:
    handle = lasting.backend.submit(lasting.spec(), KEY)
    lasting.running(handle)
    start, offset = lasting.backend.logs(handle, 0, limit=2)
    rest, end = lasting.backend.logs(handle, offset)
    assert start + rest == "größer\n"
    assert lasting.backend.logs(handle, end) == ("", end)


def test_instant_runs_have_the_artefacts_they_were_given_below_their_own_prefix() -> None:
    made = Artefact("model.npz", "", 3, "ab" * 32, "application/x-npz")
    backend = InstantBackend([made])
    handle = backend.submit(InstantHarness(backend).spec(output_prefix="runs/9/"), KEY)
    [other_process] = InstantBackend([made]).observe([handle])
    assert [artefact.key for artefact in other_process.artefacts] == ["runs/9/model.npz"]
