"""The data sets that the project knows, by the name that their stores carry.

A data set with a raw release says how its tree is planned; one without (poses that were augmented or moved)
has a name alone. A user's own data set is one more call of ``DATASETS.add``, in a module of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from poseshift.preprocessing.free_motion import FreeMotionOptions, plan_free_motion
from poseshift.preprocessing.human36m.options import Human36MOptions
from poseshift.preprocessing.human36m.read import plan_human36m
from poseshift.preprocessing.mpi_inf_3dhp.read import MpiInf3dhpOptions, plan_test, plan_train
from poseshift.preprocessing.raw import RawPlan
from poseshift.storage.model import FrozenModel
from poseshift.storage.registry import Registry


class ReaderOptions(FrozenModel):
    """Options of the readers that have any; each data set looks at its own."""

    human36m: Human36MOptions = Field(
        default_factory=Human36MOptions, description="Named corrections for known faults of Human3.6M."
    )
    free_motion: FreeMotionOptions = Field(
        default_factory=FreeMotionOptions, description="How free motion is put before cameras."
    )
    mpi_inf_3dhp: MpiInf3dhpOptions = Field(
        default_factory=MpiInf3dhpOptions, description="Options of the MPI-INF-3DHP readers."
    )


@dataclass(frozen=True)
class RawTree:
    """A raw release on disk.

    Attributes
    ----------
    root : Path
        As downloaded.
    options : ReaderOptions
        Options of the readers.
    unpack_into : Path or None
        Where archives in it may be unpacked.
    """

    root: Path
    options: ReaderOptions
    unpack_into: Path | None


Planner = Callable[[RawTree], RawPlan]
"""Lists what a raw tree offers, without reading frames."""


@dataclass(frozen=True)
class DataSet:
    """One data set.

    Attributes
    ----------
    name : str
        As stores, recipes and protocols call it: small letters, digits and underscores.
    description : str
        One sentence.
    plan : callable or None
        Lists what a raw tree offers, without reading frames; None for sets without a raw release.
    """

    name: str
    description: str
    plan: Planner | None = None

    @property
    def kind(self) -> str:
        """The name as commands spell it, with dashes."""
        return self.name.replace("_", "-")


DATASETS = Registry[DataSet]("data set")
"""Every data set by name."""

for _known in (
    DataSet(
        "human36m",
        "Human3.6M, from its CDF files.",
        lambda tree: plan_human36m(tree.root, tree.options.human36m, tree.unpack_into),
    ),
    DataSet(
        "mpi_inf_3dhp_train",
        "The training part of MPI-INF-3DHP, from annot.mat and camera.calibration.",
        lambda tree: plan_train(tree.root, tree.options.mpi_inf_3dhp),
    ),
    DataSet(
        "mpi_inf_3dhp_test",
        "The test part of MPI-INF-3DHP, from annot_data.mat.",
        lambda tree: plan_test(tree.root, tree.options.mpi_inf_3dhp),
    ),
    DataSet(
        "free_motion",
        "Free motion, from an npz bundle or a folder of ASF and AMC files, before Human3.6M's cameras.",
        lambda tree: plan_free_motion(tree.root, tree.options.free_motion),
    ),
    DataSet("augmented", "Poses of another store that were augmented."),
    DataSet("adapted", "Poses of another store in front of other cameras."),
):
    DATASETS.add(_known.name, _known)


def planners() -> dict[str, Planner]:
    """List what plans the raw release of each data set that has one, by the name that commands use."""
    return {entry.kind: entry.plan for entry in DATASETS.values() if entry.plan is not None}
