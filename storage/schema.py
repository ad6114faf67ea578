"""What a pose store holds: names, axes, dtypes, units, and the metadata of one trial.

A store is a Zarr format 3 hierarchy ``/<subject>/<trial>`` whose arrays carry dimension names. This module
is the contract between readers (which make a :class:`Trial`) and :mod:`poseshift.storage.store` (which writes
it).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field, StringConstraints, model_validator

from poseshift.geometry.camera import Camera
from poseshift.geometry.camera_path import CameraPath
from poseshift.storage.model import FrozenModel

FORMAT = "poseshift"
FORMAT_VERSION = 1
FRAMES_PER_CHUNK = 4096

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Dataset = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
"""Name of a data set: small letters, digits and underscores; an open list, see `preprocessing.datasets`."""

PositionsKind = Literal["annotated", "universal"]
"""Which 3D: every person in the true size, or all of them brought to one size by the data set."""

IntrinsicsOrigin = Literal["calibration file", "built-in", "fitted", "stated", "assumed"]
"""Where a camera's intrinsics come from: a file of the release, a table of the reader's for a release that
lacks its file, a fit to the trial's own 3D and 2D annotations, what the user stated (a matrix, a field of
view), or a default that nothing is known to support."""

Up = Literal["z", "unknown"]
"""Where up is in the world that extrinsics place cameras in: along its z, or not known."""


VerticalKind = Literal["attitude", "up", "down", "horizon", "rig"]
"""By what it is known where up is before a camera: its pitch and roll, a direction up or down such as an IMU
gives, two points of the horizon, or what was stated of other cameras of its rig."""


@dataclass(frozen=True)
class Vertical:
    """How it is known where up is before a camera, where it was stated; the direction is in the extrinsics.

    Attributes
    ----------
    kind : VerticalKind
        By what.
    interval_degrees : float
        Angle about the stated direction within which the truth lies in nine of ten cases.
    """

    kind: VerticalKind
    interval_degrees: float


class NoPositionsError(ValueError):
    """A trial without 3D, of which 3D is asked."""

    def __init__(self, trial: TrialKey) -> None:
        super().__init__(
            f"trial {trial.path!r} has no 3D: it can be a target to adapt to, but not be learned from by its "
            "labels, and nothing can be measured on it"
        )
        self.trial = trial

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.trial,))


@dataclass(frozen=True, order=True)
class TrialKey:
    """Where a trial lies in a store: ``/<subject>/<trial>``."""

    subject: str
    trial: str

    @property
    def path(self) -> str:
        """The group's path inside the store."""
        return f"{self.subject}/{self.trial}"


@dataclass(frozen=True)
class SourceFile:
    """A raw file that a trial was read from: path relative to the raw tree's root, size and digest."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Trial:
    """One trial on the 17 joints of Human3.6M, seen by several cameras.

    A trial has 3D and its 2D keypoints, or is one of a domain without labels: then it has detections alone.

    Attributes
    ----------
    key : TrialKey
        Subject and trial name.
    action, subaction : str
        The data set's names; 3DHP training uses the sequence name as its action.
    fps : float
        Frames per second.
    cameras : tuple[Camera, ...]
        Calibrated cameras, in the order of ``keypoints_2d``.
    positions_world : Float32 or None of shape (frames, joints, 3)
        Metres, world z up, origin on the floor; in camera axes where the only camera is not placed.
    keypoints_2d : Float32 or None of shape (cameras, frames, joints, 2)
        Pixels, x right, y down.
    positions_universal : Float32 or None of shape (frames, joints, 3)
        Metres, height-normalised about the same pelvis; 3DHP only, and beside annotated positions only.
    positions_kind : PositionsKind or None
        Which 3D ``positions_world`` holds; None where there is none.
    up : Up
        Where up is in the world of the cameras' extrinsics.
    verticals : Mapping[str, Vertical]
        By name of the camera, how sure a stated vertical is. A camera of which its vertical alone is known
        stands in the origin of a world of its own with z up.
    intrinsics : IntrinsicsOrigin or None
        Where the cameras' intrinsics come from; None where the reader does not say.
    detections : Mapping[str, Float32]
        Detector name to (cameras, frames, joints, 3), pixels and confidence.
    frame_number : array of int32 or None
        (frames,) rising from 0, where frames of the recording are missing between those of the trial; None
        where it has all of them. ``fps`` is of frames whose numbers differ by one.
    valid : array of bool_ or None
        (frames,) bool; 3DHP test set only.
    activity : array of int8 or None
        (frames,) int8, 1 to 7; 3DHP test set only.
    augmentation : Float32 or None of shape (frames, parameters)
        What each pose was changed by; augmented sets only.
    extrinsics : Float64 or None of shape (cameras, frames, 3, 4)
        [R | t] of cameras that move, world to camera, metres; NaN at frames without a pose, and of cameras
        that stand still. In ``cameras`` one that moves has no extrinsics. None where all stand still.
    quality : Mapping[str, float]
        Figures of :mod:`poseshift.preprocessing.quality` (name to number).
    options : Mapping[str, str]
        Named corrections that the reader applied, e.g. ``{"s9_drift": "keep"}``.
    sources : tuple[SourceFile, ...]
        The raw files, filled in by the ingest.
    """

    key: TrialKey
    action: str
    subaction: str
    fps: float
    cameras: tuple[Camera, ...]
    positions_world: Float32 | None
    keypoints_2d: Float32 | None
    positions_universal: Float32 | None = None
    positions_kind: PositionsKind | None = "annotated"
    intrinsics: IntrinsicsOrigin | None = None
    detections: Mapping[str, Float32] = field(default_factory=dict)
    frame_number: NDArray[np.int32] | None = None
    valid: NDArray[np.bool_] | None = None
    activity: NDArray[np.int8] | None = None
    augmentation: Float32 | None = None
    extrinsics: Float64 | None = None
    quality: Mapping[str, float] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)
    sources: tuple[SourceFile, ...] = ()
    up: Up = "z"
    verticals: Mapping[str, Vertical] = field(default_factory=dict)

    @property
    def frames(self) -> int:
        """Number of frames; 0 of a trial that holds nothing, which no store takes."""
        if self.positions_world is not None:
            return int(self.positions_world.shape[0])
        seen = (self.keypoints_2d, *self.detections.values())
        return next((int(array.shape[1]) for array in seen if array is not None), 0)

    @property
    def moving(self) -> tuple[str, ...]:
        """Names of the cameras that move."""
        return tuple(one.name for one in self.cameras if self.path(one.name) is not None)

    def path(self, camera: str) -> CameraPath | None:
        """Poses of a camera that moves; None of one that stands still."""
        if self.extrinsics is None:
            return None
        poses = self.extrinsics[[one.name for one in self.cameras].index(camera)]
        return CameraPath.of(poses) if np.isfinite(poses).any() else None

    @property
    def labelled(self) -> tuple[Float32, Float32]:
        """Positions and keypoints of a trial that has both; :class:`NoPositionsError` where it has not."""
        if self.positions_world is None or self.keypoints_2d is None:
            raise NoPositionsError(self.key)
        return self.positions_world, self.keypoints_2d


class StoreAttributes(FrozenModel):
    """Attributes of a store's root group.

    A store of another format, or of a newer version, does not validate.
    """

    format: Literal["poseshift"] = Field(
        default="poseshift", description="Marks the hierarchy as a pose store."
    )
    format_version: Literal[1] = Field(default=1, description="Version of this layout.")
    dataset: Dataset = Field(description="Which data set the trials belong to.")
    skeleton: str = Field(default="human36m_17", description="Registry name of the joint set of all arrays.")
    created_by: str = Field(default="", description="Program and version that wrote the store.")
    restaged_from: str | None = Field(
        default=None, description="The motion behind a restaged set; None for recordings of real people."
    )
    options: dict[str, str] = Field(
        default_factory=dict, description="Reader options that changed what was written."
    )


class TrialAttributes(FrozenModel):
    """Attributes of a trial's group: everything about a trial that is not an array."""

    model_config = ConfigDict(ser_json_inf_nan="strings")

    action: str = Field(description="The data set's name of the action.")
    subaction: str = Field(description="The data set's name of the repetition.")
    fps: float = Field(gt=0, description="Frames per second.")
    cameras: tuple[Camera, ...] = Field(description="Calibrations, in the order of the camera axis.")
    positions_kind: PositionsKind | None = Field(
        default="annotated",
        description="Which 3D the positions in the world are: annotated or universal; null without 3D.",
    )
    up: Up = Field(
        default="z",
        exclude_if=lambda value: value == "z",
        description="Where up is in the world of the cameras: z, or unknown; not written where it is z.",
    )
    verticals: dict[str, Vertical] = Field(
        default_factory=dict,
        exclude_if=lambda value: not value,
        description="By camera, how sure a stated vertical is; not written where none was stated.",
    )
    moving: tuple[str, ...] = Field(
        default=(),
        exclude_if=lambda value: not value,
        description="Cameras with a pose for every frame, in the array extrinsics; not written without any.",
    )
    intrinsics: IntrinsicsOrigin | None = Field(
        default=None,
        description="Where the cameras' intrinsics come from; null where the reader does not say.",
    )
    sources: tuple[SourceFile, ...] = Field(description="Raw files that the trial was read from.")
    quality: dict[str, float] = Field(description="Figures of the quality checks.")
    options: dict[str, str] = Field(description="Named corrections that the reader applied.")
    digests: dict[str, str] = Field(description="SHA-256 of every array: dtype, shape and C-ordered bytes.")

    @model_validator(mode="before")
    @classmethod
    def _kind_of_older_trials(cls, values: Any) -> Any:
        """Find the kind among the options, where imports and the reader of Human3.6M used to leave it."""
        if not isinstance(values, dict) or "positions_kind" in values:
            return values
        options = values.get("options")
        chosen = options if isinstance(options, dict) else {}
        if "universal" in (chosen.get("positions"), chosen.get("skeleton_scale")):
            return {**values, "positions_kind": "universal"}
        return values

    @model_validator(mode="before")
    @classmethod
    def _intrinsics_of_older_trials(cls, values: Any) -> Any:
        """Find their origin among the options, where the reader of MPI-INF-3DHP used to leave it."""
        if not isinstance(values, dict) or "intrinsics" in values:
            return values
        options = values.get("options")
        if isinstance(options, dict) and options.get("intrinsics") == "estimated":
            return {**values, "intrinsics": "fitted"}
        return values

    @classmethod
    def of(cls, trial: Trial, digests: Mapping[str, str]) -> TrialAttributes:
        """Collect the attributes under which ``trial`` is stored."""
        return cls(
            action=trial.action,
            subaction=trial.subaction,
            fps=trial.fps,
            cameras=trial.cameras,
            positions_kind=trial.positions_kind,
            up=trial.up,
            verticals=dict(trial.verticals),
            moving=trial.moving,
            intrinsics=trial.intrinsics,
            sources=trial.sources,
            quality=dict(trial.quality),
            options=dict(trial.options),
            digests=dict(digests),
        )


def zarr_attributes(model: StoreAttributes | TrialAttributes) -> dict[str, Any]:
    """Attributes as plain JSON values; a quality figure that is not a number becomes the string "NaN"."""
    values: dict[str, Any] = json.loads(model.model_dump_json())
    return values


def require_shape(name: str, array: NDArray[Any], shape: tuple[int | None, ...]) -> None:
    """Raise ValueError unless ``array`` has ``shape`` (None matches any length)."""
    matches = array.ndim == len(shape) and all(
        want is None or want == have for want, have in zip(shape, array.shape, strict=True)
    )
    if not matches:
        wanted = tuple("any" if size is None else size for size in shape)
        raise ValueError(f"{name} has shape {array.shape}; expected {wanted}")
