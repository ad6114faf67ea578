"""Settings of fine-tuning on target keypoints, and the record of what it did to the answers."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from poseshift.storage.model import FrozenModel


class TargetTuning(FrozenModel):
    """Losses on target keypoints in the last part of a training; a weight of zero leaves a term out."""

    first: float = Field(
        default=0.5, ge=0, lt=1, description="Share of the run's steps before the target's terms begin."
    )
    labelled: float = Field(
        default=1.0,
        ge=0,
        description="Weight of the labelled loss in the steps that have the target's terms; 0 is a control.",
    )
    reprojection: float = Field(
        default=0.3,
        ge=0,
        description="Weight of re-projected against given keypoints, over their extent.",
    )
    bones: float = Field(
        default=0.1, ge=0, description="Weight of the change of bone lengths over a track's frames."
    )
    symmetry: float = Field(default=0.1, ge=0, description="Weight of left against right bone lengths.")
    multi_view: float = Field(
        default=0.0,
        ge=0,
        description="Weight of the agreement of two cameras' answers for one frame. Uses the extrinsics of "
        "the target's cameras, which is another protocol than adapting to keypoints and intrinsics.",
    )
    smoothness: float = Field(
        default=0.0,
        ge=0,
        description="Weight of second differences of the answers to three successive frames, drawn by "
        "themselves. Nothing but a preference: motion is not smooth at every frame rate.",
    )
    measured: Literal["output", "rays"] = Field(
        default="output",
        description="Whether bones, views and smoothness are measured on the network's output or on the pose "
        "on its rays; re-projection is the output's.",
    )
    threshold: float = Field(
        default=0.05, gt=0, description="Ratio beyond which an error counts linearly (Huber)."
    )
    tracks: int = Field(default=64, ge=1, description="Tracks in a step: frames of one trial and camera.")
    frames: int = Field(default=4, ge=2, description="Frames of a track.")
    span_s: float = Field(default=10.0, gt=0, description="Seconds that a track's frames are spread over.")
    pairs: int = Field(default=64, ge=1, description="Pairs of views in a step, where views shall agree.")
    check_every: int = Field(default=100, ge=1, description="Steps between two records of what answers are.")

    @model_validator(mode="after")
    def _does_something(self) -> TargetTuning:
        if not any((self.reprojection, self.bones, self.symmetry, self.multi_view, self.smoothness)):
            raise ValueError("every weight of the target's terms is zero; leave `tuning` out instead")
        return self

    @property
    def words(self) -> str:
        """Weights of the terms, and what of the target they use."""
        weights = {
            "re-projection": self.reprojection,
            "constant bones": self.bones,
            "symmetric bones": self.symmetry,
            "views agree": self.multi_view,
            "smoothness": self.smoothness,
        }
        terms = ", ".join(f"{name} {weight:g}" for name, weight in weights.items() if weight)
        measured = " on rays" if self.measured == "rays" else ""
        labelled = "" if self.labelled == 1 else f", labelled loss {self.labelled:g}"
        used = "; uses the target cameras' extrinsics" if self.multi_view else ""
        return f"last {100 * (1 - self.first):g} % of the steps: {terms}{measured}{labelled}{used}"


class TuningCheck(FrozenModel):
    """What answers to target keypoints were like, mean over the steps since the check before."""

    step: int
    """Steps of the run so far; the first check is of the first step with terms: the lifter before tuning."""
    reprojection: float
    """Huber's function of the distance over the person's size in the image."""
    bones: float
    """Of the change of bone lengths over the mean bone length."""
    symmetry: float
    """Of left against right."""
    multi_view: float | None
    """Of the distance of two cameras' answers over the mean bone length; None where none are compared."""
    smoothness: float | None
    """Of second differences; None where they are not measured."""
    depth_spread: float
    """Deviation of the joints' depths over the mean bone length, over that of the labelled source: towards 0
    for flat answers. Other viewpoints have other depths; what tells is the change from the first check."""
    size: float
    """Mean bone length of the answers over that of the labelled source."""
