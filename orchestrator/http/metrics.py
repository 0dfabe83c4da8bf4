"""Numbers for Prometheus: requests of this process, and the state of all jobs as the database has it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import structlog
from prometheus_client import CollectorRegistry, Histogram, Info, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from orchestrator.app.context import Context
from orchestrator.domain.commands import Effect
from orchestrator.domain.errors import Unavailable
from orchestrator.domain.states import JobState
from orchestrator.version import our_version

_BUCKETS: Final = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

log = structlog.get_logger()


class Metrics:
    """The registry of one process."""

    def __init__(self, context: Context) -> None:
        self._registry = CollectorRegistry()
        self._requests = Histogram(
            "understudy_http_request_seconds", "Time of HTTP requests.", ("method", "route", "status"),
            buckets=_BUCKETS, registry=self._registry,
        )  # fmt: skip
        Info("understudy_build", "What runs here.", registry=self._registry).info({"version": our_version()})
        self._registry.register(_Jobs(context))

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """One request; `route` is a template, never a path."""
        known = method if method in {"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"} else "OTHER"
        self._requests.labels(known, route, str(status)).observe(seconds)

    def text(self) -> bytes:
        return generate_latest(self._registry)


class _Jobs(Collector):
    """Asks the database when it is scraped; each number costs the same however many jobs there are."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def describe(self) -> list[Metric]:
        """Nothing: registering must not ask the database."""
        return []

    def collect(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("understudy_database_up", "Whether the database answers.")
        try:
            found = list(self._ask())
        except Unavailable as exc:
            log.warning("metrics without database", error=exc.message)
            up.add_metric([], 0)
            yield up
            return
        up.add_metric([], 1)
        yield up
        yield from found

    def _ask(self) -> Iterator[Metric]:
        now = self._context.clock()
        with self._context.store.read() as tx:
            counts = tx.reads.counts(None)
            oldest = tx.reads.oldest_due()
            live = {pool: tx.runs.live(pool) for pool in self._context.pools}
        jobs = GaugeMetricFamily("understudy_jobs", "Jobs in each state.", labels=["state"])
        for state in JobState:
            jobs.add_metric([state.value], counts.get(state, 0))
        yield jobs
        ages = GaugeMetricFamily(
            "understudy_due_age_seconds", "How long the oldest due work of an effect has waited.", labels=["effect"]
        )
        for effect in Effect:
            due_at = oldest.get(effect.value)
            ages.add_metric([effect.value], max(0.0, (now - due_at).total_seconds()) if due_at else 0.0)
        yield ages
        runs = GaugeMetricFamily("understudy_live_runs", "Runs under way in a pool.", labels=["pool"])
        slots = GaugeMetricFamily("understudy_slots", "Runs that a pool takes at once.", labels=["pool"])
        for name, pool in self._context.pools.items():
            runs.add_metric([name], sum(live[name].values()))
            slots.add_metric([name], pool.slots)
        yield runs
        yield slots
