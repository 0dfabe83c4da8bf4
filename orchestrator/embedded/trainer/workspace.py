"""The run directory as a stage sees it: inputs, outputs, checkpoint, parameters, and how to speak."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[np.generic]]


class BadInput(Exception):
    """The material cannot be learned from; the text is for the people who sent it."""


@dataclass(frozen=True, slots=True)
class Workspace:
    stage: str
    inputs: Path
    outputs: Path
    checkpoint: Path
    parameters: Mapping[str, object] = field(default_factory=dict)

    @classmethod
    def here(cls, stage: str) -> Workspace:
        """The workspace of the current directory."""
        run = Path("run.json")
        described = json.loads(run.read_text(encoding="utf-8")) if run.exists() else {}
        outputs = Path("outputs")
        outputs.mkdir(exist_ok=True)
        return cls(stage, Path("inputs"), outputs, Path("checkpoint"), described.get("parameters") or {})

    def say(self, **words: object) -> None:
        """One line of the protocol: progress (0..1), message, metrics, error."""
        sys.stdout.write(json.dumps(words) + "\n")
        sys.stdout.flush()

    def number(self, name: str, default: float, lowest: float, highest: float) -> float:
        """A parameter of the job, kept within bounds; anything but a number is the default."""
        value = self.parameters.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or value != value:  # noqa: PLR0124  (NaN)
            return default
        return min(max(float(value), lowest), highest)

    def video(self) -> Path:
        """The video to learn from, whatever its extension: one retouched by hand before the one that was uploaded.

        Raises BadInput when there is none.
        """
        found = [*sorted(self.inputs.glob("beauty_video*")), *sorted(self.inputs.glob("training_video*"))]
        if not found:
            raise BadInput("there is no training video among the inputs")
        return found[0]

    def has(self, name: str) -> bool:
        return (self.inputs / name).is_file()

    def arrays(self, name: str) -> Arrays:
        """An input written by `save`. Raises BadInput when it is missing or damaged."""
        try:
            with np.load(self.inputs / name, allow_pickle=False) as file:
                return {key: file[key] for key in file.files}
        except FileNotFoundError:
            raise BadInput(f"{name} is missing: the stage that makes it did not run") from None
        except (ValueError, OSError, EOFError) as error:
            raise BadInput(f"{name} cannot be read: {error}") from error

    def document(self, name: str) -> dict[str, object]:
        """A JSON input. Raises BadInput."""
        try:
            value = json.loads((self.inputs / name).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise BadInput(f"{name} cannot be read: {error}") from error
        if not isinstance(value, dict):
            raise BadInput(f"{name} holds no JSON object")
        return value

    def write_document(self, name: str, value: Mapping[str, object]) -> None:
        (self.outputs / name).write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def save(path: Path, **arrays: NDArray[np.generic]) -> None:
    """Write arrays so that a reader, or a resumed try, finds the old file or the new one and never a part."""
    partial = path.with_name(f".{path.name}.part")
    with partial.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]  # numpy's stub takes the names for its own flag
    partial.replace(path)
