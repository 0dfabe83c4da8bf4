"""What the readers of both container families say about time, and where to look for pictures."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from orchestrator.adapters.media.findings import Report, finding
from orchestrator.domain.media_words import clock

LONGEST_GAP_S: Final = 10.0


@dataclass(slots=True)
class Spot:
    """A picture that can be decoded alone: where its bytes are and when it is shown."""

    offset: int
    size: int
    at_s: float


@dataclass(slots=True)
class Timing:
    """Length of a track by its samples. `gap_s`: the longest time one picture stands."""

    length_s: float = 0.0
    frames: int | None = None
    gap_s: float = 0.0
    start_s: float = 0.0
    header_s: float | None = None
    steady: bool = True
    spots: list[Spot] = field(default_factory=list)

    def tell(self, report: Report) -> None:
        """Put what was measured into the report."""
        report.facts["duration_s"] = round(self.length_s, 3)
        if self.header_s:
            report.facts["header_duration_s"] = round(self.header_s, 3)
        if self.frames:
            report.facts["frames"] = self.frames
            if self.length_s > 0:
                report.facts["fps"] = round(self.frames / self.length_s, 3)
        if self.gap_s > LONGEST_GAP_S:
            message = f"One picture stands for {clock(self.gap_s)}; at most {clock(LONGEST_GAP_S)} is taken."
            report.problem(
                finding("timestamp_gap", "duration_s", message, measured=round(self.gap_s, 3), allowed=LONGEST_GAP_S)
            )
        if self.start_s > 0.0:
            report.note("start_offset", "duration_s", f"The picture starts {self.start_s:.3f} s after zero.")
        if not self.steady:
            report.note("variable_frame_rate", "fps", "The frame rate is not constant.")
