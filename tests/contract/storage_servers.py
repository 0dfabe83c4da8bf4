"""The stores that the contract suite runs against: one function each, and one row in STORES."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import httpx

from orchestrator.adapters.s3.options import S3Options, StoreKind
from orchestrator.adapters.s3.storage import S3Storage
from orchestrator.domain.uploads import MIN_PART_BYTES
from orchestrator.embedded.kept import free_port, listens
from orchestrator.embedded.process import Child, Process
from orchestrator.ports.storage import Storage
from tests.contract.storage_localstack import LocalStackServer, install, localstack_programs
from tests.contract.storage_radosgw import RadosgwServer
from tests.fakes.storage import MemoryStorage
from tests.servers import Server, ServerMissing, StoreServer
from tests.servers.base import guardian

SWIFT: Final = "swift==2.38.3"


@dataclass(frozen=True)
class StoreUnderTest:
    """A store and what an uploader without any key can do to it.

    Attributes:
        put_url: sends bytes to a signed URL; gives the HTTP status.
        small_copies: the same bucket, where whatever has more than MIN_PART_BYTES counts as too large for one copy.
        options: None for the fake.
        part_urls_die: part URLs are refused once the upload is complete.
    """

    storage: Storage
    put_url: Callable[[str, bytes], int]
    small_copies: Storage
    options: S3Options | None = None
    part_urls_die: bool = True


def memory(_: ExitStack) -> StoreUnderTest:
    storage = MemoryStorage()
    return StoreUnderTest(storage, storage.put_url, storage)


def memory_careless(_: ExitStack) -> StoreUnderTest:
    storage = MemoryStorage(careless=True)
    return StoreUnderTest(storage, storage.put_url, storage, part_urls_die=False)


def rclone(cleanup: ExitStack) -> StoreUnderTest:
    server = cleanup.enter_context(StoreServer())
    return _s3(S3Options(server.url, server.bucket, server.access_key, server.secret_key))


def swift(cleanup: ExitStack) -> StoreUnderTest:
    server = cleanup.enter_context(SwiftServer(swift_programs()))
    return replace(
        _s3(S3Options(server.url, "test-bucket", SwiftServer.access_key, SwiftServer.secret_key)), part_urls_die=False
    )


def radosgw(cleanup: ExitStack) -> StoreUnderTest:
    server = cleanup.enter_context(RadosgwServer())
    store = _s3(server.options("test-bucket"))
    assert store.options is not None
    server.allow_signer(store.options)
    return store


def localstack(cleanup: ExitStack) -> StoreUnderTest:
    server = cleanup.enter_context(LocalStackServer(localstack_programs()))
    # As AWS: so that what is only sent there is tried as well.
    options = S3Options(
        server.url, "test-bucket", server.access_key, server.secret_key, profile=StoreKind.AWS, addressing="path"
    )
    return _s3(options)


STORES: Final[Mapping[str, Callable[[ExitStack], StoreUnderTest]]] = {
    "memory": memory,
    "memory-careless": memory_careless,
    "rclone": rclone,
    "swift": swift,
    "radosgw": radosgw,
    "localstack": localstack,
}


class Stores:
    """The stores of a test session, each started once.

    Args:
        soon: names of those that will be asked for: they start at once, beside each other.
    """

    def __init__(self, soon: Collection[str] = ()) -> None:
        guardian()  # made once, before several threads ask for it
        self._cleanup = ExitStack()
        self._starters = ThreadPoolExecutor(len(STORES))
        self._started = {name: self._start(name) for name in STORES if name in soon}

    def _start(self, name: str) -> Future[StoreUnderTest]:
        return self._starters.submit(STORES[name], self._cleanup)

    def get(self, name: str) -> StoreUnderTest:
        """Raises ServerMissing, with the same reason each time."""
        if name not in self._started:
            self._started[name] = self._start(name)
        return self._started[name].result()

    def close(self) -> None:
        self._starters.shutdown()
        self._cleanup.close()


def _s3(options: S3Options) -> StoreUnderTest:
    storage = S3Storage(options)
    storage.create_bucket()
    return StoreUnderTest(
        storage,
        put_url,
        S3Storage(replace(options, copy_part_limit_bytes=MIN_PART_BYTES)),
        options,
    )


def put_url(url: str, data: bytes) -> int:
    return httpx.put(url, content=data, timeout=30, trust_env=False).status_code


def swift_programs() -> Path:
    """Where Swift's programs are: in a virtual environment of their own, made once per Python version.

    Raises:
        ServerMissing: it cannot be installed here.
    """
    version = f"{sys.version_info.major}{sys.version_info.minor}"
    return install(f"{SWIFT.replace('==', '-')}-py{version}", sys.executable, [SWIFT])


class SwiftServer(Server):
    """OpenStack Swift on one node with its S3 API: the store whose part URLs live on and damage what is finished."""

    name = "swift"
    access_key = "test:tester"
    secret_key = "testing"

    def __init__(self, programs: Path) -> None:
        super().__init__()
        if not _has_user_xattrs(self.dir):
            self.close()
            raise ServerMissing(f"Swift needs user xattrs, {self.dir.parent} has none")
        self._programs = programs
        self._ports = {name: free_port() for name in ("object", "container", "account", "proxy")}
        self._backends: list[Process] = []
        (self.dir / "disk" / "sda").mkdir(parents=True)
        self._write_settings()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._ports['proxy']}"

    def child(self) -> Child:
        return self._child("proxy")

    def start(self) -> None:
        self._backends = [Process.start(self._child(name)) for name in ("object", "container", "account")]
        super().start()

    def stop(self) -> None:
        super().stop()
        while self._backends:
            self._backends.pop().stop()

    def _child(self, name: str) -> Child:
        port = self._ports[name]
        return Child(
            name=f"swift-{name}",
            argv=[str(self._programs / f"swift-{name}-server"), str(self.dir / f"{name}.conf")],
            env={**self.env(), "PATH": f"{self._programs}{os.pathsep}{os.defpath}"},
            cwd=self.dir,
            log_path=self.dir / f"{name}.log",
            ready=lambda: listens(port),
            stop_timeout_s=5,
        )

    def _write_settings(self) -> None:
        (self.dir / "swift.conf").write_text(
            "[swift-hash]\nswift_hash_path_prefix = a\nswift_hash_path_suffix = b\n"
            "[storage-policy:0]\nname = gold\ndefault = yes\n"
        )
        self._make_rings()
        common = f"[DEFAULT]\nbind_ip = 127.0.0.1\nworkers = 0\nswift_dir = {self.dir}\nlog_level = WARNING\n"
        for name in ("object", "container", "account"):
            (self.dir / f"{name}.conf").write_text(
                f"{common}bind_port = {self._ports[name]}\ndevices = {self.dir / 'disk'}\nmount_check = false\n"
                f"disable_fallocate = true\n[pipeline:main]\npipeline = {name}-server\n"
                f"[app:{name}-server]\nuse = egg:swift#{name}\n"
            )
        plain = ("catch_errors", "gatekeeper", "listing_formats", "copy", "slo", "dlo", "symlink")
        (self.dir / "proxy.conf").write_text(
            f"{common}bind_port = {self._ports['proxy']}\n[pipeline:main]\npipeline = catch_errors gatekeeper cache "
            "listing_formats bulk s3api tempauth copy slo dlo versioned_writes symlink proxy-server\n"
            "[app:proxy-server]\nuse = egg:swift#proxy\naccount_autocreate = true\n"
            f"[filter:tempauth]\nuse = egg:swift#tempauth\nuser_test_tester = {self.secret_key} .admin\n"
            "[filter:s3api]\nuse = egg:swift#s3api\nlocation = us-east-1\nstorage_domain = localhost\n"
            "[filter:cache]\nuse = egg:swift#memcache\nmemcache_servers = 127.0.0.1:1\n"
            "[filter:versioned_writes]\nuse = egg:swift#versioned_writes\nallow_object_versioning = true\n"
            "[filter:bulk]\nuse = egg:swift#bulk\n"
            + "".join(f"[filter:{name}]\nuse = egg:swift#{name}\n" for name in plain)
        )

    def _make_rings(self) -> None:
        """One device each. With Swift's own Python in one process: its program takes a second per step."""
        ports = {name: port for name, port in self._ports.items() if name != "proxy"}
        subprocess.run(
            [self._programs / "python", "-c", _MAKE_RINGS, json.dumps(ports)],
            cwd=self.dir,
            env=self.env(),
            check=True,
            capture_output=True,
        )


_MAKE_RINGS: Final = """
import json, sys
from swift.common.ring import RingBuilder
for name, port in json.loads(sys.argv[1]).items():
    builder = RingBuilder(4, 1, 1)
    builder.add_dev({"id": 0, "region": 1, "zone": 1, "ip": "127.0.0.1", "port": port, "device": "sda", "weight": 1.0,
                     "replication_ip": "127.0.0.1", "replication_port": port, "meta": ""})
    builder.rebalance()
    builder.get_ring().save(f"{name}.ring.gz")
"""


def _has_user_xattrs(folder: Path) -> bool:
    probe = folder / "xattr"
    probe.touch()
    try:
        os.setxattr(probe, "user.swift", b"1")
    except (OSError, AttributeError):
        return False
    finally:
        probe.unlink()
    return True
