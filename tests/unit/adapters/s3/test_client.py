from __future__ import annotations

import os
import threading

import pytest

from orchestrator.adapters.s3 import client
from orchestrator.adapters.s3.client import Clients
from orchestrator.adapters.s3.options import S3Options
from orchestrator.domain.errors import StorageUnavailable

OPTIONS = S3Options("http://127.0.0.1:9000", "films", "AK", "s", read_timeout_s=7, slow_timeout_s=77, attempts=4)


@pytest.fixture
def clients() -> Clients:
    return Clients(OPTIONS)


def test_a_process_has_one_set_of_clients(clients):
    assert clients.calls is clients.calls


def test_threads_share_them(clients):
    found = []
    threads = [threading.Thread(target=lambda: found.append(clients.calls)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(one) for one in found}) == 1


def test_another_process_makes_its_own(clients, monkeypatch):
    before = clients.calls
    monkeypatch.setattr(client.os, "getpid", lambda: -1)
    assert clients.calls is not before


def test_a_forked_child_is_not_held_up_by_a_lock_of_its_parent(clients):
    with clients._lock:
        clients.forget()
        assert clients.calls


def test_requests_carry_what_every_store_takes(clients):
    config = clients.calls.meta.config
    assert config.signature_version == "s3v4"
    assert config.request_checksum_calculation == "when_required"
    assert config.response_checksum_validation == "when_required"
    assert config.s3["addressing_style"] == "path"
    assert config.retries["total_max_attempts"] == 4


def test_completing_waits_long_and_never_repeats(clients):
    config = clients.slow.meta.config
    assert config.retries["total_max_attempts"] == 1
    assert (config.read_timeout, clients.calls.meta.config.read_timeout) == (77, 7)


def test_a_store_on_this_machine_is_not_looked_for_behind_a_proxy(clients, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example:3128")
    assert clients.calls.meta.config.proxies == {}
    far = Clients(S3Options("https://store.example", "films", "AK", "s"))
    assert far.calls.meta.config.proxies is None


def test_the_pid_in_use_is_the_real_one(clients):
    assert clients._made is None
    assert clients.address.host == "127.0.0.1:9000"
    assert clients._made is not None
    assert clients._made[0] == os.getpid()


def test_who_has_no_credentials_at_all_is_told_so_whatever_was_asked(monkeypatch, tmp_path):
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    clients = Clients(S3Options("", "films", profile="aws"))
    for ask in (lambda: clients.address, lambda: clients.calls, clients.credentials):
        with pytest.raises(StorageUnavailable, match="no key, role or profile was found"):
            ask()
