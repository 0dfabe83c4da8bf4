"""LocalStack for tests, without a container: the nearest to AWS in details. It needs Python 3.12 or 3.13."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import httpx

from orchestrator.embedded.kept import free_port
from orchestrator.embedded.process import Child
from tests.servers import Server, ServerMissing

BUILD: Final = Path(__file__).parents[2] / "build"
PACKAGES: Final = (
    "localstack-core[base-runtime]==2026.3.0",
    "moto-ext[iam]",
    # Newer ones do not fit to what it imports.
    "cbor2<5.8",
    "pyopenssl<26",
    "cryptography<47",
    "service_identity<25",
)
VERSIONS: Final = ("3.13", "3.12")


def install(name: str, python: str, packages: Sequence[str]) -> Path:
    """Programs of a server in a virtual environment of its own below build/, made once.

    Raises:
        ServerMissing: it cannot be installed here.
    """
    home = BUILD / name
    programs, done = home / "bin", home / "installed"
    if not done.exists():
        try:
            if python == sys.executable:
                venv.create(home, with_pip=True, clear=True)
            else:
                subprocess.run([python, "-m", "venv", "--clear", home], check=True, capture_output=True, timeout=60)
            subprocess.run(
                # --no-compile: Python compiles what is imported, which is a small part of it, by itself
                [programs / "python", "-m", "pip", "install", "--quiet", "--no-compile", *packages],
                check=True,
                capture_output=True,
                timeout=300,
            )
        except (OSError, subprocess.SubprocessError) as exc:
            raise ServerMissing(f"{packages[0]} cannot be installed here: {type(exc).__name__}") from exc
        done.touch()
    return programs


def localstack_programs() -> Path:
    """Raises ServerMissing without a Python that it runs on."""
    for version, python in _pythons():
        with suppress(OSError, subprocess.SubprocessError):
            subprocess.run([python, "-c", ""], check=True, capture_output=True, timeout=10)
            return install(f"localstack-2026.3.0-py{version.replace('.', '')}", python, PACKAGES)
    raise ServerMissing(f"LocalStack needs Python {' or '.join(VERSIONS)}, there is none here")


def _pythons() -> Iterator[tuple[str, str]]:
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    if own in VERSIONS:
        yield own, sys.executable
    for version in VERSIONS:
        if found := shutil.which(f"python{version}"):
            yield version, found
        for home in sorted((Path.home() / ".pyenv" / "versions").glob(f"{version}.*")):
            yield version, str(home / "bin" / "python")


class LocalStackServer(Server):
    name = "localstack"
    access_key = "test"
    secret_key = "test"

    def __init__(self, programs: Path) -> None:
        super().__init__()
        self._programs = programs
        self._port = free_port()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def child(self) -> Child:
        return Child(
            name=self.name,
            argv=[str(self._programs / "python"), "-m", "localstack.runtime.main"],
            env={
                **self.env(),
                "PATH": f"{self._programs}{os.pathsep}{os.defpath}",
                "SERVICES": "s3",
                "EAGER_SERVICE_LOADING": "1",
                "GATEWAY_LISTEN": f"127.0.0.1:{self._port}",
                "DNS_ADDRESS": "0",
                "DISABLE_EVENTS": "1",
                "SKIP_SSL_CERT_DOWNLOAD": "1",
                "S3_SKIP_SIGNATURE_VALIDATION": "0",
                "LOCALSTACK_VOLUME_DIR": str(self.dir / "volume"),
            },
            cwd=self.dir,
            log_path=self.dir / "localstack.log",
            ready=self._ready,
            ready_timeout_s=60,
            stop_timeout_s=5,
        )

    def _ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/_localstack/health", timeout=1, trust_env=False).is_success
        except httpx.HTTPError:
            return False
