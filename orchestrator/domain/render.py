"""The table for people: a Mermaid diagram, and Markdown tables of phases, states and moves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Final

from orchestrator.domain.actors import Actor
from orchestrator.domain.commands import Command
from orchestrator.domain.guards import condition
from orchestrator.domain.machine import ROWS
from orchestrator.domain.stages import FINISHING, LEARNING, STAGE_OF_WAITING, Stage
from orchestrator.domain.states import STATES, TERMINAL, JobState, Phase
from orchestrator.domain.states import JobState as S
from orchestrator.domain.transitions import TRANSITIONS, Transition

# -- the diagram -------------------------------------------------------------------------------------------------

_START, _END = "[*]", "[*]"


_CAPTION: Final = (
    "A job meets only the stations that its profile has. Red states failed or were stopped, yellow ones wait for a "
    "person, green ones are the end. Not drawn: retries, stops while waiting, redoing a stage, resets, repairs and "
    "settings."
)


def _states_of(stages: Iterable[Stage]) -> tuple[JobState, ...]:
    return tuple(s for g in stages for s in (g.waiting, g.running, g.done, g.failed, g.stopped) if s is not None)


_GROUPS: Final[Mapping[str, tuple[JobState, ...]]] = {
    "intake": (S.WAIT_FILE_UPLOAD, S.AUTO_VERIFYING, S.AUTO_VERIFY_FAILED,
               S.VIDEO_ANALYZE_PROCESSING, S.VIDEO_ANALYZE_SUCCESS, S.VIDEO_ANALYZE_FAILED),
    "review": (S.MANUAL_VERIFYING, S.MANUAL_VERIFY_FAILED, S.MANUAL_VERIFY_SUCCESS, S.WAIT_MASK_UPLOAD),
    "learning": (*_states_of(LEARNING), S.WAIT_BEAUTY_VIDEO_FILE_UPLOAD, S.BEAUTY_VIDEO_FILE_UPLOADED,
                 S.WAIT_MAIN_FILE_UPLOAD),
    "finishing": (*_states_of(FINISHING), S.ACTION_MARK_UPLOADED, S.GENERATE_ACTION_PREPROCESS_FAILED,
                  S.WAIT_ASSET_SYNC),
    "acceptance": (S.WAIT_ADMIN_CONFIRM, S.WAIT_USER_CONFIRM, S.JOB_REJECT, S.JOB_PENDING,
                   S.JOB_SUCCESS, S.JOB_FINISH),
}  # fmt: skip
_GROUP_OF: Final = {state: group for group, states in _GROUPS.items() for state in states}

# Ways back; they would cross the whole picture. The table of moves has them.
_NOT_DRAWN: Final = frozenset(
    {
        Command.RETRY,
        Command.TIME_OUT,
        Command.RESET,
        Command.REPAIR,
        *(stage.redo for stage in STAGE_OF_WAITING.values()),
    }
)
# Where a job goes on to the next station that its profile has: of each group only the nearest one is drawn.
_GOES_ON: Final = frozenset(
    {
        Command.ADVANCE,
        Command.SUCCEED,
        Command.MODEL_STORED,
        Command.UPLOAD_MASK,
        Command.CONFIRM_ACTION,
        Command.CONFIRM_ACTION_MARK,
    }
)


def _is_drawn(row: Transition) -> bool:
    if row.source is None or row.target in {None, row.source} or row.command in _NOT_DRAWN:
        return False
    stage = STAGE_OF_WAITING.get(row.source)
    if row.command is Command.ADVANCE and stage is not None:
        return False  # past a stage that the profile lacks
    if row.command is Command.SUBMIT:
        return _GROUP_OF[row.source] in {"intake", "review"}  # whatever else failed is resubmitted the same way
    if row.command is Command.STOP:
        return row.source not in STAGE_OF_WAITING and row.source not in _FAILED
    if row.command in _GOES_ON:
        group = _GROUP_OF[row.leads_to]
        ways = ROWS[row.source, row.command, row.actor]
        return row is next(way for way in ways if _GROUP_OF[way.leads_to] == group)
    return True


_FAILED: Final = frozenset(state for state, info in STATES.items() if info.phase is Phase.FAILED)


def lifecycle_diagram() -> str:
    """The main ways of a job as a Mermaid state diagram, fenced for Markdown.

    Mermaid draws no edge between insides of two groups, so such a way leaves one group and enters the other.
    """
    inside: dict[str, dict[tuple[str, str], list[str]]] = {group: {} for group in _GROUPS}
    between: dict[tuple[str, str], list[str]] = {}

    def draw(edges: dict[tuple[str, str], list[str]], source: str, target: str, label: str) -> None:
        labels = edges.setdefault((source, target), [])
        if label and label not in labels:
            labels.append(label)

    draw(inside["intake"], _START, S.WAIT_FILE_UPLOAD, "")
    for row in filter(_is_drawn, TRANSITIONS):
        assert row.source is not None  # noqa: S101  _is_drawn leaves the row that creates out
        here, there = _GROUP_OF[row.source], _GROUP_OF[row.leads_to]
        if here == there:
            draw(inside[here], row.source, row.leads_to, row.command)
        else:
            draw(inside[here], row.source, _END, row.command)
            draw(between, here, there, row.command)
            draw(inside[there], _START, row.leads_to, "")
    for state in sorted(TERMINAL):
        draw(inside[_GROUP_OF[state]], state, _END, "")

    lines = ["```mermaid", "stateDiagram-v2", f"    {_START} --> intake : {Command.CREATE}", *_edges(between, 4)]
    lines.append(f"    acceptance --> {_END}")
    for group, edges in inside.items():
        lines += [f"    state {group} {{", *_edges(edges, 8), "    }"]
    lines += [
        "    classDef failed fill:#fde2e1,stroke:#b3261e,color:#410e0b",
        "    classDef person fill:#fff3d6,stroke:#8a6100,color:#3d2b00",
        "    classDef done fill:#dff3e4,stroke:#1b6e3a,color:#06260f",
    ]
    for word, states in _coloured().items():
        lines.append(f"    class {','.join(states)} {word}")
    lines += ["```", "", _CAPTION]
    return "\n".join(lines)


def _edges(edges: Mapping[tuple[str, str], list[str]], indent: int) -> Iterator[str]:
    order: dict[str, int] = {state: place for place, state in enumerate(_GROUP_OF, start=1)}
    for (source, target), labels in sorted(edges.items(), key=lambda edge: order.get(edge[0][0], 0)):
        label = f" : {', '.join(labels)}" if labels else ""
        yield f"{' ' * indent}{source} --> {target}{label}"


def _coloured() -> Mapping[str, list[str]]:
    """States by colour: failed or stopped, done, waiting for a person. The machine's own stay plain."""
    people = {state for state, info in STATES.items() if info.owner in {Actor.USER, Actor.ADMIN}}
    return {
        "failed": [s for s in S if s in _FAILED],
        "person": [s for s in S if s in people - _FAILED],
        "done": [s for s in S if s in TERMINAL],
    }


# -- the tables --------------------------------------------------------------------------------------------------


def _table(head: tuple[str, ...], body: Iterable[tuple[str, ...]]) -> str:
    lines = (head, tuple("---" for _ in head), *body)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _words(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _span(deadline: timedelta | None) -> str:
    if deadline is None:
        return "-"
    minutes = int(deadline.total_seconds()) // 60
    if minutes % 1440 == 0:
        return f"{minutes // 1440} d"
    return f"{minutes // 60} h" if minutes % 60 == 0 else f"{minutes} min"


_PHASE_MEANINGS: Final[Mapping[Phase, str]] = {
    Phase.INIT: "a draft: its owner uploads files and submits",
    Phase.QUEUED: "checks, review, and waiting for the first slot",
    Phase.RUNNING: "stages of machine work, and what admins and owners confirm between them",
    Phase.SUCCEEDED: "the model is published",
    Phase.FAILED: "refused, failed or stopped: a person decides what comes next",
}


def phases_table() -> str:
    """The five coarse words, with who must act in how many of their states."""
    body = []
    for phase, meaning in _PHASE_MEANINGS.items():
        owners = [info.owner for info in STATES.values() if info.phase is phase]
        waits = [f"{who} ({owners.count(who)})" for who in Actor if who in owners]
        body.append((f"`{phase}`", str(len(owners)), ", ".join(waits) or "nobody", meaning))
    return _table(("Phase", "States", "Waits for", "Meaning"), body)


def states_table() -> str:
    return _table(
        ("State", "Phase", "Waits for", "Deadline", "Meaning"),
        ((f"`{s}`", i.phase, i.owner or "nobody", _span(i.deadline), i.meaning) for s, i in STATES.items()),
    )


# Longer lists of sources that come again are written once, under a letter.
_LONG: Final = 5


def transitions_table() -> str:
    """All moves. Questions that have the same answers share a line; ways of one question are tried from the top."""
    groups: dict[tuple[Command, Actor, tuple[tuple[str, str, str], ...]], list[JobState | None]] = {}
    for (source, command, actor), rows in ROWS.items():
        groups.setdefault((command, actor, _answers(rows)), []).append(source)
    letters: dict[tuple[JobState | None, ...], str] = {}
    for sources in map(tuple, groups.values()):
        if len(sources) > _LONG and sources not in letters:
            letters[sources] = f"**{chr(ord('A') + len(letters))}**"
    body = []
    for (command, actor, answers), listed in groups.items():
        sources = tuple(listed)
        words = letters.get(sources) or ("-" if sources == (None,) else _words(s for s in sources if s))
        to, when, logs = zip(*answers, strict=True)
        log = logs[0] if len(set(logs)) == 1 else "<br>".join(logs)
        body.append((words, f"`{command}`", actor, "<br>".join(to), "<br>".join(when).strip(), log))
    table = _table(("From", "Command", "By", "To", "If", "Log"), body)
    legend = "\n".join(f"- {letter}: {_words(s for s in sources if s)}" for sources, letter in letters.items())
    return f"{table}\n\n{legend}"


def _answers(rows: Iterable[Transition]) -> tuple[tuple[str, str, str], ...]:
    """Target, condition and log words of each row; a row that a later and weaker one repeats is left out."""
    answers: list[tuple[str, str, str]] = []
    for row in rows:
        target = f"`{row.target}`" if row.target is not None else "stays"
        answer = (target, condition(row.guard) if row.guard is not None else "-", _words(row.logs) or "-")
        if answers and answers[-1][0::2] == answer[0::2] and answers[-1][1].startswith(answer[1]):
            answers.pop()
        answers.append(answer)
    return tuple(answers)
