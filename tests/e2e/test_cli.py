"""The command line against a whole installation: one job from draft to model, and what people get wrong."""

import json
import os
import subprocess
import sys
from io import BytesIO

import httpx
import numpy as np
import pytest

from tests.e2e.conftest import environment

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

ADMIN_VERBS = [["priority", "5"], ["retry-count", "3"], ["stop"], ["reset"], ["retrain"]]


@pytest.fixture
def job(cli) -> str:
    return cli("job", "create", "--profile", "avatar", "--name", "Ada", "--tag", "test").strip()


def test_a_job_goes_from_a_draft_to_a_published_model(cli, job, dev, good_video, bad_video):
    cli("job", "upload", job, bad_video)
    cli("job", "submit", job)
    refused = cli.json("job", "wait", job, exit_code=1)
    assert refused["state"] == "auto_verify_failed"
    assert "0:44" in refused["message"]

    sent = cli.json("job", "upload", job, good_video, "--parts", "5")
    assert (sent["file"]["state"], sent["parts_sent"]) == ("sealed", 5)
    cli("job", "submit", job)
    assert "a reviewer has to decide" in cli("job", "wait", job, "--until", "manual_verifying")
    assert job in [each["id"] for each in cli.lines("review", "next", "--limit", "100")]
    cli("review", "approve", job, "--comment", "a clear picture")
    late = cli.run("review", "approve", job, exit_code=1)
    assert "reviewer was first" in late.stderr
    cli("job", "comment", job, "thank you")
    cli("job", "priority", job, "7")
    assert "the model is published" in cli("job", "wait", job)

    shown = cli.json("job", "show", job)
    assert (shown["state"], shown["phase"], shown["priority"]) == ("job_success", "succeeded", 7)
    assert [comment["text"] for comment in shown["comments"]] == ["a clear picture", "thank you"]
    assert [run["outcome"] for run in shown["runs"]] == ["succeeded"] * 3
    log = cli.lines("job", "logs", job)
    assert log[0]["log_type"] == "user_create_job"
    assert log[-1]["target"] == "job_success"
    assert cli("job", "logs", job).count("\n") == len(log)

    facts = dev.facts()
    headers = {"Authorization": f"Bearer {facts['user_token']}"}
    asset = httpx.get(f"{facts['endpoint']}/api/v1/assets/{shown['asset_id']}", headers=headers).json()
    [main] = [file for file in asset["files"] if file["category"].lower() == "main"]
    with np.load(BytesIO(httpx.get(main["download_url"]).content), allow_pickle=False) as model:
        assert "basis" in model.files

    cli("job", "delete", job, "--yes")
    cli("job", "show", job, exit_code=5)


def test_a_file_goes_into_the_library_and_out_again(cli, good_video):
    media = cli("media", "upload", good_video, "--title", "Ada").strip()
    assert media in [each["id"] for each in cli.lines("media", "list", "--type", "video")]
    shown = cli.json("media", "show", media)
    assert (shown["title"], shown["type"], shown["status"]) == ("Ada", "video", shown["status"])
    assert shown["status"] in {"preparing", "normal"}
    cli("media", "register", "oss://elsewhere/inbox/x/a.mp4", exit_code=2)
    cli("media", "delete", media)
    cli("media", "show", media, exit_code=5)


def test_a_rejected_job_tells_its_owner_why(cli, job, good_video):
    cli("job", "upload", job, good_video)
    cli("job", "submit", job)
    cli("job", "wait", job, "--until", "manual_verifying")
    cli("review", "reject", job, "--reason", "two people speak", "--reason", "too dark")
    assert "two people speak; too dark" in cli("job", "show", job)
    assert cli.json("job", "wait", job, exit_code=1)["state"] == "manual_verify_failed"


def test_what_cannot_be_done_now_is_refused_with_what_can(cli, job):
    refused = cli.run("job", "submit", job, exit_code=1)
    assert "the training video is missing" in refused.stderr
    assert refused.stdout == ""
    assert refused.stderr.count("\n") == 1


def test_admin_verbs_need_an_admin(cli, job, dev):
    facts = dev.facts()
    as_user = ("--endpoint", facts["endpoint"], "--token", facts["user_token"])
    for verb, *values in ADMIN_VERBS:
        refused = cli.run("job", verb, job, *values, *as_user, exit_code=4, dev=False)
        assert "admin" in refused.stderr


def test_nobody_comes_in_with_a_wrong_token(cli, dev):
    endpoint = dev.facts()["endpoint"]
    cli.run("job", "list", "--endpoint", endpoint, "--token", "wrong", exit_code=4, dev=False)


def test_waiting_ends_when_the_time_is_over(cli, job):
    assert "still wait_file_upload" in cli.run("job", "wait", job, "--timeout", "0.5", exit_code=6).stderr


def test_lists_can_be_narrowed_and_read_by_programs(cli, job):
    found = cli.lines("job", "list", "--state", "wait_file_upload", "--limit", "100")
    assert job in [each["id"] for each in found]
    assert {each["state"] for each in found} == {"wait_file_upload"}
    assert len(cli.lines("job", "list", "--limit", "1")) == 1


def test_files_are_judged_without_an_api(tmp_path, good_video, bad_video):
    command = [sys.executable, "-m", "orchestrator.cli.main", "media", "check", "--profile", "avatar", "--json"]
    os.mkfifo(tmp_path / "pipe.mp4")
    strange = tmp_path / os.fsdecode(b"no text: \xff\n.mp4")
    strange.symlink_to(good_video)
    no_files = {
        tmp_path / "none.mp4": "there is no such file",
        tmp_path: "is a directory",
        tmp_path / "pipe.mp4": "is a pipe, a socket or a device",
        "n" * 300: "cannot be read: File name too long",
        "s3://no-key": "names no object",
    }
    ended = subprocess.run(
        [*command, good_video, *no_files, bad_video, strange],
        env=environment(), cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    good, bad, again = [json.loads(line) for line in ended.stdout.splitlines()]
    assert (good["file"], good["verdict"], good["reasons"]) == (str(good_video), "accept", [])
    assert bad["verdict"] == "reject"
    assert {reason["code"] for reason in bad["reasons"]} == {"resolution_not_allowed", "duration_too_short"}
    assert (again["file"], again["verdict"]) == (str(strange), "accept")
    for name, why in no_files.items():
        assert [line for line in ended.stderr.splitlines() if line.startswith(f"understudy: {name}") and why in line]
    assert ended.returncode == 5


def test_files_in_the_store_are_judged_too(cli, job, good_video, dev):
    sent = cli.json("job", "upload", job, good_video)["file"]
    bucket = dev.facts()["s3"]["bucket"]
    objects = dev.data_dir / "store" / bucket
    key = next(
        p.relative_to(objects) for p in objects.rglob("*") if p.is_file() and p.stat().st_size == sent["size_bytes"]
    )
    verdict = cli.json("media", "check", f"s3://{bucket}/{key}", "--profile", "avatar", "--kind", "video")
    assert verdict["verdict"] == "accept"
    assert verdict["facts"]["size_bytes"] == sent["size_bytes"]
    cli("media", "check", f"s3://{bucket}/nothing", "--profile", "avatar", exit_code=5)


def test_operators_work_beside_the_api(cli):
    assert cli.json("db", "current")["current"] == cli.json("db", "current")["head"]
    assert cli.json("project", "create", "acme")["created"] in {True, False}
    key = cli.json("key", "create", "--project", "acme", "--role", "reviewer", "--name", "anna")
    assert key["access_key"] in [each["access_key"] for each in cli.lines("key", "list")]
    assert "token" not in cli.lines("key", "list")[0]
    fresh = cli.json("key", "rotate", key["access_key"], "--overlap", "1h")
    assert (fresh["project"], fresh["role"], fresh["name"]) == ("acme", "reviewer", "anna")
    cli("key", "disable", key["access_key"])
    acts = [(line["act"], line["subject"]) for line in cli.lines("audit", "--limit", "3")]
    assert acts == [(act, key["access_key"]) for act in ("disable_key", "replace_key", "create_key")]
    tables = {line["table"]: line for line in cli.lines("key", "rotate-encryption")}
    assert tables["access_keys"]["seen"] > 4
    assert tables["access_keys"]["resealed"] == len(tables["access_keys"]["unreadable"]) == 0
    assert {each["name"] for each in cli.lines("sweep", "list")} >= {"overdue", "orphans"}
    assert all(report["dry_run"] for report in cli.lines("sweep", "run", "--dry-run"))
    cli("sweep", "run", "nothing-of-the-kind", exit_code=5)
    assert all(check["ok"] for check in cli.lines("store", "check") if check["level"] == "must")


def test_settings_are_shown_without_their_secrets(cli, dev):
    shown = cli("config", "show", "--json")
    settings = {each["name"]: each for each in json.loads(shown)}
    assert settings["api.port"]["value"] == dev.port
    assert settings["api.port"]["source"].endswith("understudy.toml")
    assert dev.facts()["s3"]["secret_key"] not in shown
