"""What `understudy dev` starts, in this order: broker, store, API, worker, beat.

Parts that somebody brings along (a PostgreSQL, a RabbitMQ, a real S3) are simply left out. Our own processes are the
production ones; they find everything in one settings file, so no secret is in an argument list.
"""

from __future__ import annotations

import os
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from orchestrator.embedded.process import Child
from orchestrator.embedded.redis import Broker
from orchestrator.embedded.store import Store

CLI: Final = ("-m", "orchestrator.cli.main")
OWN_VARIABLES: Final = "UNDERSTUDY_"
WORKER_READY: Final = b"ready."  # Celery's word, once its pool is up
WORKER_STOP_S: Final = 30.0  # longer than the worker gives its tasks to end


def broker_child(broker: Broker, data_dir: Path) -> Child:
    return Child(
        name="broker", argv=broker.argv, env={"PATH": os.defpath}, cwd=data_dir, log_path=_log(data_dir, "broker"),
        ready=broker.ready,
    )  # fmt: skip


def store_child(store: Store, data_dir: Path) -> Child:
    return Child(
        name="store", argv=store.argv, env=store.env, cwd=data_dir, log_path=_log(data_dir, "store"), ready=store.ready
    )


def api_child(data_dir: Path, config: Path, endpoint: str) -> Child:
    return _own("api", ["api"], data_dir, config, ready=lambda: answers(f"{endpoint}/readyz"))


def worker_child(data_dir: Path, config: Path) -> Child:
    ready = _says(_log(data_dir, "worker"), WORKER_READY)
    return _own("worker", ["worker"], data_dir, config, ready=ready, stop_timeout_s=WORKER_STOP_S)


def beat_child(data_dir: Path, config: Path) -> Child:
    return _own("beat", ["beat", "--schedule", str(data_dir / "beat")], data_dir, config)


def _own(
    name: str,
    arguments: list[str],
    data_dir: Path,
    config: Path,
    *,
    ready: Callable[[], bool] | None = None,
    stop_timeout_s: float = 20.0,
) -> Child:
    """One of our own processes: it inherits our environment but for settings, which are all in `config`."""
    return Child(
        name=name,
        argv=[sys.executable, *CLI, *arguments],
        env=own_environment(config),
        cwd=data_dir,
        log_path=_log(data_dir, name),
        ready=ready,
        ready_timeout_s=60.0,
        stop_timeout_s=stop_timeout_s,
    )


def own_environment(config: Path, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What our processes get: no setting of the caller's shell slips in."""
    kept = {name: value for name, value in environment.items() if not name.startswith(OWN_VARIABLES)}
    return kept | {"UNDERSTUDY_CONFIG": str(config), "PYTHONUNBUFFERED": "1"}


def answers(url: str) -> bool:
    """Whether a GET of `url` succeeds within a second."""
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:  # noqa: S310  an http URL of our own
            return bool(answer.status == 200)  # noqa: PLR2004  OK
    except (OSError, urllib.error.URLError):
        return False


def _says(log_path: Path, word: bytes) -> Callable[[], bool]:
    """A check that `word` is in what was written to the log from now on."""
    offset = log_path.stat().st_size if log_path.exists() else 0

    def said() -> bool:
        try:
            with log_path.open("rb") as log:
                log.seek(offset if offset <= log_path.stat().st_size else 0)
                return word in log.read()
        except OSError:
            return False

    return said


def _log(data_dir: Path, name: str) -> Path:
    return data_dir / "logs" / f"{name}.log"
