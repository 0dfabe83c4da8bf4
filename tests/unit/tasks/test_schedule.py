"""Queues, tasks and beat's schedule agree with the tables they are made from."""

from __future__ import annotations

import json

import pytest

from orchestrator.adapters.celery_options import BEAT, BY_SWEEPS, DRAINED, QUEUES, broker_options, task_name
from orchestrator.app.engine import BUDGET
from orchestrator.app.sweeps import SWEEPS
from orchestrator.domain.commands import Effect
from orchestrator.domain.media_items import PREPARE_MEDIA
from tasks.config import SHUTDOWN_S, SOFT_LIMIT_SHARE, celery_settings
from tasks.schedule import beat_schedule

URLS = ("redis://h/0", "redis+socket:///run/redis.sock", "rediss://h/0", "amqp://h//", "amqps://h//", "")


def settings_for(url: str, **changes):
    values = {"prefix": "p:", "concurrency": 2, "time_limit_s": 120, "max_tasks_per_child": 500}
    return celery_settings(url, **(values | changes))


@pytest.fixture(scope="module")
def registered() -> set[str]:
    from tasks import effects, sweeps  # noqa: F401  they register themselves
    from tasks.app import app

    return {name for name in app.tasks if not name.startswith("celery.")}


def test_every_drained_effect_and_every_sweep_has_a_task_and_nothing_else_has(registered: set[str]) -> None:
    sweeps = {task_name(sweep.name) for sweep in SWEEPS}
    assert registered == {task_name(effect) for effect in DRAINED} | sweeps | {task_name(BEAT)}


def test_what_no_task_drains_a_sweep_asks_about() -> None:
    assert {effect for effect in Effect if effect not in DRAINED} == set(BY_SWEEPS)
    assert set(BY_SWEEPS.values()) <= {sweep.name for sweep in SWEEPS}


def test_whatever_is_woken_there_is_a_task_for_it(registered: set[str]) -> None:
    names = [*(effect.value for effect in Effect), PREPARE_MEDIA, *(sweep.name for sweep in SWEEPS), BEAT]
    assert {task_name(name) for name in names} == registered
    assert task_name("overdue") == "sweeps.overdue"  # an effect and a sweep have this name
    assert task_name("retry") == "sweeps.due_retries"


def test_beat_sends_every_task_there_is(registered: set[str]) -> None:
    assert {entry["task"] for entry in beat_schedule().values()} == registered


def test_beat_sends_a_sweep_as_often_as_it_runs_and_forgets_ticks_that_nobody_took() -> None:
    entries = beat_schedule()
    for sweep in SWEEPS:
        entry = entries[f"sweep {sweep.name}"]
        assert entry["schedule"] == max(1.0, sweep.every.total_seconds())
        assert entry["options"]["expires"] == 2 * entry["schedule"]


@pytest.mark.parametrize("url", URLS)
def test_producers_and_workers_agree_on_everything_about_the_broker(url: str) -> None:
    worker = settings_for(url)
    for name, value in broker_options(url, "p:").items():
        assert worker[name] == value, name


@pytest.mark.parametrize("url", URLS)
def test_messages_are_json_hints_that_nobody_keeps_and_nobody_retries(url: str) -> None:
    settings = settings_for(url)
    assert settings["accept_content"] == ["json"]
    assert settings["task_serializer"] == "json"
    assert settings["result_backend"] is None
    assert settings["task_ignore_result"] is True
    assert settings["task_acks_late"] is False
    assert settings["broker_connection_max_retries"] is None


@pytest.mark.parametrize("url", URLS)
def test_every_task_is_routed_to_a_queue_that_workers_read(url: str, registered: set[str]) -> None:
    routes = settings_for(url)["task_routes"]
    assert {name.partition(".")[0] for name in registered} == {pattern.removesuffix(".*") for pattern in routes}
    assert {route["queue"] for route in routes.values()} == {queue.name for queue in settings_for(url)["task_queues"]}
    assert set(QUEUES) == {queue.routing_key for queue in settings_for(url)["task_queues"]}


def test_rabbitmq_keeps_quorum_queues_and_redis_prefetches_nothing() -> None:
    rabbitmq, redis = settings_for("amqp://h//"), settings_for("redis://h/0")
    assert {queue.queue_arguments["x-queue-type"] for queue in rabbitmq["task_queues"]} == {"quorum"}
    assert rabbitmq["broker_transport_options"] == {"confirm_publish": True}
    assert "worker_disable_prefetch" not in rabbitmq
    assert redis["worker_disable_prefetch"] is True
    assert redis["broker_transport_options"]["global_keyprefix"] == "p:"
    assert redis["broker_transport_options"]["socket_timeout"] <= 5


def test_a_drain_ends_by_itself_before_any_limit_ends_it() -> None:
    settings = settings_for("redis://h/0")
    assert BUDGET.total_seconds() < SHUTDOWN_S < settings["task_soft_time_limit"] < settings["task_time_limit"]
    assert settings["task_soft_time_limit"] == settings["task_time_limit"] * SOFT_LIMIT_SHARE


def test_the_schedule_can_be_written_down() -> None:
    assert json.loads(json.dumps(beat_schedule())) == beat_schedule()
