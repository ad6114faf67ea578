"""The contract between the two data-set readers and the ingest: a raw tree is a plan of trials.

A reader lists its trials without reading frames; every :class:`PlannedTrial` can then be read on its own, on
any Dask worker.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from poseshift.preprocessing.errors import RawDataError
from poseshift.preprocessing.unread import Unread
from poseshift.storage.schema import Dataset, Trial, TrialKey
from poseshift.storage.text import read_text

RESTAGED_MARKER = "RESTAGED.json"
"""A file at the root of a raw tree of :mod:`poseshift.preprocessing.restaging`: it names the motion."""


def restaged_motion(root: Path) -> str | None:
    """Read which motion a raw tree was restaged from; None for an original.

    Parameters
    ----------
    root : Path
        The folder that holds the marker of a restaged tree.

    Raises
    ------
    RawDataError
        There is a marker and it does not name the motion.
    """
    marker = root / RESTAGED_MARKER
    try:
        return str(json.loads(read_text(marker))["motion"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RawDataError(
            marker,
            found=f"no readable marker ({error!r})",
            expected='JSON with the entry "motion"',
            remedy="Restage the tree again; without the marker it would pass for the release.",
        ) from error


@dataclass(frozen=True)
class PlannedTrial:
    """A trial that the raw tree offers.

    Attributes
    ----------
    key : TrialKey
        Where it will lie in the store.
    sources : tuple[Path, ...]
        Its raw files, absolute; the ingest digests them to know whether anything changed.
    read : callable
        Reads the files into a Trial; picklable; raises RawDataError.
    """

    key: TrialKey
    sources: tuple[Path, ...]
    read: Callable[[], Trial]


@dataclass(frozen=True)
class RawPlan:
    """Everything that a raw tree offers, and what is wrong with it already by name and place.

    Attributes
    ----------
    dataset : Dataset
        Which data set.
    root : Path
        The raw tree's root; source paths are stored relative to it.
    trials : tuple[PlannedTrial, ...]
        What can be read.
    problems : tuple[RawDataError, ...]
        Unknown names, missing cameras: found without opening the frames.
    options : dict[str, str]
        Reader options that change what is written, recorded in the store and part of the change digest.
    restaged_from : str or None
        Description of the motion when the tree was restaged, else None.
    unread : tuple[Unread, ...]
        What lies in the folder, looks like a part of the release and is in no trial.
    missing : tuple[str, ...]
        Parts of the release that the folder lacks, in words; of restaged trees nothing is expected.
    """

    dataset: Dataset
    root: Path
    trials: tuple[PlannedTrial, ...]
    problems: tuple[RawDataError, ...]
    options: dict[str, str]
    restaged_from: str | None = None
    unread: tuple[Unread, ...] = ()
    missing: tuple[str, ...] = ()
