"""Ceph's S3 gateway for tests: a monitor, a disk in memory and the gateway, on loopback, without root.

From Debian's packages ceph-mon, ceph-osd, ceph-common and radosgw. The only store here with principals: part URLs are
signed by one that may only write below `staging/`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import uuid
from typing import Final

from orchestrator.adapters.s3.client import Clients
from orchestrator.adapters.s3.options import S3Options
from orchestrator.embedded.kept import free_port, listens
from orchestrator.embedded.process import Child, Process
from tests.servers import Server, ServerMissing

PROGRAMS: Final = (
    "ceph", "ceph-authtool", "ceph-mon", "ceph-osd", "monmaptool", "radosgw", "radosgw-admin",
)  # fmt: skip

_SETTINGS: Final = """
[global]
fsid = {fsid}
auth cluster required = none
auth service required = none
auth client required = none
mon host = v1:127.0.0.1:{mon_port}
public addr = 127.0.0.1
cluster addr = 127.0.0.1
run dir = {dir}/run
admin socket =
pid file = {dir}/run/$name.pid
log file = {dir}/log/$name.log
log to stderr = false
mon data = {dir}/mon
osd data = {dir}/osd
osd objectstore = memstore
memstore device bytes = 4294967296
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pgp num = 4
osd pool default pg autoscale mode = off
mon allow pool size one = true
mon warn on pool no redundancy = false
mon max pg per osd = 1000
osd crush chooseleaf type = 0
osd crush update on start = false
osd class update on start = false
mon cluster log file = {dir}/log/cluster.log
keyring = {dir}/keyring
rgw data = {dir}/rgw
rgw frontends = beast endpoint=127.0.0.1:{port}
rgw dns name = s3.localhost
rgw thread pool size = 32
rgw enable apis = s3,admin
"""


class RadosgwServer(Server):
    name = "radosgw"
    access_key = "AKTEST"
    secret_key = "SECRETSECRET"
    signer_access_key = "AKSIGNER"
    signer_secret_key = "SIGNERSECRET"

    def __init__(self) -> None:
        path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
        if missing := [program for program in PROGRAMS if shutil.which(program, path=path) is None]:
            raise ServerMissing(f"no {', '.join(missing)}: apt install ceph-mon ceph-osd ceph-common radosgw")
        super().__init__()
        self._port, self._mon_port = free_port(), free_port()
        self._backends: list[Process] = []
        for name in ("mon", "osd", "run", "log", "rgw"):
            (self.dir / name).mkdir()
        settings = _SETTINGS.format(fsid=uuid.uuid4(), mon_port=self._mon_port, dir=self.dir, port=self._port)
        (self.dir / "ceph.conf").write_text(settings)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def options(self, bucket: str) -> S3Options:
        return S3Options(
            self.url,
            bucket,
            self.access_key,
            self.secret_key,
            signer_access_key=self.signer_access_key,
            signer_secret_key=self.signer_secret_key,
        )

    def allow_signer(self, options: S3Options) -> None:
        """Let the signing principal write below the staging prefix, and nothing else."""
        policy = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"AWS": ["arn:aws:iam:::user/signer"]},
                    "Action": ["s3:PutObject"],
                    "Resource": [f"arn:aws:s3:::{options.bucket}/staging/*"],
                }
            ],
        }
        Clients(options).calls.put_bucket_policy(Bucket=options.bucket, Policy=json.dumps(policy))

    def child(self) -> Child:
        return self._child("radosgw", ["radosgw", "-f", "-n", "client.admin"], self._port)

    def start(self) -> None:
        fsid = uuid.uuid4()
        self._run("ceph-authtool", "--create-keyring", "keyring", "--gen-key", "-n", "mon.", "--cap", "mon", "allow *")
        caps = [word for what in ("mon", "osd", "mgr") for word in ("--cap", what, "allow *")]
        self._run("ceph-authtool", "keyring", "--gen-key", "-n", "client.admin", *caps)
        monitor = f"[v1:127.0.0.1:{self._mon_port}]"
        self._run("monmaptool", "--create", "--fsid", self._cluster_id(), "--addv", "a", monitor, "monmap")
        self._ceph("ceph-mon", "--mkfs", "-i", "a", "--monmap", "monmap", "--keyring", "keyring")
        self._backends.append(Process.start(self._child("mon", ["ceph-mon", "-f", "-i", "a"], self._mon_port)))
        self._ceph("ceph", "osd", "new", str(fsid))
        self._ceph("ceph", "osd", "crush", "add", "osd.0", "1.0", "root=default", "host=local")
        self._ceph("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", str(fsid))
        self._backends.append(Process.start(self._child("osd", ["ceph-osd", "-f", "-i", "0"], None)))
        for user, access_key, secret_key in (
            ("main", self.access_key, self.secret_key),
            ("signer", self.signer_access_key, self.signer_secret_key),
        ):
            keys = ["--access-key", access_key, "--secret-key", secret_key]
            self._ceph("radosgw-admin", "user", "create", "--uid", user, "--display-name", user, *keys)
        super().start()

    def stop(self) -> None:
        super().stop()
        while self._backends:
            self._backends.pop().stop(timeout_s=2)  # nothing in memory is worth an orderly end

    def env(self) -> dict[str, str]:
        env = super().env()
        return env | {"PATH": f"{env['PATH']}:/usr/sbin:/sbin"}

    def _cluster_id(self) -> str:
        lines = (self.dir / "ceph.conf").read_text().splitlines()
        return next(line.removeprefix("fsid = ") for line in lines if line.startswith("fsid = "))

    def _ceph(self, program: str, *words: str) -> None:
        self._run(program, "-c", "ceph.conf", *words)

    def _run(self, *argv: str) -> None:
        subprocess.run(argv, cwd=self.dir, env=self.env(), check=True, capture_output=True, timeout=60)

    def _child(self, name: str, argv: list[str], port: int | None) -> Child:
        program = shutil.which(argv[0], path=self.env()["PATH"]) or argv[0]
        return Child(
            name=f"radosgw-{name}",
            argv=[program, "-c", str(self.dir / "ceph.conf"), *argv[1:]],
            env=self.env(),
            cwd=self.dir,
            log_path=self.dir / f"{name}.out",
            ready=None if port is None else lambda: listens(port),
            ready_timeout_s=60,
            stop_timeout_s=5,
        )
