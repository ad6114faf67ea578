"""What a folder of Human3.6M holds that is not read, and what of the release it lacks.

Looks at names alone. Kinds of the release that no reader wants (angles, videos, features) are not named:
they are left out for everybody.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Set
from pathlib import Path

from poseshift.preprocessing.human36m.layout import EXPECTED_ROWS, POSE_KINDS, SUBJECTS_WITH_POSES, PoseKind
from poseshift.preprocessing.human36m.tree import ARCHIVE, SUBJECT, PoseTree, pose_folders
from poseshift.preprocessing.unread import (
    Unread,
    entries,
    files_below,
    is_archive,
    is_unfinished,
    misspelt,
    unfinished,
)
from poseshift.storage.schema import TrialKey

_SUBJECT_LIKE = re.compile(r"(s|subject)[\s_-]*0*\d+(?!\d).*", re.IGNORECASE)
_ARCHIVE_LIKE = re.compile(r"poses[\s_-]*d[23][\s_-]*positions.*", re.IGNORECASE)
_OTHER_KINDS = ("D3_Angles", "D3_Angles_mono", "RawAngles", "D2_Angles")
"""Kinds of the release that are not read."""


def unread_in(root: Path, tree: PoseTree) -> Iterator[Unread]:
    """Name what lies below ``root``, looks like poses of the release, and is not in ``tree``.

    Parameters
    ----------
    root : Path
        The folder that was given.
    tree : PoseTree
        What was found there.
    """
    root = root.absolute()
    for base in (root, root / "extracted"):
        yield from misspelt(base, SUBJECT, _SUBJECT_LIKE, "S1, S5, ... S11")
        yield from unfinished(base)
        for path in entries(base):
            if SUBJECT.fullmatch(path.name) and path.is_dir():
                yield from _unread_of_subject(path, tree)
    used = tree.archives
    for path in _archives(root):
        if path not in used:
            yield from _unread_archive(path, set(tree.folders), bool(used))


def missing_in(tree: PoseTree, trials: Set[TrialKey]) -> Iterator[str]:
    """Name the subjects that a tree lacks, and say of the others how many of their trials it has."""
    stems: Mapping[str, int] = {
        subject: sum(one == subject for one, _ in EXPECTED_ROWS) for subject in SUBJECTS_WITH_POSES
    }
    for subject in SUBJECTS_WITH_POSES:
        have = sum(key.subject == subject for key in trials)
        if subject not in tree.subjects:
            yield subject
        elif have < stems[subject]:
            yield f"{stems[subject] - have} of {stems[subject]} trials of {subject}"


def _unread_of_subject(folder: Path, tree: PoseTree) -> Iterator[Unread]:
    if not pose_folders(folder.parent, folder.name):
        if folder.name in SUBJECTS_WITH_POSES and folder.name not in tree.subjects:
            yield Unread(
                folder,
                "a subject's folder without a folder of poses",
                f"Unpack Poses_D3_Positions_{folder.name}.tgz and Poses_D2_Positions_{folder.name}.tgz.",
            )
    elif folder.name not in tree.subjects:
        yield Unread(
            folder,
            f"other subjects lie in {tree.root} and are read from there",
            "Put all subjects beside each other.",
        )
    features = folder / "MyPoseFeatures"
    for path in entries(features):
        if path.is_dir() and path.name not in (*POSE_KINDS, *_OTHER_KINDS):
            yield Unread(
                path,
                f"no kind of poses is named {path.name!r}; there are {', '.join(POSE_KINDS)}",
                "Give the folder its name in the release, or move it out.",
            )


def _archives(root: Path) -> list[Path]:
    found = (path for path in files_below(root, "") if _ARCHIVE_LIKE.fullmatch(path.name))
    return [path for path in found if is_archive(path.name) or is_unfinished(path.name)]


def _unread_archive(
    path: Path, unpacked: Set[tuple[str, PoseKind]], among_archives: bool
) -> Iterator[Unread]:
    name = ARCHIVE.fullmatch(path.name)
    if name is not None and any(
        subject == name["subject"] and kind[:2] == name["kind"][:2] for subject, kind in unpacked
    ):
        return  # the subject's 3D, or 2D, is read already; of several kinds of 3D one will do
    if is_unfinished(path.name):
        yield Unread(path, "a download that has not finished", "Download it again.")
    elif name is None:
        yield Unread(
            path,
            "no archive of the release has this name; they are like Poses_D3_Positions_S1.tgz",
            "Give it its name in the release, or remove it when it is a second copy.",
        )
    elif not among_archives:
        yield Unread(
            path,
            "an archive beside an unpacked tree; of the two only the tree is read",
            "Unpack it into the tree, or keep the archives alone in a folder and prepare that.",
        )
