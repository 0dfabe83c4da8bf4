from __future__ import annotations

import re

from orchestrator.domain import render
from orchestrator.domain.commands import Command
from orchestrator.domain.machine import ROWS
from orchestrator.domain.states import STATES, JobState, Phase

EDGE = re.compile(r"(?P<source>\S+) --> (?P<target>\S+)(?: : (?P<label>.+))?")
GROUPS = {"intake", "review", "learning", "finishing", "acceptance"}


def grouped_edges() -> dict[str, list[re.Match[str]]]:
    """Edges of the diagram by the group they stand in; "" is outside of all."""
    edges: dict[str, list[re.Match[str]]] = {"": []}
    group = ""
    for line in render.lifecycle_diagram().splitlines():
        if opened := re.fullmatch(r"    state (\w+) \{", line):
            group = opened[1]
            edges[group] = []
        elif line == "    }":
            group = ""
        elif edge := EDGE.fullmatch(line.strip()):
            edges[group].append(edge)
    return edges


def ends(edges: list[re.Match[str]]) -> set[str]:
    return {name for edge in edges for name in (edge["source"], edge["target"])} - {"[*]"}


def test_the_diagram_is_fenced_and_can_be_read():
    lines = render.lifecycle_diagram().splitlines()
    assert lines[:2] == ["```mermaid", "stateDiagram-v2"]
    assert lines.count("```") == 1
    assert len(lines) < 130


def test_the_diagram_shows_every_state_once_in_its_group():
    edges = grouped_edges()
    assert set(edges) - {""} == GROUPS == ends(edges[""])
    shown = [state for group in GROUPS for state in ends(edges[group])]
    assert sorted(shown) == sorted(JobState)


def test_every_edge_inside_a_group_is_a_row():
    moves = {(row.source, row.leads_to, row.command) for rows in ROWS.values() for row in rows}
    for group in GROUPS:
        for edge in grouped_edges()[group]:
            if "[*]" in {edge["source"], edge["target"]}:
                continue
            for command in edge["label"].split(", "):
                assert (JobState(edge["source"]), JobState(edge["target"]), Command(command)) in moves


def test_in_the_diagram_every_state_has_a_way_in_and_no_edge_is_drawn_twice():
    for group, edges in grouped_edges().items():
        pairs = [(edge["source"], edge["target"]) for edge in edges]
        assert len(set(pairs)) == len(pairs), group
        assert ends(edges) <= {edge["target"] for edge in edges}, group


def test_the_table_of_states_has_a_line_for_each():
    head, _, *body = render.states_table().splitlines()
    assert head == "| State | Phase | Waits for | Deadline | Meaning |"
    assert [line.split("`")[1] for line in body] == list(STATES)
    assert "| `manual_verifying` | queued | admin | 3 d | a reviewer has to decide |" in body
    assert "| `auto_verifying` | queued | system | 1 h | the files are checked by machine |" in body
    assert "| `manual_verify_success` | queued | system | 10 min | review passed |" in body
    assert "| `job_finish` | succeeded | nobody | - | the user accepted the result; final |" in body


def test_the_table_of_phases_counts_every_state():
    body = render.phases_table().splitlines()[2:]
    assert len(body) == len(Phase)
    assert sum(int(line.split("|")[2]) for line in body) == len(STATES)


def test_the_table_of_moves_has_every_command_and_is_whole():
    table, legend = render.transitions_table().split("\n\n")
    lines = table.splitlines()
    assert {line.count("|") for line in lines} == {7}
    assert {line.split("`")[1] for line in (row.split("|")[2] for row in lines[2:])} == set(Command)
    used = set(re.findall(r"^\| (\*\*[A-Z]\*\*) \|", table, re.MULTILINE))
    assert used == set(re.findall(r"^- (\*\*[A-Z]\*\*): `", legend, re.MULTILINE))


def test_a_move_is_told_with_who_asks_where_to_why_and_what_it_leaves():
    table = render.transitions_table()
    assert (
        "| `manual_verifying` | `reject` | admin | `manual_verify_failed` | said why | `admin_verify_failed` |" in table
    )
    assert "| - | `create` | user | `wait_file_upload` | - | `user_create_job` |" in table
    assert "| `training` | `succeed` | system | `train_success` | current run | `system_train_success` |" in table
