"""Exchange formats by name: how a file of another program becomes trials, and how a store becomes one.

A format that needs more than a path (cameras of a release, which of two kinds of 3D) has a command of its own
as well; here it is written with its defaults. A user's own format is one more call of ``FORMATS.add``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from poseshift.storage.exchange import mmpose, poseaug, pstmo, videopose3d
from poseshift.storage.reading import Selection, read_camera_poses
from poseshift.storage.registry import Registry
from poseshift.storage.schema import Trial
from poseshift.storage.store import PoseStore


@dataclass(frozen=True)
class Imported:
    """What a file holds.

    Attributes
    ----------
    dataset : str
        Name of the data set that the new store holds.
    trials : iterable of Trial
        Its trials.
    skeleton : str
        Joint set of the trials.
    """

    dataset: str
    trials: Iterable[Trial]
    skeleton: str = "human36m_17"


@dataclass(frozen=True)
class Format:
    """One layout of files.

    Attributes
    ----------
    name : str
        As commands call it.
    description : str
        One sentence.
    read : callable or None
        From a path to what lies there; None for layouts that are only written, or read by their own command.
    write : callable or None
        Writes a store to a path, and returns the files; None for layouts that are only read.
    """

    name: str
    description: str
    read: Callable[[Path], Imported] | None = None
    write: Callable[[PoseStore, Path], tuple[Path, ...]] | None = None


FORMATS = Registry[Format]("exchange format")
"""Every exchange format by name."""


def _videopose3d(store: PoseStore, folder: Path) -> tuple[Path, ...]:
    return videopose3d.export_pair(store, folder)


def _pstmo_train(store: PoseStore, file: Path) -> tuple[Path, ...]:
    pstmo.export_train(store, file, positions="universal")
    return (file,)


def _pstmo_test(store: PoseStore, file: Path) -> tuple[Path, ...]:
    pstmo.export_test(store, file, "universal")
    return (file,)


def _poseaug(store: PoseStore, file: Path) -> tuple[Path, ...]:
    poseaug.export_test(read_camera_poses(store, Selection(positions="universal")), file)
    return (file,)


def _mmpose(store: PoseStore, file: Path) -> tuple[Path, ...]:
    mmpose.export_annotations(read_camera_poses(store, Selection(positions="annotated")), file, "human36m")
    return (file,)


for _format in (
    Format("videopose3d", "VideoPose3D's pair of files, in a folder.", write=_videopose3d),
    Format("pstmo-train", "P-STMO's data_train_3dhp.npz, universal 3D.", write=_pstmo_train),
    Format("pstmo-test", "P-STMO's data_test_3dhp.npz, universal 3D.", write=_pstmo_test),
    Format("poseaug", "PoseAug's test_3dhp.npz.", write=_poseaug),
    Format("mmpose", "An annotation file of mmpose, with Human3.6M's image names.", write=_mmpose),
):
    FORMATS.add(_format.name, _format)
