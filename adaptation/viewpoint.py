"""Source poses seen from where the target's cameras look: alignment of orientation, and its control.

Global position alignment (PoseDA, ICCV 2023) moves poses and never turns them, so a source filmed at chest
height stays filmed at chest height. Here poses are first turned about their root: so that up lies where it
lies in front of the target's cameras, or, as a control, to a random pitch and roll. Where up lies there is
found from keypoints alone (:mod:`poseshift.adaptation.gravity`), or by the lifter's own answers
(:mod:`poseshift.adaptation.pseudo_labels`).
"""

from __future__ import annotations

import math
from functools import partial
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import BeforeValidator, Field
from torch import Tensor

from poseshift.adaptation.found_viewpoint import FoundAlignment, GivenOrLearned, possible_directions
from poseshift.adaptation.global_position import GlobalPositionAlignment
from poseshift.adaptation.gravity import CameraGravity, GravityConfig
from poseshift.adaptation.orientation import jitter_directions, turn, turn_upright, up_from_angles
from poseshift.adaptation.pseudo_labels import PseudoLabelAlignment, PseudoLabelConfig
from poseshift.augmentation.draws import draw_normal, draw_uniform
from poseshift.augmentation.transforms import turn_up
from poseshift.geometry.rotation import axis_angle_to_matrix
from poseshift.storage.model import FrozenModel, is_still
from poseshift.training.batches import Batch, BatchTransform


class NoViewpoint(FrozenModel):
    """Poses keep the orientation that they have in front of the source's cameras."""

    kind: Literal["none"] = "none"


class RandomViewpoint(FrozenModel):
    """Poses are turned to a random pitch and roll, whatever the target: the control of the alignment."""

    kind: Literal["random"] = "random"
    pitch_degrees: tuple[float, float] = Field(
        default=(-20.0, 80.0), description="Range of the camera's look downwards; 90 is straight from above."
    )
    roll_degrees: tuple[float, float] = Field(
        default=(-20.0, 20.0), description="Range of the lean of up in the image; 180 is upside down."
    )


class JitteredViewpoint(FrozenModel):
    """Poses keep their orientation but for a random tilt, as if the camera had been held otherwise."""

    kind: Literal["jittered"] = "jittered"
    deviation_degrees: float = Field(
        default=10.0, ge=0, description="Standard deviation of the turn about each of the camera's axes."
    )


class AlignedViewpoint(FrozenModel):
    """Poses are turned until up lies where it was found in front of the target's cameras."""

    kind: Literal["aligned"] = "aligned"
    gravity: GravityConfig = Field(
        default=GravityConfig(), description="How the target cameras' gravity is learned."
    )
    jitter_degrees: float = Field(
        default=10.0,
        ge=0,
        description="Deviation, on each of two axes, of a random tilt that covers the error of the estimate.",
    )


class KnownViewpoint(FrozenModel):
    """Poses are turned until up lies where the target cameras' calibration says that it is."""

    kind: Literal["known"] = "known"
    jitter_degrees: float = Field(default=10.0, ge=0, description="As for aligned viewpoints.")


class PseudoLabelledViewpoint(FrozenModel):
    """Poses are turned until up lies where the lifter's own answers to target keypoints show it."""

    kind: Literal["pseudo-labels"] = "pseudo-labels"
    labels: PseudoLabelConfig = Field(
        default=PseudoLabelConfig(), description="When the lifter answers for target keypoints."
    )
    before: RandomViewpoint = Field(
        default=RandomViewpoint(), description="Viewpoints that are taught before there are answers."
    )
    jitter_degrees: float = Field(default=10.0, ge=0, description="As for aligned viewpoints.")


class FoundViewpoint(FrozenModel):
    """Poses are turned to where up is given or found, within its interval; at random where nothing tells."""

    kind: Literal["found"] = "found"
    gravity: tuple[GivenOrLearned, ...] = Field(
        default=("given", "learned"),
        min_length=1,
        description="What says where up is, the preferred one first: `given` by calibration or statement, "
        "`learned` from the keypoints of people.",
    )
    rig: bool = Field(
        default=True, description="Whether cameras of one calibrated rig are answered for together."
    )
    widest_degrees: float = Field(
        default=25.0, gt=0, le=180, description="Wider intervals say that the content cannot tell."
    )
    jitter_degrees: float = Field(
        default=0.0,
        ge=0,
        exclude_if=is_still(0.0),
        description="Deviation, on each of two axes, of a random tilt beside that of the interval: however "
        "well up is known, people may lean otherwise than those who are learned from.",
    )
    otherwise: RandomViewpoint = Field(
        default=RandomViewpoint(),
        description="Viewpoints of a camera whose content cannot tell, but for those that it rules out.",
    )


def _named(value: object) -> object:
    return {"kind": value} if isinstance(value, str) else value


Viewpoint = Annotated[
    NoViewpoint
    | RandomViewpoint
    | JitteredViewpoint
    | KnownViewpoint
    | AlignedViewpoint
    | PseudoLabelledViewpoint
    | FoundViewpoint,
    Field(discriminator="kind"),
    BeforeValidator(_named),
]
"""What a recipe may name as viewpoints: a kind by name, or a kind with its options."""


class RandomTurn:
    """Turn every clip to a pitch and roll drawn uniformly from ranges: a ``BatchTransform``.

    Parameters
    ----------
    config : RandomViewpoint
        The ranges.
    root : int
        Index of the root joint.
    """

    places_anew: ClassVar[Literal[True]] = True

    def __init__(self, config: RandomViewpoint, root: int) -> None:
        self.config = config
        self._root = root

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Draw one attitude and one heading per clip; positions of roots stay."""
        pitch, roll = (
            draw_uniform(
                (len(batch),), math.radians(low), math.radians(high), batch.positions_camera, generator
            )
            for low, high in (self.config.pitch_degrees, self.config.roll_degrees)
        )
        return turn_upright(batch, up_from_angles(pitch, roll), self._root, generator)


class RandomTilt:
    """Turn every clip about its root by a small random rotation: a ``BatchTransform``.

    Parameters
    ----------
    config : JitteredViewpoint
        How far.
    root : int
        Index of the root joint.
    """

    places_anew: ClassVar[Literal[True]] = True

    def __init__(self, config: JitteredViewpoint, root: int) -> None:
        self.config = config
        self._root = root

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Draw one rotation per clip; positions of roots stay."""
        deviation = math.radians(self.config.deviation_degrees)
        turns = deviation * draw_normal((len(batch), 3), batch.positions_camera, generator)
        rotation = axis_angle_to_matrix(turns)
        return turn(batch, rotation, self._root, turn_up(batch.up_camera, rotation))


class ViewpointAlignment:
    """Give every clip a random target pose's position and its camera's gravity: a ``BatchTransform``.

    Position and orientation come from the same target pose, so poses that are seen low in a high camera are
    seen as steeply as people there are.

    Parameters
    ----------
    jitter_degrees : float
        Deviation of gravity, see :class:`AlignedViewpoint`.
    position : GlobalPositionAlignment
        Places clips; its target poses are drawn.
    camera_up : Tensor
        (cameras, 3), unit vectors against gravity, by row of the target's camera table; of cameras that move
        in the axes of their world.
    """

    places_anew: ClassVar[Literal[True]] = True

    def __init__(self, jitter_degrees: float, position: GlobalPositionAlignment, camera_up: Tensor) -> None:
        self.jitter_degrees = jitter_degrees
        self._position = position
        self._up = camera_up.to(position.camera.device)

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Draw one target pose per clip, turn the clip about its root, and move it there."""
        rows = self._position.draw(len(batch), generator)
        up = self._position.to_camera(self._up[self._position.camera[rows]], rows)
        up = up.to(batch.positions_camera.dtype)
        up = jitter_directions(up, math.radians(self.jitter_degrees), generator)
        turned = turn_upright(batch, up, self._position.root, generator)
        return self._position.move(turned, rows, generator)


def viewpoint_transforms(
    viewpoint: Viewpoint, position: GlobalPositionAlignment, gravity: CameraGravity | None
) -> tuple[BatchTransform, ...]:
    """Put orientation before position, as a viewpoint's kind asks for.

    Parameters
    ----------
    viewpoint : Viewpoint
        The kind and its options.
    position : GlobalPositionAlignment
        Places clips.
    gravity : CameraGravity or None
        Gravity of the cameras that poses are placed before, for ``aligned`` and ``found``; with
        ``pseudo-labels``, what a finished training has found, or None to find it in training.

    Raises
    ------
    ValueError
        When gravity is needed and missing.
    """
    if isinstance(viewpoint, RandomViewpoint):
        return (RandomTurn(viewpoint, position.root), position)
    if isinstance(viewpoint, JitteredViewpoint):
        return (RandomTilt(viewpoint, position.root), position)
    if isinstance(viewpoint, KnownViewpoint):
        return (ViewpointAlignment(viewpoint.jitter_degrees, position, position.camera_up),)
    if isinstance(viewpoint, AlignedViewpoint):
        if gravity is None:
            raise ValueError("aligned viewpoints need the gravity of the target's cameras; learn it first")
        return (ViewpointAlignment(viewpoint.jitter_degrees, position, gravity.up),)
    if isinstance(viewpoint, FoundViewpoint):
        if gravity is None:
            raise ValueError("found viewpoints need the gravity of the target's cameras; find it first")
        possible = partial(
            possible_directions,
            widest_degrees=viewpoint.widest_degrees,
            pitch_degrees=viewpoint.otherwise.pitch_degrees,
            roll_degrees=viewpoint.otherwise.roll_degrees,
            jitter_degrees=viewpoint.jitter_degrees,
        )
        return (FoundAlignment(gravity, possible, position),)
    if isinstance(viewpoint, PseudoLabelledViewpoint):
        aligned = partial(ViewpointAlignment, viewpoint.jitter_degrees, position)
        if gravity is not None:
            return (aligned(gravity.up),)
        random = RandomTurn(viewpoint.before, position.root)

        def at_random(batch: Batch, generator: torch.Generator) -> Batch:
            return position(random(batch, generator), generator)

        return (PseudoLabelAlignment(viewpoint.labels, position, at_random, aligned),)
    return (position,)
