"""How long a track of an MP4 or MOV file is: by its samples and edits, never by the header's claim."""

from __future__ import annotations

from typing import Final

from orchestrator.adapters.media.findings import Report
from orchestrator.adapters.media.isobmff import Movie
from orchestrator.adapters.media.isobmff_track import Track
from orchestrator.adapters.media.timing import Spot, Timing

_NOTHING: Final = -1
_NORMAL_RATE: Final = 1 << 16
SPOTS: Final = (0.5, 0.999)


def measure(movie: Movie, track: Track, report: Report) -> Timing:
    """Length of a track with all its samples in the movie header."""
    samples, scale = track.samples, track.timescale
    out = Timing(frames=samples.count)
    if not samples.count or not scale:
        out.header_s = _claimed(movie, track, 0, 0)
        return out
    length = samples.length
    start, end = samples.shown()
    out.length_s = edited(movie, track, (start, end), report, out)
    out.gap_s = max(samples.longest(), (end - start) - length) / scale
    out.steady = samples.steady()
    out.header_s = _claimed(movie, track, length / scale, out.length_s + out.start_s)
    out.spots = _spots(track)
    return out


def edited(movie: Movie, track: Track, shown: tuple[int, int], report: Report, out: Timing) -> float:
    """Seconds of `shown` (track units, composition time) that the edit list lets through."""
    (start, end), scale = shown, track.timescale
    whole = (end - start) / scale
    pieces = [edit for edit in track.edits if edit.start != _NOTHING]
    if movie.timescale:
        for edit in track.edits:
            if edit.start != _NOTHING:
                break
            out.start_s += edit.length / movie.timescale
    if not pieces and (movie.fragmented or not track.edits):
        return whole
    tick = 1 / movie.timescale if movie.timescale else 0.0
    total = 0.0
    for edit in pieces:
        left = max(0, end - max(edit.start, start)) / scale
        lead = max(0, start - edit.start) / scale  # shown before the first picture: nothing
        wanted = edit.length / movie.timescale if movie.timescale and not movie.fragmented else 0.0
        if edit.rate not in {_NORMAL_RATE, 0} and wanted:
            total += wanted
        elif not wanted or wanted - lead > left - tick:
            total += left
        else:
            total += max(0.0, wanted - lead)
    if len(pieces) > 1 or abs(total - whole) > max(tick, 0.001) or any(e.rate not in {_NORMAL_RATE, 0} for e in pieces):
        report.note("edit_list", "duration_s", f"An edit list shows {total:.3f} s of {whole:.3f} s.")
    return total


def _claimed(movie: Movie, track: Track, media_s: float, shown_s: float) -> float | None:
    """The header's length that is furthest from the truth, None where the header claims nothing."""
    claims: list[tuple[float, float]] = []
    if track.duration and track.timescale:
        claims.append((track.duration / track.timescale, media_s))
    if movie.duration and movie.timescale:
        others = [each for each in movie.tracks if each is not track and each.timescale and each.samples.count]
        longest = [shown_s, *(other.samples.length / other.timescale for other in others)]
        says = movie.duration / movie.timescale
        claims.append((says, min(longest, key=lambda each: abs(each - says))))
    if not claims:
        return None
    says, truth = max(claims, key=lambda claim: abs(claim[0] - claim[1]))
    return says - truth + shown_s


def _spots(track: Track) -> list[Spot]:
    samples = track.samples
    wanted = (samples.sync_before(int((samples.count - 1) * share)) for share in SPOTS)
    return [
        Spot(*place, samples.seconds_at(index, track.timescale))
        for index in dict.fromkeys(wanted)
        if index is not None and index < samples.count and (place := samples.locate(index)) is not None
    ]
