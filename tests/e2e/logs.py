"""Looks for what must be in no log: secrets, signed URLs, and what people told about themselves."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

CONTACT: Final = "+49-30-CONTACT-0815"
ID_CARD: Final = b"IDENTITY-CARD-OF-ADA-LOVELACE"
SIGNED: Final = re.compile(rb"X-Amz-(?:Signature|Credential)=|[?&]Signature=|Authorization: |Bearer understudy_")
_SECRET: Final = re.compile(r"secret|token|password|encryption_key")
_SHORTEST: Final = 12  # letters of a value that is a secret of ours


def secrets_of(data_dir: Path) -> dict[str, bytes]:
    """Every secret of an installation by its name, from the files that its owner alone may read."""
    kept = json.loads((data_dir / "kept.json").read_text())
    settings = tomllib.loads((data_dir / "understudy.toml").read_text())
    return {name: value.encode() for name, value in (*_named(kept, "kept"), *_named(settings, "settings"))}


def _named(tree: object, name: str) -> Iterator[tuple[str, str]]:
    if isinstance(tree, Mapping):
        for key, value in tree.items():
            yield from _named(value, f"{name}.{key}")
    elif isinstance(tree, str) and tree.startswith("{"):
        yield from _named(json.loads(tree), name)
    elif isinstance(tree, str) and _SECRET.search(name.rpartition(".")[2]) and len(tree) >= _SHORTEST:
        yield name, tree


def logs_of(data_dir: Path) -> list[Path]:
    """What every process of the installation wrote: API, worker, beat, broker, store, supervisor, trainings."""
    runs = data_dir / "runs"
    found = [*(data_dir / "logs").rglob("*"), *runs.rglob("*.log"), *runs.rglob("log.txt"), data_dir.parent / "dev.out"]
    return [path for path in found if path.is_file()]


def leaks_in(data_dir: Path) -> list[str]:
    """Where something is written that must not be: file, line number and what it is, never the thing itself."""
    needles = secrets_of(data_dir) | {"contact data": CONTACT.encode(), "identity paper": ID_CARD}
    found = []
    for path in logs_of(data_dir):
        for number, line in enumerate(path.read_bytes().splitlines(), start=1):
            names = [name for name, value in needles.items() if value in line]
            names += ["a signed URL or a credential"] if SIGNED.search(line) else []
            found += [f"{path.relative_to(data_dir.parent)}:{number}: {name}" for name in names]
    return found
