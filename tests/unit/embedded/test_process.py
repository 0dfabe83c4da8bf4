from __future__ import annotations

import os

import pytest

from orchestrator.embedded import strays
from orchestrator.embedded.process import Child, Process, log_tail
from orchestrator.embedded.strays import Record, Recorded
from orchestrator.embedded.supervisor import Supervisor


def a_child(tmp_path, **changes) -> Child:
    values = {"name": "one", "argv": ["true"], "env": {}, "cwd": tmp_path, "log_path": tmp_path / "log" / "one.log"}
    return Child(**values | changes)


def test_the_tail_of_a_log_has_whole_lines_only(tmp_path):
    log = tmp_path / "log"
    log.write_text("first\n" + "x" * 5000 + "\nlast but one\nlast\n")
    assert log_tail(log) == "last but one\nlast"


def test_a_missing_log_has_an_empty_tail(tmp_path):
    assert log_tail(tmp_path / "log") == ""


def test_a_process_writes_to_its_log_and_gets_its_environment_only(tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET_OF_OURS", "1")
    process = Process.start(a_child(tmp_path, argv=["/usr/bin/env"], env={"ONE": "1"}), {"TWO": "2"})
    assert process.popen.wait(10) == 0
    assert sorted(process.log_tail().split()) == ["ONE=1", "TWO=2"]


def test_a_log_that_grew_too_long_is_put_aside(tmp_path, monkeypatch):
    monkeypatch.setattr("orchestrator.embedded.process.LOG_KEEP_BYTES", 10)
    child = a_child(tmp_path, argv=["/bin/echo", "a line of more than ten bytes"])
    for _ in range(2):
        assert Process.start(child).popen.wait(10) == 0
    assert child.log_path.read_text().count("\n") == 1
    assert child.log_path.with_name("one.log.1").exists()


def test_a_recorded_process_is_found_by_pid_and_start_time(tmp_path):
    record = Record(tmp_path / "children.json")
    me = Recorded.of("me", os.getpid())
    record.write([me])
    [read] = record.read()
    assert read.running().pid == os.getpid()


def test_a_stranger_with_a_recorded_pid_is_left_alone():
    me = Recorded.of("me", os.getpid())
    assert Recorded("other", me.pid, me.started_s - 60).running() is None


@pytest.mark.parametrize("text", ["", "{", "[[1]]", '[["a", 1]]'])
def test_a_broken_record_is_an_empty_one(tmp_path, text):
    path = tmp_path / "children.json"
    path.write_text(text)
    assert Record(path).read() == []


def test_this_process_is_never_among_the_strays(monkeypatch):
    monkeypatch.setenv(strays.MARK, "here")
    assert strays.marked("here") == []


@pytest.mark.parametrize("names", [["a", "a"], ["with space"]])
def test_children_need_different_names_without_spaces(tmp_path, names):
    with pytest.raises(ValueError, match="different names without spaces"):
        Supervisor([a_child(tmp_path, name=name) for name in names], tmp_path, print)
