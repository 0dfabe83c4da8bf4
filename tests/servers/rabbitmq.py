"""A RabbitMQ of our own, from the machine's package: own node, own directories, own name server, no root.

Erlang nodes find each other through `epmd`, which normally stays on port 4369 for ever. We start ours on a free port
and end it with the broker, so nothing is left and nothing of the machine's own RabbitMQ is touched.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import amqp

from orchestrator.embedded.kept import free_port, listens
from orchestrator.embedded.process import Child
from tests.servers.base import Server, ServerMissing

# The script itself; the one in /usr/sbin is a wrapper that changes to the user of the system's own broker.
PLACES = (Path("/usr/lib/rabbitmq/bin"), Path("/usr/local/opt/rabbitmq/sbin"), Path("/opt/homebrew/opt/rabbitmq/sbin"))


def find_script() -> Path:
    """The `rabbitmq-server` script.

    Raises:
        ServerMissing: RabbitMQ, or Erlang, is not installed.
    """
    on_path = shutil.which("rabbitmq-server")
    candidates = [place / "rabbitmq-server" for place in PLACES] + ([Path(on_path)] if on_path else [])
    script = next((path for path in candidates if path.exists()), None)
    if script is None or shutil.which("erl") is None or shutil.which("epmd") is None:
        raise ServerMissing("no RabbitMQ: install the rabbitmq-server package")
    return script


class NameServer(Server):
    """Erlang's `epmd` on a free loopback port, in the foreground."""

    name = "epmd"

    def __init__(self) -> None:
        super().__init__()
        self.port = free_port()

    @property
    def url(self) -> str:
        return f"127.0.0.1:{self.port}"

    def child(self) -> Child:
        program = shutil.which("epmd") or "epmd"
        return Child(
            name=self.name,
            argv=[program, "-port", str(self.port), "-address", "127.0.0.1"],
            env=self.env(),
            cwd=self.dir,
            log_path=self.dir / "epmd.log",
            ready=lambda: listens(self.port),
            stop_timeout_s=5,
        )


class RabbitMQ(Server):
    """One node on a free port of 127.0.0.1, user guest. Durable queues survive `restart` and `kill`."""

    name = "rabbitmq"

    def __init__(self) -> None:
        self._script = find_script()
        super().__init__()
        self.port = free_port()
        self._node_port = free_port()
        self._names = NameServer()

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}//"

    def start(self) -> None:
        if not self._names.running:
            self._names.start()
        super().start()

    def close(self) -> None:
        super().close()
        self._names.close()

    def env(self) -> dict[str, str]:
        log = self.dir / "log"
        (self.dir / "enabled_plugins").write_text("[].\n", encoding="ascii")
        (self.dir / "env.conf").touch()
        configuration = self.dir / "rabbitmq.conf"
        # A test machine with a nearly full disk must not block every publisher.
        configuration.write_text("disk_free_limit.absolute = 50MB\nlog.console.level = warning\n", encoding="ascii")
        return super().env() | {
            "ERL_EPMD_PORT": str(self._names.port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"understudy-{os.getpid()}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self._node_port),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1} +S 1:1 +sbwt none",
            "RABBITMQ_CONF_ENV_FILE": str(self.dir / "env.conf"),
            "RABBITMQ_CONFIG_FILE": str(configuration),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.dir / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(self.dir / "mnesia"),
            "RABBITMQ_LOG_BASE": str(log),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_PID_FILE": str(self.dir / "pid"),
        }

    def child(self) -> Child:
        return Child(
            name=self.name,
            argv=[str(self._script)],
            env=self.env(),
            cwd=self.dir,
            log_path=self.dir / "rabbitmq.log",
            ready=self._answers,
            ready_timeout_s=90,
            stop_timeout_s=30,
        )

    def _answers(self) -> bool:
        if not listens(self.port):
            return False
        try:
            with amqp.Connection(f"127.0.0.1:{self.port}", "guest", "guest", connect_timeout=2, read_timeout=5):
                return True
        except (OSError, amqp.AMQPError):
            return False
