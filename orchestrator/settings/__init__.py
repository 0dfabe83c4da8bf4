"""Settings and profiles: read once at start, checked, and passed on as plain values."""

from __future__ import annotations

from orchestrator.settings.load import BadSettings, Explained, explain, load
from orchestrator.settings.profiles import load_profiles
from orchestrator.settings.schema import Settings

__all__ = ["BadSettings", "Explained", "Settings", "explain", "load", "load_profiles"]
