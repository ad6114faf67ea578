"""Cameras: one representation for all data sets, with a named lens model.

``X_camera = R X_world + t`` in metres; camera axes x right, y down, z forward; pixels x right, y down.
Distortion is a named model: ``human36m`` is the toolkit's own formula (not OpenCV's, which doubles the
tangential cross terms), ``none`` is a pinhole; ``opencv`` and ``fisheye`` are those of
:mod:`poseshift.geometry.lens`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import ClassVar, Literal

import numpy as np

from poseshift.geometry.intrinsics import Intrinsics

LensModel = Literal["none", "human36m", "opencv", "fisheye"]

_COEFFICIENTS: Mapping[LensModel, frozenset[tuple[int, int]]] = MappingProxyType(
    {
        "none": frozenset({(3, 2)}),
        "human36m": frozenset({(3, 2)}),
        "opencv": frozenset({(3, 2), (6, 2), (6, 6)}),
        "fisheye": frozenset({(4, 0)}),
    }
)
"""How many radial and tangential coefficients a lens model has."""


@dataclass(frozen=True)
class Distortion:
    """Lens distortion: a named model and its coefficients.

    Attributes
    ----------
    model : LensModel
        ``none``; ``human36m``, the toolkit's own formula; ``opencv``, with 5, 8 or 12 coefficients;
        ``fisheye``, OpenCV's with four.
    radial : tuple[float, ...]
        K1 k2 k3; of ``opencv`` k4 k5 k6 as well, where there are; of ``fisheye`` k1 k2 k3 k4.
    tangential : tuple[float, ...]
        P1 p2; of ``opencv`` s1 s2 s3 s4 of the thin prism as well, where there are; of ``fisheye`` none.
    """

    model: LensModel = "none"
    radial: tuple[float, ...] = (0.0, 0.0, 0.0)
    tangential: tuple[float, ...] = (0.0, 0.0)

    def __post_init__(self) -> None:
        found = (len(self.radial), len(self.tangential))
        if found not in _COEFFICIENTS[self.model]:
            known = " or ".join(f"{a} and {b}" for a, b in sorted(_COEFFICIENTS[self.model]))
            raise ValueError(
                f"lens model {self.model!r} with {found[0]} radial and {found[1]} other coefficients; "
                f"expected {known}"
            )


Rotation = tuple[tuple[float, float, float], ...]
"""A rotation matrix that can be compared and stored: 3x3, by rows."""

_IDENTITY = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))

_ORIGIN = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Camera:
    """One camera, as stores hold it: calibrated, or of known intrinsics alone.

    A camera whose extrinsics are unknown is its own world (R = I, t = 0): positions in that world are
    positions in camera axes, and where up is in them is not known. See :attr:`placed`.

    Attributes
    ----------
    name : str
        The data set's own name for the camera (``"54138969"``, ``"0"``, ``"TS1"``).
    size_px : tuple[int, int]
        (width, height) of the image.
    focal_px, centre_px : tuple[float, float]
        (x, y) of focal length and principal point.
    distortion : Distortion
        Lens model.
    rotation : tuple[tuple[float, float, float], ...]
        R, 3x3 row-major, world to camera; the identity where extrinsics are unknown.
    translation : tuple[float, float, float]
        T in metres, ``X_camera = R X_world + t``; zero where extrinsics are unknown.
    """

    name: str
    size_px: tuple[int, int]
    focal_px: tuple[float, float]
    centre_px: tuple[float, float]
    distortion: Distortion = Distortion()
    rotation: Rotation = _IDENTITY
    translation: tuple[float, float, float] = _ORIGIN

    intrinsics_known: ClassVar[bool] = True
    """Whether somebody has measured or stated the intrinsics; see :class:`AssumedCamera`."""

    @property
    def intrinsics(self) -> Intrinsics:
        """Intrinsics of this camera as float64 NumPy arrays without leading dimensions.

        Raises
        ------
        ValueError
            The lens is one that must be removed from keypoints first.
        """
        if self.distortion.model not in ("none", "human36m"):
            raise ValueError(
                f"camera {self.name} has the lens model {self.distortion.model!r}, which batches do not "
                "compute with; read its keypoints by `read_camera_poses`, which removes the lens"
            )
        return Intrinsics(
            focal_px=np.asarray(self.focal_px, dtype=np.float64),
            centre_px=np.asarray(self.centre_px, dtype=np.float64),
            size_px=np.asarray(self.size_px, dtype=np.float64),
            radial=np.asarray(self.distortion.radial, dtype=np.float64),
            tangential=np.asarray(self.distortion.tangential, dtype=np.float64),
            known=None if self.intrinsics_known else np.zeros(1),
        )

    @property
    def pinhole(self) -> Camera:
        """A copy without lens: what keypoints are seen by once they are freed of distortion."""
        return replace(self, distortion=Distortion())

    @property
    def unplaced(self) -> Camera:
        """A copy that is its own world: what is known of a camera when nothing says where up is."""
        return replace(self, rotation=_IDENTITY, translation=_ORIGIN)

    @property
    def placed(self) -> bool:
        """Whether the extrinsics are known: whether they say how the camera stands in a world with z up."""
        # The identity with no translation is how every store marks a camera that is its own world, so no
        # field beside it could contradict it, and stores of any age can be read. It hides no camera that was
        # calibrated: one that is placed so would lie in the floor and look straight up. The translation is
        # looked at as well, since a camera elsewhere that looks straight up has a known up.
        return self.rotation != _IDENTITY or self.translation != _ORIGIN

    @property
    def up(self) -> tuple[float, float, float] | None:
        """Unit vector against gravity in camera axes, the world's z; None where extrinsics are unknown.

        Examples
        --------
        A level camera, and one of which only the intrinsics are known.

        >>> seen = ("c", (1000, 800), (900.0, 900.0), (500.0, 400.0), Distortion())
        >>> Camera(*seen, rotation=((1.0, 0.0, 0.0), (0.0, 0.0, -1.0), (0.0, 1.0, 0.0))).up
        (0.0, -1.0, 0.0)
        >>> Camera(*seen).up is None
        True
        """
        if not self.placed:
            return None
        x, y, z = (row[2] for row in self.rotation)
        return x, y, z

    @property
    def centre(self) -> tuple[float, float, float]:
        """Position of the camera in the world, metres: ``-R^T t``."""
        x, y, z = -np.asarray(self.rotation).T @ np.asarray(self.translation)
        return float(x), float(y), float(z)


@dataclass(frozen=True)
class AssumedCamera(Camera):
    """A camera whose intrinsics nobody has measured or stated: a usual field of view stands in for them."""

    # A class, and no field: what stores hold of cameras, and digests of it, stay what they are.
    intrinsics_known: ClassVar[bool] = False

    @classmethod
    def of(cls, camera: Camera) -> AssumedCamera:
        """Mark a camera's intrinsics as assumed."""
        return cls(**{one.name: getattr(camera, one.name) for one in fields(camera)})


def stand_apart(cameras: Iterable[Camera]) -> bool:
    """Whether cameras stand in more than one place, so that their views of a moment can be put together.

    A camera of which its attitude alone is known stands in the origin of a world of its own, as one of which
    nothing is known does.
    """
    return len({camera.centre for camera in cameras}) > 1


def stack_intrinsics(cameras: Sequence[Camera]) -> Intrinsics:
    """Intrinsics of several cameras as rows: float64 NumPy arrays with one leading dimension (n,).

    ``stack_intrinsics(poses.cameras)[poses.camera]`` is one row per pose.

    Raises
    ------
    ValueError : no camera was given.
    """
    if not cameras:
        raise ValueError("no cameras to stack: at least one is needed")
    each = [camera.intrinsics for camera in cameras]
    return Intrinsics(
        focal_px=np.stack([one.focal_px for one in each]),
        centre_px=np.stack([one.centre_px for one in each]),
        size_px=np.stack([one.size_px for one in each]),
        radial=np.stack([one.radial for one in each]),
        tangential=np.stack([one.tangential for one in each]),
        known=None if all(one.known is None for one in each) else np.stack([one.told for one in each]),
    )
