"""Acclaim's skeleton (ASF) and motion (AMC) text files, as the CMU motion capture database has them.

Follows the description in J. Lander, "Working with Motion Capture File Formats" (Game Developer, January
1998), as far as CMU's files use the format: rotations and root translation; bones that change their length
are refused. Only reads; :mod:`.asf_kinematics` computes positions.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from poseshift.preprocessing.errors import RawDataError
from poseshift.storage.text import read_text

Array = npt.NDArray[np.float64]

INCH_M = 0.0254
ROOT = "root"

_LARGEST = 1e9
_REMEDY = "Download the file again, or leave it out of the folder."


@dataclass(frozen=True)
class AsfBone:
    """One bone of a skeleton; the root is a bone of length 0.

    Attributes
    ----------
    name, parent : str
        Names; the root's parent is empty.
    offset : tuple[float, float, float]
        (3,) from the bone's beginning to its end at rest, in the file's length units.
    axis : tuple[float, float, float]
        (3,) angles in radians of the bone's own axes, about the letters of ``axis_order``.
    axis_order : str
        Order in which ``axis`` turns about the fixed axes, such as ``"xyz"``.
    rotations : str
        The axes that a motion gives angles for, in its order, such as ``"xz"``.
    """

    name: str
    parent: str
    offset: tuple[float, float, float]
    axis: tuple[float, float, float]
    axis_order: str
    rotations: str


@dataclass(frozen=True)
class AsfSkeleton:
    """A skeleton, parents before children.

    Attributes
    ----------
    bones : tuple[AsfBone, ...]
        The root first.
    root_order : tuple[str, ...]
        Channels of the root in a motion, such as ``("tx", "ty", "tz", "rx", "ry", "rz")``.
    root_position : tuple[float, float, float]
        (3,) added to every root translation, in the file's length units.
    metres_per_unit : float
        CMU's ``length 0.45`` means 1 / 0.45 inches.
    """

    bones: tuple[AsfBone, ...]
    root_order: tuple[str, ...]
    root_position: tuple[float, float, float]
    metres_per_unit: float


@dataclass(frozen=True)
class AmcMotion:
    """Channels of a motion: per bone (frames, channels), rotations in radians, in the skeleton's order."""

    frames: int
    channels: Mapping[str, Array]


def read_asf(path: Path) -> AsfSkeleton:
    """Read a skeleton.

    Raises
    ------
    RawDataError : a section, field or bone is missing or malformed, or a bone has a channel for its length.
    """
    sections = _sections(path)
    units = {words[0]: words[1] for words in sections.get("units", []) if len(words) > 1}
    try:
        metres_per_unit = INCH_M / _finite(units.get("length", "1.0"))
    except (ValueError, ZeroDivisionError):
        raise _error(path, f"length unit {units['length']!r}", "a positive number") from None
    to_radians = _angle_unit(path, units.get("angle", "deg"))
    parents = _parents(path, sections.get("hierarchy", []))

    root = {words[0]: words[1:] for words in sections.get("root", [])}
    order = tuple(word.lower() for word in root.get("order", []))
    if sorted(order) != ["rx", "ry", "rz", "tx", "ty", "tz"]:
        raise _error(path, f"root order {' '.join(order)!r}", "TX TY TZ RX RY RZ in some order")
    root_bone = AsfBone(
        name=ROOT,
        parent="",
        offset=(0.0, 0.0, 0.0),
        axis=_three(path, ROOT, root.get("orientation", []), to_radians),
        axis_order=_axis_order(path, ROOT, "".join(root.get("axis", ["XYZ"]))),
        rotations="".join(channel[1] for channel in order if channel[0] == "r"),
    )
    found = {bone.name: bone for bone in _bones(path, sections.get("bonedata", []), parents, to_radians)}
    missing = [name for name in parents if name not in found]
    if missing:
        raise _error(path, f"no bone data for {missing[0]!r}", "every bone of the hierarchy in :bonedata")
    return AsfSkeleton(
        bones=(root_bone, *(found[name] for name in parents)),
        root_order=order,
        root_position=_three(path, ROOT, root.get("position", ["0", "0", "0"]), 1.0),
        metres_per_unit=metres_per_unit,
    )


def read_amc(path: Path, skeleton: AsfSkeleton) -> AmcMotion:
    """Read a motion of a skeleton.

    Raises
    ------
    RawDataError : a frame lacks a bone or channel of the skeleton, a bone is unknown, or a number is none.
    """
    expected = {bone.name: len(bone.rotations) for bone in skeleton.bones if bone.rotations}
    expected[ROOT] = len(skeleton.root_order)
    values: dict[str, list[list[float]]] = {name: [] for name in expected}
    to_radians = _angle_unit(path, "deg")
    frames = 0
    for number, words in _lines(path):
        if words[0].startswith(":"):
            to_radians = (
                _angle_unit(path, words[0][1:].lower()) if words[0][1:4].lower() in _ANGLES else to_radians
            )
        elif len(words) == 1 and words[0].isdecimal():
            _require_complete(path, values, frames)
            frames += 1
        elif len(words) - 1 != expected.get(words[0]) or not frames:
            raise _error(
                path,
                f"line {number}: {' '.join(words)!r}",
                f"a frame number, or a bone and its channels ({expected.get(words[0], 'no such bone')})",
            )
        else:
            try:
                values[words[0]].append([_finite(word) for word in words[1:]])
            except ValueError as error:
                raise _error(path, f"line {number}: {error}", "numbers") from None
    _require_complete(path, values, frames)
    if not frames:
        raise _error(path, "no frames", "at least one")
    channels = {name: np.asarray(rows, dtype=np.float64) for name, rows in values.items()}
    for name, rows in channels.items():
        turning = [c[0] == "r" for c in skeleton.root_order] if name == ROOT else [True] * expected[name]
        rows[:, turning] *= to_radians
    return AmcMotion(frames, channels)


def _bones(
    path: Path, lines: Iterable[list[str]], parents: Mapping[str, str], to_radians: float
) -> Iterator[AsfBone]:
    for block in _blocks(lines):
        fields = {words[0].lower(): words[1:] for words in block}
        name = " ".join(fields.get("name", []))
        if name not in parents:
            raise _error(path, f"bone {name!r} outside the hierarchy", "every bone below the root")
        channels = [word.lower() for word in fields.get("dof", [])]
        if any(channel not in {"rx", "ry", "rz"} for channel in channels):
            raise _error(path, f"{name}: dof {' '.join(channels)!r}", "rotations rx, ry, rz")
        direction = _three(path, name, fields.get("direction", []), 1.0)
        try:
            (length,) = (_finite(word) for word in fields.get("length", []))
        except ValueError:
            raise _error(path, f"{name}: length {fields.get('length')}", "one number") from None
        *angles, order = fields.get("axis", ["0", "0", "0", "XYZ"])
        x, y, z = (length * part for part in direction)
        yield AsfBone(
            name=name,
            parent=parents[name],
            offset=(x, y, z),
            axis=_three(path, name, angles, to_radians),
            axis_order=_axis_order(path, name, order),
            rotations="".join(channel[1] for channel in channels),
        )


def _parents(path: Path, lines: Iterable[list[str]]) -> dict[str, str]:
    """Parent of every bone, parents before children."""
    parents: dict[str, str] = {}
    for block in _blocks(lines):
        for parent, *children in block:
            if parent != ROOT and parent not in parents:
                raise _error(path, f"{parent!r} before its parent in :hierarchy", "a tree from the root on")
            for child in children:
                if child in parents or child == ROOT:
                    raise _error(path, f"{child!r} twice in :hierarchy", "one parent for each bone")
                parents[child] = parent
    if not parents:
        raise _error(path, "no :hierarchy", "a tree of bones")
    return parents


def _sections(path: Path) -> dict[str, list[list[str]]]:
    sections: dict[str, list[list[str]]] = {}
    current: list[list[str]] = []
    for _, words in _lines(path):
        if words[0].startswith(":"):
            current = sections.setdefault(words[0][1:].lower(), [])
        else:
            current.append(words)
    return sections


def _blocks(lines: Iterable[list[str]]) -> Iterator[list[list[str]]]:
    """Split lines at ``begin`` and ``end``."""
    block: list[list[str]] | None = None
    for words in lines:
        if words == ["begin"]:
            block = []
        elif words == ["end"] and block is not None:
            yield block
            block = None
        elif block is not None:
            block.append(words)


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Numbered lines as words, without comments and empty ones."""
    try:
        text = read_text(path, otherwise="latin-1")
    except OSError as error:
        raise _error(path, str(error), "a readable text file") from error
    for number, line in enumerate(text.splitlines(), start=1):
        words = re.sub(r"#.*", "", line).split()
        if words:
            yield number, words


_ANGLES = {"deg": np.pi / 180, "rad": 1.0}


def _angle_unit(path: Path, word: str) -> float:
    if word[:3].lower() not in _ANGLES:
        raise _error(path, f"angle unit {word!r}", "deg or rad")
    return float(_ANGLES[word[:3].lower()])


def _axis_order(path: Path, what: str, order: str) -> str:
    if sorted(order.lower()) != ["x", "y", "z"]:
        raise _error(path, f"{what}: axis order {order!r}", "three letters such as XYZ")
    return order.lower()


def _finite(word: str) -> float:
    """Read a number; ValueError when it is none, infinite, NaN, or beyond what a file in inches can mean."""
    number = float(word)
    if not abs(number) <= _LARGEST:
        raise ValueError(f"{word!r} is not a number of a skeleton or motion")
    return number


def _three(path: Path, what: str, words: list[str], factor: float) -> tuple[float, float, float]:
    try:
        x, y, z = (_finite(word) * factor for word in words)
    except ValueError:
        raise _error(path, f"{what}: {' '.join(words)!r}", "three numbers") from None
    return x, y, z


def _require_complete(path: Path, values: Mapping[str, list[list[float]]], frames: int) -> None:
    for name, rows in values.items():
        if len(rows) != frames:
            raise _error(path, f"frame {frames} with {name!r} {len(rows) - frames + 1} times", "once")


def _error(path: Path, found: str, expected: str) -> RawDataError:
    return RawDataError(path, found=found, expected=expected, remedy=_REMEDY)
