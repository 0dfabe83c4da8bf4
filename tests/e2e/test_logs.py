"""No log of any process holds a secret, a signed URL, or what people told about themselves."""

from __future__ import annotations

import httpx
import pytest

from tests.e2e.conftest import Cli, Dev
from tests.e2e.logs import CONTACT, ID_CARD, leaks_in, logs_of, secrets_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def test_what_people_tell_and_what_opens_doors_is_in_no_log(cli: Cli, dev: Dev):
    facts = dev.facts()
    jobs = f"{facts['endpoint']}/v1/{facts['project_id']}/digital-human-training-manage/user/jobs"
    with httpx.Client(trust_env=False, timeout=60) as http:
        entered = {"X-Auth-Token": facts["user_token"]}
        made = http.post(jobs, headers=entered, json={"name": "Ada", "contact": CONTACT})
        assert made.status_code == 200, made.text
        url = made.json()["id_card_image1_upload_url"]
        assert http.put(url, content=ID_CARD, headers={"Content-Type": "application/octet-stream"}).status_code == 200
        shown = http.get(f"{jobs}/{made.json()['job_id']}", headers=entered)
        assert CONTACT in shown.text
        http.post(f"{jobs}/{made.json()['job_id']}/command", headers=entered, json={"command": "SUBMITVERIFYING"})
        # what somebody sends to the wrong door, and tokens that are not let in
        signed = url.partition("?")[2]
        assert http.get(f"{jobs}?{signed}", headers=entered).status_code == 400
        assert http.get(f"{facts['endpoint']}/api/v1/jobs/nothing?{signed}").status_code == 401
        http.get(jobs, headers={"X-Auth-Token": facts["user_token"] + "x"})
        http.post(jobs, headers=entered, content=b'{"contact": "' + CONTACT.encode())
    cli("job", "show", made.json()["job_id"])

    names = {path.name for path in logs_of(dev.data_dir)}
    assert {"api.log", "worker.log", "beat.log", "store.log", "broker.log", "dev.out"} <= names
    assert len(secrets_of(dev.data_dir)) > 8
    api_log = next(path for path in logs_of(dev.data_dir) if path.name == "api.log").read_text()
    assert made.json()["job_id"] in api_log
    assert leaks_in(dev.data_dir) == []
