"""What the names of files say of their order: the number that counts frames, gaps in it, and further numbers or words.

Acquisition programs write a file per frame, and often further axes into the names: channels, positions, time stamps.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from napari_subpixel.errors import ChannelsError, InputError

#: A time of day, with a fraction or without, a date, or a number: what counts in a name.
COUNTED = re.compile(
    r"(?P<time>(?<!\d)[0-2]\d[-.:h][0-5]\d[-.:m][0-5]\d(?:s?[-_.,]\d{1,6})?(?!\d))"
    r"|(?P<date>(?<!\d)\d{4}[-_.]\d\d[-_.]\d\d(?!\d))"
    r"|(?P<number>\d+)"
)
#: What ImageJ puts before the name of a stack's projection, and of a series' average.
PROJECTIONS = ("max_", "min_", "avg_", "sum_", "std_", "med_")
#: A name of a sequence may lack its number in the first file, and have one of these before it in the others.
SEPARATORS = " _-.("


class NameParts(NamedTuple):
    """A file's name without its suffix: its words, the numbers between them, and which are no dates or times of day."""

    path: Path
    words: tuple[str, ...]
    numbers: tuple[int, ...]
    plain: tuple[bool, ...]


class Sequenced(NamedTuple):
    """Files of one movie in order, and what is odd about their names."""

    files: list[Path]
    warnings: tuple[str, ...]


def natural_key(path: Path) -> list[tuple[int, int, str]]:
    """Return a key that sorts numbers in names by value, img_2 before img_10, and letters whatever their case.

    `tifffile.natural_sorted`, which heeds the case, would put all of ``IMG_1`` before ``img_0``.

    Examples
    --------
    >>> [p.name for p in sorted(map(Path, ["img_10.tif", "img_2.tif"]), key=natural_key)]
    ['img_2.tif', 'img_10.tif']
    """
    parts = re.findall(r"\d+|\D+", path.name)
    return [(0, int(part), part) if part.isdecimal() else (1, 0, part.lower()) for part in parts]


def sequenced(folder: Path, files: Sequence[Path], channel: int | str | None = None) -> Sequenced:
    """Return the frames of a movie, one per file: projections are left out, channels told apart, gaps noticed.

    Parameters
    ----------
    folder : Path
        For messages.
    files : sequence of Path
        In the order of their names.
    channel : int or str, optional
        Which channel, where names have several: its number, counted from 0, or what its names have and others do not.

    Raises
    ------
    ChannelsError
        If names differ in more than one number, and no channel was chosen.
    InputError
        If there is no such channel, or two files have one number.
    """
    frames, warnings = _without_projections(files)
    groups = _channels(frames)
    if len(groups) > 1:
        frames = groups[_chosen(folder, groups, channel)]
    elif channel not in (None, 0, "0"):
        raise InputError(f"{folder}: channel {channel!r} asked for, the names of the files have 1, counted from 0")
    return Sequenced([each.path for each in frames], (*warnings, *_gaps(folder, frames)))


def gaps_in(folder: Path, files: Iterable[Path]) -> list[str]:
    """Say which numbers are missing between files of a sequence, whose first may have none.

    Parameters
    ----------
    folder : Path
        For messages.
    files : iterable of Path
        In their order.
    """
    parts = [name_parts(path) for path in files]
    if len(parts) > 1 and not parts[0].numbers and parts[1].numbers and parts[1].numbers[-1] > 2:  # 1, or Andor's _X2
        first, second = parts[0].path.name, parts[1].path.name
        return [f"the names of the files have a gap: {first} is followed by {second}; the others are joined"]
    return _gaps(folder, parts[1:] if len({each.words for each in parts[1:]}) == 1 else parts, what="files")


def name_parts(path: Path) -> NameParts:
    """Take a file's name apart.

    Examples
    --------
    >>> name_parts(Path("Cell_2-t007.tif"))[1:]
    (('cell_', '-t', ''), (2, 7), (True, True))
    """
    words, numbers, plain, end = list[str](), list[int](), list[bool](), 0
    for found in COUNTED.finditer(path.stem):
        words.append(path.stem[end : found.start()].lower())
        digits = re.sub(r"\D", "", found[0])
        numbers.append(int(digits))
        plain.append(found["number"] is not None)
        end = found.end()
    return NameParts(path, (*words, path.stem[end:].lower()), tuple(numbers), tuple(plain))


def _without_projections(files: Sequence[Path]) -> tuple[list[NameParts], list[str]]:
    """Leave out projections and averages that ImageJ saved among the frames."""
    parts = [name_parts(path) for path in files]
    stray = [each for each in parts if each.path.name.lower().startswith(PROJECTIONS)]
    if not stray or len(stray) == len(parts):
        return parts, []
    named = ", ".join(each.path.name for each in stray[:3]) + (f" and {len(stray) - 3} more" if len(stray) > 3 else "")
    frames = [each for each in parts if each not in stray]
    return frames, [f"{named}: left out, a projection by its name; the other {len(frames)} files are the frames"]


def _channels(parts: Sequence[NameParts]) -> list[list[NameParts]]:
    """Group files whose names differ in something else than the one number, or time stamp, that counts frames."""
    by_words: dict[tuple[str, ...], list[NameParts]] = {}
    for each in parts:
        by_words.setdefault(each.words, []).append(each)
    if len(by_words) == 2 and _lacks_its_number(parts):
        return [list(parts)]
    if len(by_words) > 1:
        return list(by_words.values())
    column = _repeated_column(parts)
    if column is None:
        return [list(parts)]
    by_number: dict[int, list[NameParts]] = {}
    for each in parts:
        by_number.setdefault(each.numbers[column], []).append(each)
    return [by_number[number] for number in sorted(by_number)]


def _lacks_its_number(parts: Sequence[NameParts]) -> bool:
    """Say whether the first of the files is one such as frame.tif, before frame_1.tif."""
    first, second = parts[0], parts[1]
    same = len({each.words for each in parts[1:]}) == 1 and len(second.words) == len(first.words) + 1
    return same and second.words[-2].rstrip(SEPARATORS) == first.words[-1] and second.words[:-2] == first.words[:-1]


def _repeated_column(parts: Sequence[NameParts]) -> int | None:
    """Return which number of the names is no frame number, since most of the others come once for each of its values.

    Time stamps do not: one of their numbers alone rarely repeats with all values of the rest.
    """
    columns = list(zip(*(each.numbers for each in parts), strict=True))
    varying = [number for number, column in enumerate(columns) if len(set(column)) > 1]
    found: list[tuple[int, int]] = []
    for number in varying if len(varying) > 1 else ():
        rests: dict[int, set[tuple[int, ...]]] = {}
        for each in parts:
            rest = tuple(each.numbers[other] for other in varying if other != number)
            rests.setdefault(each.numbers[number], set()).add(rest)
        common, union = set.intersection(*rests.values()), set.union(*rests.values())
        if 2 * len(common) >= len(union):
            found.append((len(rests), number))
    return min(found)[1] if found else None


def _chosen(folder: Path, groups: Sequence[Sequence[NameParts]], channel: int | str | None) -> int:
    """Return which group of files was chosen; raise `InputError` where none was, or there is no such one."""
    firsts = ", ".join(f"{number} {group[0].path.name}" for number, group in enumerate(groups[:4]))
    if len(groups) > 4:
        firsts += f" and {len(groups) - 4} more"
    if channel is None:
        raise ChannelsError(
            f"{folder}: the names of the files differ in more than the number of the frame, such as "
            f"{groups[0][0].path.name} and {groups[1][0].path.name}: {len(groups)} movies, which begin with {firsts}"
        )
    text = str(channel).lower()
    if text.isdecimal() and int(text) < len(groups):
        return int(text)
    fitting = [n for n, group in enumerate(groups) if all(text in each.path.stem.lower() for each in group)]
    if len(fitting) == 1:
        return fitting[0]
    raise InputError(f"{folder}: channel {channel!r} asked for, the names of the files have {len(groups)}: {firsts}")


def _gaps(folder: Path, parts: Sequence[NameParts], what: str = "frames") -> list[str]:
    """Say where numbers are missing; raise `InputError` where two files have the same one."""
    numbered = [each for each in parts if each.numbers]
    if len(numbered) < 2 or len({each.words for each in numbered}) > 1:
        return []
    for before, after in itertools.pairwise(numbered):
        if before.numbers == after.numbers:
            raise InputError(f"{folder}: {before.path.name} and {after.path.name} have the same number")
    columns = zip(*(each.numbers for each in numbered), strict=True)
    for column in itertools.compress(columns, numbered[0].plain):
        steps = [b - a for a, b in itertools.pairwise(column)]
        step, count = min(Counter(steps).items(), key=lambda item: (-item[1], item[0]))
        if len(steps) == 1 and what == "files":
            step = 1
        if step <= 0 or min(steps) <= 0 or 2 * count < len(steps):
            continue
        jumps = [n for n, each in enumerate(steps) if each > step and each % step == 0]
        if jumps:
            missing, first = sum(steps[n] // step - 1 for n in jumps), jumps[0]
            more = f", and there {_count(len(jumps) - 1, 'more gap')}" if len(jumps) > 1 else ""
            counted = "frames are counted on, as if none were" if what == "frames" else "the others are joined"
            return [
                f"the names of the files have a gap: {numbered[first].path.name} is followed by "
                f"{numbered[first + 1].path.name}{more}; {missing} missing in all, {counted}"
            ]
    return []


def _count(n: int, noun: str) -> str:
    return f"is 1 {noun}" if n == 1 else f"are {n} {noun}s"
