"""Which Understudy this is."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def our_version() -> str:
    try:
        return version("understudy")
    except PackageNotFoundError:
        return "unknown"
