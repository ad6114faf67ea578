"""Choices that a reader of Human3.6M has to make, each named and recorded in the store.

The known faults of the release are kept by default: whether and how to mend them is a decision of the
experiment, and published results differ in it.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from poseshift.storage.model import FrozenModel


class Human36MOptions(FrozenModel):
    """Options of :func:`poseshift.preprocessing.human36m.read.plan_human36m`."""

    s11_directions: Literal["keep", "drop_camera_54138969", "drop"] = Field(
        default="keep",
        description="S11 `Directions`: one camera's video was corrupt in the first release, the poses are "
        "sound. VideoPose3D drops the trial, others drop the view.",
    )
    s9_drift: Literal["keep", "shift_200mm", "drop"] = Field(
        default="keep",
        description="S9 `Greeting`, `SittingDown 1` and `Waiting 1`, whose poses lie beside the person: keep "
        "them, move them by -200 mm along world x (and project the 2D anew), or leave them out.",
    )
    skeleton_scale: Literal["own", "universal"] = Field(
        default="own",
        description="Positions on each subject's own skeleton, or those of D3_Positions_mono_universal: the "
        "same angles on the skeleton of subject 1. The 2D stays that of the person.",
    )
