"""How jobs look to people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from orchestrator.cli import watch
from orchestrator.cli.output import amount, pairs, say, table
from orchestrator.domain.states import STATES, JobState

Json = Mapping[str, Any]


def jobs(found: Iterable[Json]) -> None:
    table(("job", "name", "profile", "state", "since"), (
        (job["id"], job["name"], job["profile"], job["state"], when(job.get("state_since") or job.get("updated_at")))
        for job in found
    ))  # fmt: skip


def job(found: dict[str, Any]) -> None:
    """Everything about one job that a person asks first."""
    pairs({
        "job": found["id"], "name": found["name"], "profile": found["profile"], "project": found["project_id"],
        "state": f"{found['state']} ({found['phase']})", "meaning": STATES[JobState(found["state"])].meaning,
        "waits for": watch.waits_for(found) or "nobody", "why": found.get("message") or "-",
        "priority": found["priority"], "created": when(found["created_at"]), "changed": when(found["updated_at"]),
        "asset": found.get("asset_id") or "-",
    })  # fmt: skip
    if found.get("files"):
        table(("file", "kind", "name", "size", "state"), (
            (f["id"], f["kind"], f["name"], amount(f["size_bytes"]) if f["size_bytes"] else "?", f["state"])
            for f in found["files"]
        ))  # fmt: skip
    if found.get("runs"):
        table(("run", "stage", "try", "outcome", "progress", "message"), (
            (r["id"], r["stage"], r["attempt"], r["outcome"], watch.share(r), r["message"])
            for r in found["runs"]
        ))  # fmt: skip
    for comment in found.get("comments", []):
        say(f"{when(comment['at'])}  {comment['author']}: {comment['text']}")


def log_line(entry: Json) -> str:
    """One line of the operation log."""
    moved = entry["target"] if entry["source"] != entry["target"] else ""
    said = f"{when(entry['at'])}  {entry['operator']:<10}  {entry['log_type'] or entry['command']}"
    return said + (f"  -> {moved}" if moved else "") + (f"  {entry['description']}" if entry.get("description") else "")


def when(instant: str | None) -> str:
    """An instant of the wire, to the second, in UTC as logs have it."""
    return "" if instant is None else f"{datetime.fromisoformat(instant):%Y-%m-%d %H:%M:%S}"
