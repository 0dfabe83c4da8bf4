"""`python -m tests.fuzz [TARGET] [SECONDS]`: change files at random, keep those that reach new code, tell what breaks.

Finds are kept in tests/fuzz/found/, where the normal tests try them again for ever. In one process and without any
package: a native crash ends it, and the last input is then in build/fuzz-last.bin.
"""

from __future__ import annotations

import hashlib
import random
import sys
import time
import traceback
from pathlib import Path
from types import FrameType
from typing import Any, Final

from orchestrator.adapters import media
from tests.fuzz.targets import SMALL, TARGETS

FOUND: Final = Path(__file__).parent / "found"
LAST: Final = Path(__file__).parents[2] / "build" / "fuzz-last.bin"
FOLDER: Final = str(Path(media.__path__[0]))
SLOW_S: Final = 2.0
NUMBERS: Final = (
    b"\0\0\0\0",
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff",
    b"\0\0\0\1",
    b"\x80\0\0\0",
    b"\0\0\0\x08",
    b"\0\x1e\x84\x80",
)
WORDS: Final = (
    b"moov", b"trak", b"stsd", b"stts", b"stsz", b"stz2", b"stsc", b"stco", b"co64", b"stss", b"ctts", b"elst", b"moof",
    b"traf", b"trun", b"tfhd", b"tfdt", b"mdat", b"free", b"cmov", b"mvex", b"trex", b"\x1f\x43\xb6\x75", b"\xa0",
    b"\xa1", b"\xa3", b"\xe7", b"\xec", b"\x16\x54\xae\x6b", b"\x9b", b"\xfb",
)  # fmt: skip


def changed(data: bytes, other: bytes, chance: random.Random) -> bytes:
    out = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4, 8))):
        at = chance.randrange(len(out) + 1)
        match chance.randrange(8):
            case 0:
                out[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                out[at : at + 4] = chance.choice(NUMBERS)
            case 2:
                word = chance.choice(WORDS)
                out[at : at + len(word)] = word
            case 3:
                del out[at : at + chance.choice((1, 4, 8, 40, 400))]
            case 4:
                out[at:at] = chance.randbytes(chance.choice((1, 4, 8, 16)))
            case 5:
                start = chance.randrange(len(out) + 1)
                out[at:at] = out[start : start + chance.choice((8, 40, 400))]
            case 6:
                start = chance.randrange(len(other) + 1)
                out[at : at + 64] = other[start : start + 64]
            case _:
                places = [place for word in WORDS if (place := out.find(word)) >= 4]
                if places:
                    place = chance.choice(places) + chance.choice((-4, -1, 4, 8, 12, 16, 20))
                    out[max(place, 0) : place + 1] = bytes([chance.randrange(256)])
    return bytes(out[:SMALL]) or b"\0"


class Lines:
    """Pairs of lines of the media adapters that were run one after the other."""

    def __init__(self) -> None:
        self.seen: set[tuple[str, int, int]] = set()
        self.new = False
        self._last = 0

    def __call__(self, frame: FrameType, _event: str, _arg: Any) -> Any:
        return self._line if frame.f_code.co_filename.startswith(FOLDER) else None

    def _line(self, frame: FrameType, event: str, _arg: Any) -> Any:
        if event == "line":
            step = (frame.f_code.co_filename, self._last, frame.f_lineno)
            self._last = frame.f_lineno
            if step not in self.seen:
                self.seen.add(step)
                self.new = True
        return self._line


def fuzz(name: str, seconds: float, seed: int) -> int:
    """How many different finds there were."""
    target, chance, lines = TARGETS[name], random.Random(seed), Lines()
    corpus = [data for data in target.seeds() if len(data) <= SMALL]
    finds: set[str] = set()
    end, count = time.monotonic() + seconds, 0
    LAST.parent.mkdir(exist_ok=True)
    while time.monotonic() < end:
        data = changed(chance.choice(corpus), chance.choice(corpus), chance) if count >= len(corpus) else corpus[count]
        count += 1
        LAST.write_bytes(data)
        lines.new, begun_s = False, time.process_time()
        sys.settrace(lines)
        try:
            target.run(data)
        except Exception as exc:  # noqa: BLE001 - that is what we look for
            sys.settrace(None)
            trace = traceback.extract_tb(exc.__traceback__)[-1]
            _keep(finds, f"{type(exc).__name__} at {Path(trace.filename).name}:{trace.lineno}", name, data)
        finally:
            sys.settrace(None)
        if time.process_time() - begun_s > SLOW_S:
            _keep(finds, "slow", name, data)
        if lines.new:
            corpus.append(data)
    LAST.unlink(missing_ok=True)
    say(f"{name}: {count} files, {len(corpus)} kept, {len(lines.seen)} steps, {len(finds)} finds (seed {seed})")
    return len(finds)


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def _keep(finds: set[str], what: str, name: str, data: bytes) -> None:
    if what in finds:
        return
    finds.add(what)
    path = FOUND / f"{name}-{hashlib.sha256(data).hexdigest()[:12]}.bin"
    path.write_bytes(data)
    say(f"{name}: {what}: {path.name}")


def main(words: list[str]) -> int:
    names = [word for word in words if not word.isdigit()] or list(TARGETS)
    seconds = next((float(word) for word in words if word.isdigit()), 60.0)
    if unknown := sorted(set(names) - set(TARGETS)):
        say(f"no such target: {', '.join(unknown)}; there are {', '.join(TARGETS)}")
        return 2
    seed = random.SystemRandom().randrange(1 << 32)
    return 1 if sum(fuzz(name, seconds / len(names), seed) for name in names) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
