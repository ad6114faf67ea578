"""What a copy of MPI-INF-3DHP holds that looks like a part of it and is not read; looks at names alone."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from poseshift.preprocessing.unread import Unread, entries, is_archive, misspelt, unfinished

_SUBJECT, _SUBJECT_LIKE = re.compile(r"S\d+"), re.compile(r"(s|subject)[\s_-]*0*\d+(?!\d).*", re.IGNORECASE)
_SEQUENCE, _ANY = re.compile(r"Seq\d+"), re.compile(r".*", re.DOTALL)
_TEST, _TEST_LIKE = re.compile(r"TS\d+"), re.compile(r"(ts|test)[\s_-]*0*\d+(?!\d).*", re.IGNORECASE)
_TRAINING_ARCHIVE = re.compile(r"(s\d+|mpi_inf_3dhp).*", re.IGNORECASE)
_TEST_ARCHIVE = re.compile(r"(ts\d+|mpi_inf_3dhp_test_set).*", re.IGNORECASE)
_ANNOTATIONS_LIKE = re.compile(r"(annot|camera).*\.(mat|calibration)", re.IGNORECASE)


def unread_for_training(root: Path, subjects: Collection[str]) -> Iterator[Unread]:
    """Name what of the training part is not read.

    Parameters
    ----------
    root : Path
        The tree.
    subjects : collection of str
        Subjects of which sequences were found.
    """
    yield from misspelt(root, _SUBJECT, _SUBJECT_LIKE, "S1 to S8")
    yield from unfinished(root)
    for subject in (path for path in entries(root) if _SUBJECT.fullmatch(path.name) and path.is_dir()):
        yield from misspelt(subject, _SEQUENCE, _ANY, "Seq1 and Seq2")
        if subject.name not in subjects:
            yield Unread(
                subject,
                "a subject's folder without a sequence that can be read",
                "Copy or download it again, or remove it.",
            )
        for sequence in entries(subject):
            yield from _second_copies(sequence, ("annot.mat", "camera.calibration"))
    for path in entries(root):
        is_training = _TRAINING_ARCHIVE.fullmatch(path.name) and not _TEST_ARCHIVE.fullmatch(path.name)
        if path.is_file() and is_archive(path.name) and is_training and _stem(path) not in subjects:
            yield _packed(path)


def unread_for_test(places: Sequence[Path], place: Path, *, complete: bool) -> Iterator[Unread]:
    """Name what of the test part is not read.

    Parameters
    ----------
    places : sequence of Path
        Folders in which test sequences may lie.
    place : Path
        The one whose sequences are read.
    complete : bool
        Whether all sequences were found; an archive beside them holds nothing more then.
    """
    for one in places:
        yield from misspelt(one, _TEST, _TEST_LIKE, "TS1 to TS6")
        yield from unfinished(one)
        for path in entries(one):
            if path.is_dir() and _TEST.fullmatch(path.name):
                if one == place:
                    yield from _second_copies(path, ("annot_data.mat",))
                elif not (place / path.name).exists():
                    yield Unread(path, f"test sequences are read from {place}", "Put all beside each other.")
            elif not complete and is_archive(path.name) and _TEST_ARCHIVE.fullmatch(path.name):
                yield _packed(path)


def _second_copies(sequence: Path, read: Sequence[str]) -> Iterator[Unread]:
    for path in entries(sequence):
        if path.is_file() and _ANNOTATIONS_LIKE.fullmatch(path.name) and path.name not in read:
            yield Unread(
                path,
                f"of annotations and calibration only {' and '.join(read)} are read",
                "Give it its name in the release, or remove it when it is a second copy.",
            )


def _packed(path: Path) -> Unread:
    return Unread(path, "an archive; archives of this data set are not read", "Unpack it here, or remove it.")


def _stem(path: Path) -> str:
    return path.name.partition(".")[0]
