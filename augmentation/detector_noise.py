"""A detector's errors on the keypoints of labelled poses, so that a lifter learns from what it will be shown.

Poses that are projected have exact keypoints at markers; detections have not. What a detector does wrong is
a model of plain numbers: the spread of every joint, joints that are anywhere, sides that are exchanged,
joints that are not seen, joints that are computed from others. The numbers are stated, or fitted to a
target's keypoints without labels (:mod:`poseshift.adaptation.detector_fit`). Lengths are shares of the
person's size, the larger side of the box around the keypoints of a frame.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import torch
from pydantic import BeforeValidator, Field
from torch import Tensor

from poseshift.augmentation.draws import draw_normal, draw_uniform
from poseshift.geometry.constants import constant, indices
from poseshift.geometry.skeleton import Skeleton
from poseshift.preprocessing.domain.swaps import LIMBS
from poseshift.storage.model import FrozenModel, is_still
from poseshift.training.batches import Batch

LIMB_JOINTS = tuple(
    f"{side}_{joint}" for joints in LIMBS.values() for joint in joints for side in ("left", "right")
)
"""What every detector places itself."""


class JointErrors(FrozenModel):
    """Errors of one joint."""

    spread: float = Field(default=0.0, ge=0)
    """Standard deviation on each axis, over the person's size."""
    outliers: float = Field(default=0.0, ge=0, le=1)
    """Share of the frames in which the joint is anywhere in the person's box."""
    dropped: float = Field(default=0.0, ge=0, lt=1)
    """Share of the frames in which the joint is not seen."""
    filled_spread: float = Field(default=0.0, ge=0)
    """Standard deviation, on each axis, of what is filled in over time for a joint that is not seen."""
    level_shares: tuple[float, ...] = Field(default=(), exclude_if=is_still(()))
    """Shares of the frames in which the detector is as sure of the joint as each of its levels says."""


class ConfidenceLevel(FrozenModel):
    """How well a detector places joints that it is about equally sure of."""

    up_to: float = Field(ge=0, le=1)
    """Largest confidence of the level; the least is the one above the level before."""
    factor: float = Field(ge=0)
    """Spread over that of the joint."""


class Swaps(FrozenModel):
    """Shares of the frames in which left and right are exchanged."""

    body: float = Field(default=0.0, ge=0, lt=1)
    """Of legs and arms together."""
    legs: float = Field(default=0.0, ge=0, lt=1)
    """Of the legs alone."""
    arms: float = Field(default=0.0, ge=0, lt=1)
    """Of the arms alone."""
    frames: float = Field(default=1.0, ge=1)
    """Mean number of successive frames."""


class DetectorErrors(FrozenModel):
    """What a detector does wrong."""

    joints: dict[str, JointErrors] = Field(default_factory=dict)
    """By name of the joint; joints of a skeleton that are not named are exact."""
    swaps: Swaps = Swaps()
    """Exchanged sides."""
    dropped_frames: float = Field(default=1.0, ge=1)
    """Mean number of successive frames in which a joint is not seen."""
    truncated: bool = False
    """Whether joints outside the image are not seen."""
    assembled: dict[str, dict[str, float]] = Field(default_factory=dict)
    """Joints that are weighted sums of others, after all errors: name to names and weights."""
    levels: tuple[ConfidenceLevel, ...] = Field(default=(), exclude_if=is_still(()))
    """How the spread depends on the detector's confidence, the least sure level first; empty: not at all."""

    def with_gaps(self, skeleton: Skeleton, least: float) -> DetectorErrors:
        """Have every joint of a skeleton missing in this share of the frames at least."""
        known = {name: self.joints.get(name, JointErrors()) for name in skeleton.joint_names}
        more = {
            name: one.model_copy(update={"dropped": max(one.dropped, least)}) for name, one in known.items()
        }
        return self.model_copy(update={"joints": {**self.joints, **more}})

    def at_least(self, spread: float) -> DetectorErrors:
        """Give every joint this spread at least."""
        wider = {
            name: one.model_copy(update={"spread": max(one.spread, spread)})
            for name, one in self.joints.items()
        }
        return self.model_copy(update={"joints": wider})

    @property
    def words(self) -> str:
        """The errors in a line, for logs and reports."""
        placed = [one for name, one in self.joints.items() if name not in self.assembled]
        spread, outliers, dropped = (
            sum(values) / max(1, len(placed))
            for values in (
                [one.spread for one in placed],
                [one.outliers for one in placed],
                [one.dropped for one in placed],
            )
        )
        swapped = self.swaps.body + self.swaps.legs + self.swaps.arms
        computed = f"; computed: {', '.join(self.assembled)}" if self.assembled else ""
        if self.levels:
            told = ", ".join(f"{one.factor:.2f} up to {one.up_to:.2f}" for one in self.levels)
            computed += f"; by confidence, times {told}"
        return (
            f"spread {100 * spread:.2f} % of the person's size, outliers {100 * outliers:.2f} %, not seen "
            f"{100 * dropped:.2f} %, sides exchanged {100 * swapped:.2f} %{computed}"
        )


TRUNK_OF_LIMBS: Mapping[str, Mapping[str, float]] = {
    "pelvis": {"left_hip": 0.5, "right_hip": 0.5},
    "spine": {"left_hip": 0.25, "right_hip": 0.25, "left_shoulder": 0.25, "right_shoulder": 0.25},
    "thorax": {"left_shoulder": 0.5, "right_shoulder": 0.5},
}
"""What a trunk is made of where a detector has no joints of it (:mod:`poseshift.geometry.detectors`)."""


class NoiseOff(FrozenModel):
    """Keypoints of labelled poses as they are."""

    kind: Literal["off"] = "off"


class NoiseFitted(FrozenModel):
    """Errors as the target's own keypoints show them, without labels."""

    kind: Literal["fitted"] = "fitted"
    least_spread: float = Field(
        default=0.0,
        ge=0,
        exclude_if=is_still(0.0),
        description=(
            "Least standard deviation of every joint, over the person's size: errors that last longer than a "
            "few frames do not show in a track, least of all in one that its detector has smoothed."
        ),
    )
    confidence_levels: int = Field(
        default=1,
        ge=1,
        exclude_if=is_still(1),
        description=(
            "In how many levels of the detector's confidence, of equally many joints each, the spread is "
            "told; 1 takes all joints that were seen as equally well placed."
        ),
    )


class NoiseFixed(FrozenModel):
    """Stated errors, the same for every joint."""

    kind: Literal["fixed"] = "fixed"
    spread: float = Field(
        default=0.01, ge=0, description="Standard deviation on each axis, over the person's size."
    )
    outliers: float = Field(default=0.01, ge=0, le=1, description="Share of the joints that are anywhere.")
    swapped: float = Field(
        default=0.01, ge=0, lt=1, description="Share of the frames in which left and right are exchanged."
    )
    dropped: float = Field(default=0.0, ge=0, lt=1, description="Share of the joints that are not seen.")
    dropped_frames: float = Field(
        default=5.0, ge=1, description="Mean number of successive frames in which a joint is not seen."
    )
    filled_spread: float = Field(
        default=0.02, ge=0, description="Deviation of what is filled in for a joint that is not seen."
    )
    trunk: Literal["own", "assembled"] = Field(
        default="assembled",
        description="Whether pelvis, spine and thorax are the detector's own or made of hips and shoulders.",
    )

    @property
    def errors(self) -> DetectorErrors:
        """The model that the numbers stand for."""
        one = JointErrors(
            spread=self.spread,
            outliers=self.outliers,
            dropped=self.dropped,
            filled_spread=self.filled_spread,
        )
        return DetectorErrors(
            joints=dict.fromkeys((*LIMB_JOINTS, "pelvis", "spine", "thorax", "nose", "head"), one),
            swaps=Swaps(body=self.swapped),
            dropped_frames=self.dropped_frames,
            truncated=True,
            assembled={name: dict(of) for name, of in TRUNK_OF_LIMBS.items()}
            if self.trunk == "assembled"
            else {},
        )


def _named(value: object) -> object:
    return {"kind": value} if isinstance(value, str) else value


DetectorNoise = Annotated[
    NoiseOff | NoiseFitted | NoiseFixed, Field(discriminator="kind"), BeforeValidator(_named)
]
"""What a method or a recipe may say: off, fitted or fixed, or the last with its numbers."""

NO_NOISE = NoiseOff()
is_quiet = is_still(NO_NOISE)
"""Whether a method says nothing of noise: then it is not written, and digests are what they were."""


class DetectedKeypoints:
    """Give the keypoints of every clip a detector's errors: a ``BatchTransform``.

    Parameters
    ----------
    errors : DetectorErrors
        What goes wrong.
    skeleton : Skeleton
        Joint set of the clips.
    missing : {"filled", "nan"}
        What a joint that is not seen is shown as: where it would be filled in over time, or NaN for an
        encoding that tells a lifter of it.
    """

    def __init__(self, errors: DetectorErrors, skeleton: Skeleton, missing: Literal["filled", "nan"]) -> None:
        self.errors = errors
        self._missing = missing
        own = [errors.joints.get(name, JointErrors()) for name in skeleton.joint_names]
        self._spread = tuple(one.spread for one in own)
        self._outliers = tuple(one.outliers for one in own)
        self._dropped = tuple(one.dropped for one in own)
        self._filled = tuple(one.filled_spread for one in own)
        self._factors = tuple(one.factor for one in errors.levels)
        alike = (1.0, *[0.0] * (len(self._factors) - 1))
        shares = [one.level_shares or alike for one in own]
        self._reached = tuple(float(sum(of[: n + 1])) for of in shares for n in range(len(of) - 1))
        index = {name: number for number, name in enumerate(skeleton.joint_names)}
        self._mirrored = skeleton.mirrored
        self._limbs = {
            limb: [index[f"{side}_{joint}"] for joint in joints for side in ("left", "right")]
            for limb, joints in LIMBS.items()
        }
        self._assembled = [
            (index[name], [index[part] for part in of], list(of.values()))
            for name, of in errors.assembled.items()
            if name in index and all(part in index for part in of)
        ]

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Draw the errors of every frame; 3D and cameras stay as they are."""
        exact = batch.keypoints_px
        low, high = exact.amin(dim=-2, keepdim=True), exact.amax(dim=-2, keepdim=True)
        size = (high - low).amax(dim=-1, keepdim=True)
        seen = self._swapped(exact, generator)
        spread = self._drawn_spread(exact, generator)
        seen = seen + spread * size * draw_normal(exact.shape, exact, generator)
        lost = draw_uniform(exact.shape[:-1], 0.0, 1.0, exact, generator) < constant(self._outliers, exact)
        seen = torch.where(lost[..., None], low + (high - low) * _uniform(exact, generator), seen)
        seen = self._with_gaps(seen, size, batch, generator)
        return Batch(batch.positions_camera, self._put_together(seen), batch.intrinsics, batch.up_camera)

    def _drawn_spread(self, exact: Tensor, generator: torch.Generator) -> Tensor:
        """Spread of every joint, (joints, 1), or drawn by its confidence in a clip, (batch, 1, joints, 1)."""
        spread: Tensor = constant(self._spread, exact)[:, None]
        if not self._factors:
            return spread
        draw = draw_uniform((exact.shape[0], 1, exact.shape[2]), 0.0, 1.0, exact, generator)
        reached = constant(self._reached, exact).view(exact.shape[2], -1)
        level = (draw[..., None] >= reached).sum(dim=-1)
        factors: Tensor = constant(self._factors, exact)[level]
        return spread * factors[..., None]

    def _swapped(self, exact: Tensor, generator: torch.Generator) -> Tensor:
        """Exchange left and right, (batch, frames, joints, 2)."""
        swaps = self.errors.swaps
        shape = exact.shape[:2]
        other = exact[..., indices(self._mirrored, exact), :]
        whole = runs_of(constant((swaps.body,), exact), swaps.frames, shape, exact, generator)
        turned = whole[..., None].expand(exact.shape[:-1]).clone()
        for limb, rate in (("legs", swaps.legs), ("arms", swaps.arms)):
            alone = runs_of(constant((rate,), exact), swaps.frames, shape, exact, generator)
            for joint in self._limbs[limb]:
                turned[..., joint] |= alone
        return torch.where(turned[..., None], other, exact)

    def _with_gaps(self, seen: Tensor, size: Tensor, batch: Batch, generator: torch.Generator) -> Tensor:
        rate = constant(self._dropped, seen)
        gaps = runs_of(rate, self.errors.dropped_frames, seen.shape[:-1], seen, generator)
        inside = seen
        if self.errors.truncated:
            border = batch.intrinsics.size_px[:, None, None, :].to(seen.dtype)
            inside = torch.minimum(seen.clamp(min=0), border)
            outside = (inside != seen).any(dim=-1)
        else:
            outside = torch.zeros_like(gaps)
        if self._missing == "nan":
            return torch.where((gaps | outside)[..., None], torch.full_like(seen, torch.nan), seen)
        filled = constant(self._filled, seen)[:, None]
        moved = inside + filled * size * draw_normal(seen.shape, seen, generator)
        return torch.where(gaps[..., None], moved, inside)

    def _put_together(self, seen: Tensor) -> Tensor:
        if not self._assembled:
            return seen
        whole = seen.clone()
        for joint, parts, weights in self._assembled:
            whole[..., joint, :] = sum(
                weight * seen[..., part, :] for part, weight in zip(parts, weights, strict=True)
            )
        return whole


def _uniform(like: Tensor, generator: torch.Generator) -> Tensor:
    return draw_uniform(like.shape, 0.0, 1.0, like, generator)


def runs_of(
    rate: Tensor, mean_frames: float, shape: torch.Size, like: Tensor, generator: torch.Generator
) -> Tensor:
    """Draw runs of successive frames: a chain of two states that starts in balance.

    Parameters
    ----------
    rate : Tensor
        (joints,), or (1,) for all alike: share of the frames that are in a run.
    mean_frames : float
        Mean length of a run.
    shape : torch.Size
        (batch, frames) or (batch, frames, joints).
    like : Tensor
        Of the dtype and device.
    generator : torch.Generator
        Of the draws.

    Returns
    -------
    Tensor of bool of that shape.
    """
    draws = draw_uniform(shape, 0.0, 1.0, like, generator)
    ends = 1 / mean_frames
    begins = (rate * ends / (1 - rate)).clamp(max=1.0)
    state = draws[:, 0] < rate
    states = [state]
    for frame in range(1, shape[1]):
        draw = draws[:, frame]
        state = torch.where(state, draw >= ends, draw < begins)
        states.append(state)
    return torch.stack(states, dim=1)
