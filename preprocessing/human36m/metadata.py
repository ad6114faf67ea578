"""The toolkit's ``metadata.xml``: calibration, sequence table and image sizes of the tree at hand.

Reads the elements ``mapping``, ``frames``, ``dbcameras/index2id``, ``actionnames`` and ``w0``. A tree without
the file is read with the same values from this package. Entity declarations are refused: the file needs none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

import numpy as np
from numpy.typing import NDArray

from poseshift.geometry.toolkit_calibration import W0_LENGTH
from poseshift.preprocessing.errors import RawDataError
from poseshift.preprocessing.human36m.calibration import (
    Calibration,
    Size,
    builtin_calibration,
    calibration_from_w0,
    camera_ids,
)
from poseshift.preprocessing.human36m.sequences import Sequence, SequenceTable, builtin_sequences

METADATA_FILENAME = "metadata.xml"
MAX_BYTES = 16 * 1024 * 1024
"""The toolkit's own file has 110,314 bytes."""

_REMEDY = (
    "Take Release-v1.2/metadata.xml from the toolkit's zip, or remove the file: its values are built in."
)
_SIZES = re.compile(r"\[\s*\d+ +\d+(?:\s*;\s*\d+ +\d+)*\s*\]")


@dataclass(frozen=True)
class Metadata:
    """What is known of a tree beside its poses.

    Attributes
    ----------
    source : str
        ``"metadata.xml"`` or ``"built-in"``.
    calibration : Calibration
        Four cameras of every subject.
    sequences : SequenceTable
        Stems, actions and lengths.
    """

    source: str
    calibration: Calibration
    sequences: SequenceTable


def builtin_metadata() -> Metadata:
    """Return the values of the release, for trees without a metadata.xml."""
    return Metadata("built-in", builtin_calibration(), builtin_sequences())


def read_metadata(path: Path) -> Metadata:
    """Read a metadata.xml.

    Raises
    ------
    RawDataError : not XML, an entity declaration, or an element that is missing or malformed.
    """
    root = _parse(path)
    try:
        header, *rows = _rows(root, "mapping")
        subjects = _subjects(header)
        sizes = _sizes(rows, subjects)
        sequences = SequenceTable(_cells(_element(root, "actionnames")), _sequences(root, rows, subjects))
        ids = tuple(_cells(_element(root, "dbcameras/index2id")))
        if len(ids) != len(camera_ids()) or not all(re.fullmatch("[0-9]{8}", name) for name in ids):
            raise _MetadataError(f"camera ids {ids}", "four ids of eight digits in dbcameras/index2id")
        w0 = _numbers(_text(_element(root, "w0")))
        if w0.shape != (W0_LENGTH,):
            raise _MetadataError(f"{w0.size} numbers in w0", f"{W0_LENGTH}")
        calibration = calibration_from_w0(w0, ids, sizes, METADATA_FILENAME)
    except _MetadataError as error:
        raise RawDataError(path, found=error.found, expected=error.expected, remedy=_REMEDY) from error
    return Metadata(METADATA_FILENAME, calibration, sequences)


class _MetadataError(Exception):
    def __init__(self, found: str, expected: str) -> None:
        super().__init__(found, expected)
        self.found = found
        self.expected = expected


def _parse(path: Path) -> Element:
    """Parse with expat alone, so that entity declarations can be refused."""
    builder = TreeBuilder()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    parser.EntityDeclHandler = _refuse_entity
    try:
        if path.stat().st_size > MAX_BYTES:
            raise _MetadataError(f"{path.stat().st_size} bytes", f"at most {MAX_BYTES}")
        parser.Parse(path.read_bytes(), True)
        root = builder.close()
    except OSError as error:
        raise RawDataError(
            path, found=f"no readable file ({error})", expected="the toolkit's metadata.xml", remedy=_REMEDY
        ) from error
    except (expat.ExpatError, LookupError, ValueError) as error:  # the latter two: an unknown encoding
        raise RawDataError(
            path, found=f"no XML ({error})", expected="a well-formed file", remedy=_REMEDY
        ) from error
    except _MetadataError as error:
        raise RawDataError(path, found=error.found, expected=error.expected, remedy=_REMEDY) from error
    return root


def _refuse_entity(name: str, *_: object) -> None:
    raise _MetadataError(f"a declaration of the entity {name!r}", "a file without entity declarations")


def _element(root: Element, place: str) -> Element:
    element = root.find(place)
    if element is None:
        raise _MetadataError(f"no element {place}", "the elements of the toolkit's metadata.xml")
    return element


def _text(element: Element) -> str:
    return (element.text or "").strip()


def _cells(row: Element) -> list[str]:
    return [_text(cell) for cell in row]


def _rows(root: Element, place: str) -> list[list[str]]:
    rows = [_cells(row) for row in _element(root, place)]
    if not rows:
        raise _MetadataError(f"an empty element {place}", "one row per sequence or subject")
    return rows


def _subjects(header: list[str]) -> list[str]:
    subjects = header[2:]
    if not subjects or not all(re.fullmatch("S([1-9]|10|11)", subject) for subject in subjects):
        raise _MetadataError(f"the columns {header} in mapping", "action, subaction, S1 to S11")
    return subjects


def _sizes(rows: list[list[str]], subjects: list[str]) -> Mapping[str, list[Size]]:
    for row in rows:
        cells = row[2:]
        if len(cells) == len(subjects) and all(_SIZES.fullmatch(cell) for cell in cells):
            sizes = {
                # the toolkit writes height before width
                subject: [
                    (width, height) for height, width in _numbers(cell).astype(int).reshape(-1, 2).tolist()
                ]
                for subject, cell in zip(subjects, cells, strict=True)
            }
            if all(len(each) == len(camera_ids()) for each in sizes.values()):
                return sizes
    raise _MetadataError("no row of resolutions in mapping", "'[H W;H W;H W;H W]' for every subject")


def _sequences(root: Element, rows: list[list[str]], subjects: list[str]) -> Iterator[Sequence]:
    named = [
        row for row in rows if len(row) == 2 + len(subjects) and row[0].isdecimal() and row[1].isdecimal()
    ]
    frames = _rows(root, "frames")
    if len(frames) != len(subjects) or any(len(row) != 1 + len(named) for row in frames):
        found = f"frames of {len(frames)} rows of {sorted({len(row) for row in frames})} cells"
        raise _MetadataError(found, f"{len(subjects)} subjects by 1 + {len(named)} sequences")
    for column, row in enumerate(named):
        for index, subject in enumerate(subjects):
            counts = _numbers(frames[index][1 + column]).astype(int).tolist()
            if len(counts) != len(camera_ids()) + 1:
                found = f"frame counts {frames[index][1 + column]!r} of {subject} {row[2 + index]!r}"
                raise _MetadataError(found, "four video lengths and the motion capture's")
            *videos, mocap = counts
            yield Sequence(subject, int(row[0]), int(row[1]), row[2 + index], tuple(videos), mocap)


def _numbers(text: str) -> NDArray[np.float64]:
    try:
        numbers = np.array(re.sub(r"[\[\];,]", " ", text).split(), dtype=np.float64)
    except ValueError as error:
        raise _MetadataError(f"{text[:60]!r}", "numbers in brackets") from error
    if not np.isfinite(numbers).all():
        raise _MetadataError(f"{text[:60]!r}", "finite numbers")
    return numbers
