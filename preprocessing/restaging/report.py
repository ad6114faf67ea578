"""What a restaged pair of data sets is made of: the report that lies beside the raw files as RESTAGED.json.

With a clip's turn and shift from this report, the staged world positions can be computed from the motion.
"""

from __future__ import annotations

from pydantic import Field

from poseshift.preprocessing.restaging.casting import Group, Kind
from poseshift.preprocessing.restaging.placement import Placement
from poseshift.storage.model import FrozenModel


class StagedClip(FrozenModel):
    """One clip and where it went."""

    name: str = Field(description="Name of the motion.")
    kind: Kind = Field(description="Kind of action that its description was taken for.")
    group: Group = Field(description="Part of the division.")
    subject: str = Field(description="Subject of the data set that it plays.")
    trial: str = Field(description="Human3.6M stem, 3DHP sequence or test sequence.")
    first_row: int = Field(description="Row of the trial at which the clip begins.")
    rows: int = Field(description="Rows of the trial that it fills.")
    fps: float = Field(description="Rows per second.")
    heading_rad: float = Field(description="Turn about the vertical.")
    shift_m: tuple[float, float, float] = Field(description="Shift after the turn, z up.")

    @property
    def placement(self) -> Placement:
        """The clip's turn and shift."""
        return Placement(self.heading_rad, self.shift_m)


class StagedSubject(FrozenModel):
    """One person of the motion and whom they play."""

    person: str = Field(description="Subject of the motion.")
    group: Group = Field(description="Part of the division.")
    subject: str = Field(description="Subject of the data set.")
    rows: int = Field(description="Rows of all their trials together.")
    universal_scale: float = Field(description="Reference height over the person's height.")


class LeftOut(FrozenModel):
    """A clip that is in neither data set."""

    name: str
    reason: str


class RestageReport(FrozenModel):
    """A restaged pair of data sets."""

    motion: str = Field(description="The motion behind the data, as stores and reports label it.")
    seed: int = Field(description="Seed of all headings and places.")
    subjects: tuple[StagedSubject, ...]
    clips: tuple[StagedClip, ...]
    left_out: tuple[LeftOut, ...]

    def rows(self, group: Group) -> int:
        """Rows of one part of the division."""
        return sum(clip.rows for clip in self.clips if clip.group == group)
