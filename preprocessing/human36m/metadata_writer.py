"""The toolkit's ``metadata.xml`` for a tree of any lengths: calibration, names, frame counts, resolutions.

Holds the elements that the toolkit and its readers look up, with the toolkit's names and shapes. It leaves
out the skeletons, body measurements and time-of-flight files, which no pose reader asks for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from xml.sax.saxutils import escape

from poseshift.preprocessing.human36m.calibration import builtin_calibration, builtin_w0, camera_ids
from poseshift.preprocessing.human36m.metadata import METADATA_FILENAME
from poseshift.preprocessing.human36m.sequences import MOCAP_SAMPLES_PER_ROW, Sequence, builtin_sequences

_SUBJECTS = tuple(f"S{number}" for number in range(1, 12))
_TRAIN, _VALIDATION, _TEST = (1, 7, 8, 9, 11), (5, 6), (2, 3, 4, 10)
"""The toolkit's own split; papers use another one."""


def write_metadata(root: Path, rows: Mapping[tuple[str, str], int]) -> Path:
    """Write ``root/metadata.xml`` for trials of the given lengths.

    Parameters
    ----------
    root : Path
        Root of the tree.
    rows : Mapping[tuple[str, str], int]
        (subject, stem) to rows of its pose files; all other sequences keep the lengths of the release.

    Returns
    -------
    the file written.

    Raises
    ------
    ValueError : a (subject, stem) that the release does not have.
    """
    table = builtin_sequences()
    for subject, stem in rows:
        if table.find(subject, stem) is None:
            raise ValueError(f"Human3.6M has no sequence {stem!r} of {subject}")
    by_place = {(sequence.subject, sequence.action, sequence.subaction): sequence for sequence in table}
    places = sorted({(action, subaction) for _, action, subaction in by_place})
    mapping = [_row(["Action", "subaction", *_SUBJECTS])]
    for action, subaction in places:
        stems = [by_place[subject, action, subaction].stem for subject in _SUBJECTS]
        mapping.append(_row([str(action), str(subaction), *stems]))
    mapping.append(_row(["", "", *(f"subject {number}" for number in range(1, 12))]))
    mapping.append(_row(["", "", *map(_resolutions, _SUBJECTS)]))
    frames = [
        _row(["", *(_frame_counts(by_place[subject, *place], rows) for place in places)])
        for subject in _SUBJECTS
    ]
    content = "\n".join(
        [
            '<?xml version="1.0" encoding="utf-8"?>',
            "<metadata>",
            _element("actionnames", _cells(table.actions)),
            _element("mapping", mapping),
            _element("frames", frames),
            _element("dbcameras", [_element("index2id", _cells(camera_ids()))]),
            f"<w0>{_numbers(builtin_w0().tolist())}</w0>",
            f"<train_subjects>{_numbers(_TRAIN)}</train_subjects>",
            f"<val_subjects>{_numbers(_VALIDATION)}</val_subjects>",
            f"<test_subjects>{_numbers(_TEST)}</test_subjects>",
            "</metadata>",
            "",
        ]
    )
    root.mkdir(parents=True, exist_ok=True)
    path = root / METADATA_FILENAME
    path.write_text(content, encoding="utf-8")
    return path


def _resolutions(subject: str) -> str:
    sizes = (camera.size_px for camera in builtin_calibration().cameras[subject])
    return "[" + ";".join(f"{height} {width}" for width, height in sizes) + "]"


def _frame_counts(sequence: Sequence, rows: Mapping[tuple[str, str], int]) -> str:
    length = rows.get((sequence.subject, sequence.stem))
    if length is None:
        return _numbers([*sequence.video_frames, sequence.mocap_samples])
    # As in the release, videos run on for a few frames and a motion capture sample or two is left over.
    videos = [length + 1, length + 3, length + 3, length + 1]
    return _numbers([*videos, MOCAP_SAMPLES_PER_ROW * length + 2])


def _numbers(values: Iterable[float]) -> str:
    return "[" + " ".join(repr(value) for value in values) + "]"


def _cells(texts: Iterable[str]) -> list[str]:
    return [f"<td>{escape(text)}</td>" for text in texts]


def _row(texts: Iterable[str]) -> str:
    return "<tr>" + "".join(_cells(texts)) + "</tr>"


def _element(name: str, children: Iterable[str]) -> str:
    return "\n".join([f"<{name}>", *children, f"</{name}>"])
