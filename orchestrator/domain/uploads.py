"""How a file is cut into parts, and whether the parts that arrived are the ones that were agreed.

Every file is a multipart upload, even a cover image: only then can the server decide when it is finished. Parts are
numbered from 1 without gaps. Limits are the narrowest of the stores we know, so that a plan holds on all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from orchestrator.domain.errors import Invalid, UploadTooLarge

MIB: Final = 1024 * 1024
GIB: Final = 1024 * MIB

MAX_PARTS: Final = 1000
"""S3 allows 10,000; one answer of ListParts holds 1,000, and so does an upload on OpenStack Swift by default."""

MIN_PART_BYTES: Final = 5 * MIB
"""Of every part but the last. https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html"""

MAX_PART_BYTES: Final = 5 * GIB
"""https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html"""

PREFERRED_PART_BYTES: Final = 64 * MIB
"""Small enough to send again after a broken connection, large enough that a film needs few of them."""


@dataclass(frozen=True, slots=True)
class PartPlan:
    """What was agreed with the uploader.

    Attributes:
        count: parts are numbered 1 to `count`.
        sizes: bytes of each part by its number; None where the uploader told no size, so any cut is taken.
    """

    count: int
    sizes: Mapping[int, int] | None

    @property
    def numbers(self) -> range:
        return range(1, self.count + 1)


def part_size_bytes(total_bytes: int, preferred_bytes: int = PREFERRED_PART_BYTES) -> int:
    """Size of every part but the last, so that `total_bytes` fits in MAX_PARTS parts.

    Args:
        total_bytes: size of the whole file, above 0.
        preferred_bytes: used as it is when the file fits, never below MIN_PART_BYTES.

    Returns:
        A whole number of MiB whenever the file does not fit in parts of the preferred size.

    Raises:
        UploadTooLarge: a part would be above MAX_PART_BYTES.
    """
    _check_total(total_bytes)
    preferred_bytes = min(max(preferred_bytes, MIN_PART_BYTES), MAX_PART_BYTES)
    if total_bytes <= preferred_bytes * MAX_PARTS:
        return preferred_bytes
    return -(-total_bytes // (MAX_PARTS * MIB)) * MIB


def plan(
    total_bytes: int | None, part_count: int | None = None, preferred_bytes: int = PREFERRED_PART_BYTES
) -> PartPlan:
    """How a file is cut, from whatever the uploader told.

    Args:
        total_bytes: size of the whole file; None when the uploader does not say, then nothing about sizes is agreed.
        part_count: how many parts the uploader wants; None leaves it to us. The parts are of equal size but the last.
        preferred_bytes: see `part_size_bytes`; only used when `part_count` is None.

    Raises:
        Invalid: a count outside 1 to MAX_PARTS, an empty file, or so many parts that they would be too small.
        UploadTooLarge: more bytes than the parts can carry.
    """
    if part_count is not None and not 1 <= part_count <= MAX_PARTS:
        raise Invalid(
            f"an upload cannot have {part_count} parts, only 1 to {MAX_PARTS}",
            part_count=part_count,
            max_parts=MAX_PARTS,
        )
    if total_bytes is None:
        return PartPlan(part_count or 1, None)
    _check_total(total_bytes)
    each = part_size_bytes(total_bytes, preferred_bytes) if part_count is None else -(-total_bytes // part_count)
    count = -(-total_bytes // each) if part_count is None else part_count
    if each > MAX_PART_BYTES:
        raise UploadTooLarge(
            f"{total_bytes} bytes in {count} part(s) would be {each} bytes each, at most {MAX_PART_BYTES} can be: "
            f"use at least {-(-total_bytes // MAX_PART_BYTES)} parts",
            total_bytes=total_bytes,
            part_count=count,
            max_part_bytes=MAX_PART_BYTES,
        )
    if count > 1 and each < MIN_PART_BYTES:
        raise Invalid(
            f"{total_bytes} bytes in {count} parts would be {each} bytes each, every part but the last must have at "
            f"least {MIN_PART_BYTES}: use at most {most_parts(total_bytes)} part(s)",
            total_bytes=total_bytes,
            part_count=count,
            min_part_bytes=MIN_PART_BYTES,
        )
    sizes = dict.fromkeys(range(1, count), each)
    sizes[count] = total_bytes - each * (count - 1)
    return PartPlan(count, MappingProxyType(sizes))


def most_parts(total_bytes: int) -> int:
    """The largest number of equal parts that a file can be cut into."""
    # ceil(total / count) >= MIN_PART_BYTES says the same as count < total / (MIN_PART_BYTES - 1).
    return max(1, min(MAX_PARTS, -(-total_bytes // (MIN_PART_BYTES - 1)) - 1))


def missing(expected: PartPlan, arrived: Mapping[int, int]) -> list[int]:
    """Numbers of the parts still to be sent: not there, or there with another size than agreed.

    Args:
        arrived: bytes of each part the store holds, by number.
    """
    return [number for number in expected.numbers if _problem(expected, number, arrived) is not None]


def check_complete(expected: PartPlan, arrived: Mapping[int, int], max_bytes: int | None = None) -> tuple[str, ...]:
    """Every reason why these parts are not the agreed file; nothing when they are.

    Args:
        arrived: bytes of each part the store holds, by number.
        max_bytes: most bytes that the whole file may have; matters where no sizes were agreed.
    """
    problems = [text for number in expected.numbers if (text := _problem(expected, number, arrived)) is not None]
    if strangers := sorted(set(arrived) - set(expected.numbers)):
        problems.append(f"part(s) {_listed(strangers)} arrived, only 1 to {expected.count} were agreed")
    total_bytes = sum(arrived.values())
    if max_bytes is not None and total_bytes > max_bytes:
        problems.append(f"{total_bytes} bytes arrived, at most {max_bytes} are allowed")
    if not problems and total_bytes == 0:
        problems.append("the file is empty")
    return tuple(problems)


def _problem(expected: PartPlan, number: int, arrived: Mapping[int, int]) -> str | None:
    found = arrived.get(number)
    if found is None:
        return f"part {number} is missing"
    if expected.sizes is not None and found != expected.sizes[number]:
        return f"part {number} has {found} bytes, {expected.sizes[number]} were agreed"
    if number < expected.count and found < MIN_PART_BYTES:
        return f"part {number} has {found} bytes, every part but the last must have at least {MIN_PART_BYTES}"
    return None


def _check_total(total_bytes: int) -> None:
    if total_bytes < 1:
        raise Invalid(f"a file cannot have {total_bytes} bytes, at least 1 is needed", total_bytes=total_bytes)
    if total_bytes > MAX_PARTS * MAX_PART_BYTES:
        raise UploadTooLarge(
            f"{total_bytes} bytes are too many, {MAX_PARTS} parts carry at most {MAX_PARTS * MAX_PART_BYTES}",
            total_bytes=total_bytes,
            max_bytes=MAX_PARTS * MAX_PART_BYTES,
        )


def _listed(numbers: Iterable[int], most: int = 10) -> str:
    numbers = list(numbers)
    shown = ", ".join(str(number) for number in numbers[:most])
    return shown if len(numbers) <= most else f"{shown} and {len(numbers) - most} more"
