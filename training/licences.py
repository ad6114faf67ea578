"""What a trained lifter has learned from, and the terms of that as far as the project knows them.

A lifter's file names its sources with the motion behind them, those of the lifter it started from included.
From these follow the terms of the data. What they mean for weights is for the user to judge: nothing here is
legal advice, and what is not recorded is called unknown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Literal

from pydantic import Field, JsonValue, TypeAdapter

from poseshift.storage.model import FrozenModel

RECORDED_AS = "learned_from"
"""Key of a lifter's provenance that holds a list of :class:`LearnedFrom`."""

UNRECORDED = "unknown"
"""Data set or motion of a lifter that does not say."""

Role = Literal["labelled", "target", "watched", "initial"]
"""3D learned; 2D adapted to; 2D that criteria looked at; anything that the lifter it started from learned."""

ROLES: Mapping[Role, str] = MappingProxyType(
    {
        "labelled": "3D learned",
        "target": "2D adapted to",
        "watched": "2D looked at to judge it",
        "initial": "learned by the lifter that it started from",
    }
)
"""What each role is called."""

NO_ADVICE = (
    "These are the terms of the data as far as PoseShift knows them. What they mean for weights that were "
    "trained on the data is not for a program to say."
)
"""What stands below every list of terms."""

Use = Literal["free", "research only", "unknown"]
"""What data may be used for, in short."""


class LearnedFrom(FrozenModel):
    """One store that a lifter depends on."""

    role: Role
    """What it was to the training."""
    dataset: str
    """Which data set; `unknown` where it is not recorded."""
    snapshot: str | None = None
    """Snapshot of the store."""
    motion: str | None = None
    """Title of the motion behind restaged data; null for recordings, `unknown` where it is not recorded."""

    @property
    def told(self) -> str:
        """In words."""
        snapshot = "" if self.snapshot is None else f", snapshot {self.snapshot}"
        if self.motion is None:
            motion = "" if self.dataset == UNRECORDED else ", recordings"
        else:
            motion = f", motion: {self.motion}"
        return f"{self.dataset}{snapshot}{motion}"


class Terms(FrozenModel):
    """Terms of data."""

    use: Use
    """In short."""
    text: str
    """In a sentence or two."""
    source: str | None = None
    """Where the owners say so."""


class LicensedPart(FrozenModel):
    """One store that a lifter depends on, with its terms."""

    data: LearnedFrom
    """The store."""
    terms: Terms
    """Its terms."""


class Licence(FrozenModel):
    """Everything that a lifter depends on."""

    lifter: str
    """The lifter, as it was named."""
    use: Use
    """The narrowest of its parts: research only before unknown before free."""
    parts: tuple[LicensedPart, ...] = Field(min_length=1)
    """Its parts."""


CMU = Terms(
    use="free",
    text=(
        "Free for all uses; may be included in products that are sold, but the data may not be resold "
        "directly, even in converted form. The data used in this project was obtained from mocap.cs.cmu.edu. "
        "The database was created with funding from NSF EIA-0196217."
    ),
    source="http://mocap.cs.cmu.edu",
)
PROCEDURAL = Terms(use="free", text="Made by PoseShift's own code (Apache-2.0).")
HUMAN36M = Terms(
    use="research only",
    text="Human3.6M: for research only, after registration with its owners, whose licence agreement governs.",
    source="http://vision.imar.ro/human3.6m",
)
MPI_INF_3DHP = Terms(
    use="research only",
    text="MPI-INF-3DHP: for research only, by the terms of its owners that come with the download.",
    source="https://vcai.mpi-inf.mpg.de/3dhp-dataset",
)
UNKNOWN = Terms(use="unknown", text="Terms unknown to PoseShift; ask whom the data are from.")

_RECORDINGS: Mapping[str, Terms] = {
    "human36m": HUMAN36M,
    "mpi_inf_3dhp_train": MPI_INF_3DHP,
    "mpi_inf_3dhp_test": MPI_INF_3DHP,
}
_TITLES: Mapping[str, Terms] = {
    "CMU Graphics Lab Motion Capture Database": CMU,
    "procedural motion": PROCEDURAL,
}
"""How titles of motion begin. A folder of ASF and AMC files may be anybody's, so it is not among them."""

_NARROWEST: Sequence[Use] = ("research only", "unknown", "free")
_PARTS = TypeAdapter(tuple[LearnedFrom, ...])


def terms_of(data: LearnedFrom) -> Terms:
    """Look up the terms of a store's data: of the motion where it is restaged, else of the recordings."""
    if data.motion is None:
        return _RECORDINGS.get(data.dataset, UNKNOWN)
    return next((terms for title, terms in _TITLES.items() if data.motion.startswith(title)), UNKNOWN)


def learned_from(provenance: Mapping[str, JsonValue]) -> tuple[LearnedFrom, ...]:
    """Read what a lifter has learned from; at least one entry, `unknown` where nothing is recorded.

    Parameters
    ----------
    provenance : mapping
        Of :class:`poseshift.training.checkpoint.LifterFile`. Earlier versions recorded the data sets without
        the motion behind them.

    Raises
    ------
    ValueError
        The record is not one of this version.
    """
    recorded = provenance.get(RECORDED_AS)
    if recorded is not None:
        return _PARTS.validate_python(recorded) or (LearnedFrom(role="labelled", dataset=UNRECORDED),)
    inputs = provenance.get("inputs")
    labelled = inputs.get("labelled") if isinstance(inputs, Mapping) else None
    dataset = labelled.get("dataset") if isinstance(labelled, Mapping) else None
    named = dataset if isinstance(dataset, str) else UNRECORDED
    return (LearnedFrom(role="labelled", dataset=named, motion=UNRECORDED),)


def inherited(provenance: Mapping[str, JsonValue]) -> tuple[LearnedFrom, ...]:
    """List what a lifter passes on to one that starts from its weights."""
    return tuple(one.model_copy(update={"role": "initial"}) for one in learned_from(provenance))


def licence_of(lifter: str, provenance: Mapping[str, JsonValue]) -> Licence:
    """Find the terms of everything that a lifter has learned from.

    Parameters
    ----------
    lifter : str
        Its name or folder, for the reader.
    provenance : mapping
        As for :func:`learned_from`, whose errors it raises.
    """
    parts = tuple(LicensedPart(data=one, terms=terms_of(one)) for one in learned_from(provenance))
    uses = {part.terms.use for part in parts}
    return Licence(lifter=lifter, use=next(use for use in _NARROWEST if use in uses), parts=parts)
