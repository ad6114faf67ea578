"""Finding the pose files of Human3.6M: the release's tree, the flattened one, or a folder of archives.

Looks at names and places only. Accepted are ``ROOT/S1/MyPoseFeatures/D3_Positions/`` as the archives unpack,
``ROOT/[extracted/]S1/Poses_D3_Positions/`` as the tool h36m-fetch arranges it, and the archives themselves
(``Poses_D3_Positions_S1.tgz``), which are unpacked into a folder of the caller's choice.
"""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from poseshift.preprocessing.archives import unpack
from poseshift.preprocessing.errors import NotUnpackedError, RawDataError
from poseshift.preprocessing.human36m.layout import (
    POSE_KINDS,
    WHOLE_SESSION,
    PoseFileName,
    PoseKind,
    is_per_camera,
    official_folder,
    parse_stem,
)
from poseshift.preprocessing.human36m.metadata import METADATA_FILENAME
from poseshift.preprocessing.unread import files_below, is_dropping

logger = logging.getLogger(__name__)

SUBJECT = re.compile("S([1-9]|10|11)")
"""Name of a subject's folder."""
ARCHIVE = re.compile(rf"Poses_(?P<kind>{'|'.join(POSE_KINDS)})_(?P<subject>[A-Za-z0-9_]+)\.tgz")
"""Name of an archive of poses."""

_MEMBER = re.compile(rf"S([1-9]|10|11)/MyPoseFeatures/({'|'.join(POSE_KINDS)})/[^/]+\.cdf")
_METADATA_PLACES = (METADATA_FILENAME, f"Release-v1.2/{METADATA_FILENAME}", f"extracted/{METADATA_FILENAME}")


@dataclass(frozen=True)
class PoseFolder:
    """The files of one kind and subject.

    Attributes
    ----------
    subject, kind : str or PoseKind
        What the folder is for.
    path : Path
        The folder.
    files : Mapping[str, Mapping[str or None, Path]]
        Stem to camera id (None for kinds without cameras) to file.
    problems : tuple[RawDataError, ...]
        Files whose names are not understood.
    """

    subject: str
    kind: PoseKind
    path: Path
    files: Mapping[str, Mapping[str | None, Path]]
    problems: tuple[RawDataError, ...]


@dataclass(frozen=True)
class PoseTree:
    """Where everything lies.

    Attributes
    ----------
    root : Path
        Folder that holds the pose files (of archives: what they were unpacked to).
    folders : Mapping[tuple[str, PoseKind], Path]
        (subject, kind) to folder.
    metadata : Path or None
        The tree's metadata.xml, or None.
    archives : tuple[Path, ...]
        The archives that the pose files were unpacked from; empty for a tree.
    """

    root: Path
    folders: Mapping[tuple[str, PoseKind], Path]
    metadata: Path | None
    archives: tuple[Path, ...] = ()

    @property
    def subjects(self) -> tuple[str, ...]:
        """Subjects with any poses, in the order of their numbers."""
        return tuple(sorted({subject for subject, _ in self.folders}, key=lambda subject: int(subject[1:])))

    def folder(self, subject: str, kind: PoseKind) -> PoseFolder | None:
        """List the files of one kind and subject; None when there is no such folder."""
        path = self.folders.get((subject, kind))
        return None if path is None else list_folder(path, subject, kind)


def find_tree(root: Path, unpack_into: Path | None) -> PoseTree:
    """Find the pose files below a root.

    Parameters
    ----------
    root : Path
        The release's tree, the flattened tree, or a folder of archives.
    unpack_into : Path or None
        Where to unpack archives; needed when the root holds nothing else.

    Raises
    ------
    RawDataError : no poses below the root, or archives and nowhere to unpack them.
    """
    root = root.absolute()
    metadata = next((root / place for place in _METADATA_PLACES if (root / place).is_file()), None)
    for base in (root, root / "extracted"):
        folders = _folders(base)
        if folders:
            return PoseTree(root, folders, metadata)
    archives = sorted(path for path in files_below(root, ".tgz") if ARCHIVE.fullmatch(path.name))
    if not archives:
        raise RawDataError(
            root,
            found="no folder of poses and no archive of poses",
            expected="S1/MyPoseFeatures/D3_Positions, S1/Poses_D3_Positions or Poses_D3_Positions_S1.tgz",
            remedy="Name the folder into which the archives of Human3.6M were downloaded or unpacked.",
        )
    if unpack_into is None:
        raise NotUnpackedError(
            root,
            found=f"{len(archives)} archives, not unpacked",
            expected="a tree, or a folder to unpack the archives into",
            remedy="Unpack the archives into one folder, or name a folder for the unpacked files.",
        )
    for archive in archives:
        unpack(archive, unpack_into, _MEMBER)
    folders = _folders(unpack_into.absolute())
    if not folders:
        raise RawDataError(
            root,
            found=f"{len(archives)} archives without pose files",
            expected="members such as 'S1/MyPoseFeatures/D3_Positions/Directions 1.cdf'",
            remedy="Download the archives again from the data set's own site.",
        )
    return PoseTree(
        unpack_into.absolute(),
        folders,
        None if metadata is None else _copied(metadata, unpack_into),
        tuple(archives),
    )


def list_folder(path: Path, subject: str, kind: PoseKind) -> PoseFolder:
    """List a folder's pose files by stem and camera, leaving out those of whole sessions."""
    files: dict[str, dict[str | None, Path]] = {}
    problems = []
    for file in sorted(path.iterdir()):
        if is_dropping(file.name):
            continue
        name = parse_stem(file.name)
        if name is None or (name.camera is not None) != is_per_camera(kind):
            problems.append(_unknown_name(file, kind))
        elif name.action != WHOLE_SESSION:
            files.setdefault(name.stem, {})[name.camera] = file
    return PoseFolder(subject, kind, path, files, tuple(problems))


def _folders(base: Path) -> dict[tuple[str, PoseKind], Path]:
    if not base.is_dir():
        return {}
    subjects = [entry.name for entry in base.iterdir() if SUBJECT.fullmatch(entry.name) and entry.is_dir()]
    found: dict[tuple[str, PoseKind], Path] = {}
    for subject in subjects:
        for kind, folder in pose_folders(base, subject):
            found.setdefault((subject, kind), folder)
    return found


def pose_folders(base: Path, subject: str) -> list[tuple[PoseKind, Path]]:
    """List a subject's folders of poses in either layout, with their kinds."""
    return [
        (kind, folder)
        for kind in POSE_KINDS
        for folder in (official_folder(base, subject, kind), base / subject / f"Poses_{kind}")
        if folder.is_dir()
    ]


def _copied(metadata: Path, into: Path) -> Path:
    """Put metadata.xml beside the unpacked files: everything that is read lies below one root."""
    return Path(shutil.copyfile(metadata, into.absolute() / METADATA_FILENAME))


def _unknown_name(file: Path, kind: PoseKind) -> RawDataError:
    example = PoseFileName("Directions 1", "Directions", 1, "54138969" if is_per_camera(kind) else None)
    return RawDataError(
        file,
        found=f"the name {file.name!r}",
        expected=f"a name of {kind} such as {example.filename!r}",
        remedy="Give the file its name in the release, or move it out of the folder.",
    )
