"""Cameras: one representation for both data sets, and the mathematics of projection.

``X_camera = R X_world + t`` in metres; camera axes x right, y down, z forward; pixels x right, y down.
Distortion is a named model: ``human36m`` is the toolkit's own formula (not OpenCV's, which doubles the
tangential cross terms), ``none`` is a pinhole; the lenses of :mod:`poseshift.geometry.lens` are removed when
keypoints are read into columns, so that nothing here meets them. Points behind the camera are not caught
here: a caller who may have them looks at the sign of z.

Shapes: ``Intrinsics`` with leading dimensions (*rows) act on points (*rows, ..., joints, 3), for example
rows (n,) on clips (n, frames, joints, 3); without leading dimensions they act on everything. Results have
the library, dtype and device of the points.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import Any, ClassVar, Literal

import numpy as np
from array_api_compat import array_namespace

from poseshift.geometry.arrays import Array as Array
from poseshift.geometry.arrays import align_leading, like
from poseshift.geometry.rotation import rotate, rotate_back

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


@dataclass(frozen=True)
class Intrinsics:
    """Intrinsics of one or of many cameras, as arrays that broadcast against poses.

    Attributes
    ----------
    focal_px, centre_px, size_px : array of shape (..., 2)
        X then y (width then height).
    radial : array of shape (..., 3)
        K1 k2 k3 of the ``human36m`` model; zeros for a pinhole. Of shape (..., 0) where all cameras are
        pinholes: rays are then taken as they are, with no step of the lens's inverse.
    tangential : array of shape (..., 2)
        P1 p2; zeros for a pinhole, or (..., 0) as of ``radial``.
    known : array of shape (..., 1) or None
        1 where the intrinsics are known and 0 where they are assumed; None where all are known.
    """

    focal_px: Array
    centre_px: Array
    size_px: Array
    radial: Array
    tangential: Array
    known: Array | None = None

    def __getitem__(self, index: Any) -> Intrinsics:
        """Select along the leading dimensions, for example one row per pose."""
        return Intrinsics(
            focal_px=self.focal_px[index],
            centre_px=self.centre_px[index],
            size_px=self.size_px[index],
            radial=self.radial[index],
            tangential=self.tangential[index],
            known=None if self.known is None else self.known[index],
        )

    @property
    def packed(self) -> Array:
        """All fields side by side, (..., 11), or (..., 12) where some are assumed, for :meth:`unpacked`."""
        xp = array_namespace(self.focal_px)
        told = () if self.known is None else (self.known,)
        packed = (self.focal_px, self.centre_px, self.size_px, self.radial, self.tangential, *told)
        return xp.concat(packed, axis=-1)

    @classmethod
    def unpacked(cls, packed: Array) -> Intrinsics:
        """Read fields that lie side by side, so that rows are taken once, and not of five arrays."""
        return cls(
            focal_px=packed[..., 0:2],
            centre_px=packed[..., 2:4],
            size_px=packed[..., 4:6],
            radial=packed[..., 6:9],
            tangential=packed[..., 9:11],
            known=packed[..., 11:] if packed.shape[-1] > _ALL_KNOWN else None,
        )

    def joined(self, others: Intrinsics) -> Intrinsics:
        """Put the rows of others after these; all with one leading dimension."""
        xp = array_namespace(self.focal_px)
        return Intrinsics(
            focal_px=xp.concat([self.focal_px, others.focal_px]),
            centre_px=xp.concat([self.centre_px, others.centre_px]),
            size_px=xp.concat([self.size_px, others.size_px]),
            radial=xp.concat([self.radial, others.radial]),
            tangential=xp.concat([self.tangential, others.tangential]),
            known=None if self._all_known(others) else xp.concat([self.told, others.told]),
        )

    def where(self, chosen: Array, others: Intrinsics) -> Intrinsics:
        """Keep the rows that are chosen, (rows,) bool, and take those of others for the rest."""
        xp = array_namespace(self.focal_px)
        row = chosen[:, None]
        return Intrinsics(
            focal_px=xp.where(row, self.focal_px, others.focal_px),
            centre_px=xp.where(row, self.centre_px, others.centre_px),
            size_px=xp.where(row, self.size_px, others.size_px),
            radial=xp.where(row, *_as_wide(self.radial, others.radial)),
            tangential=xp.where(row, *_as_wide(self.tangential, others.tangential)),
            known=None if self._all_known(others) else xp.where(row, self.told, others.told),
        )

    @property
    def told(self) -> Array:
        """1 where the intrinsics are known and 0 where they are assumed, (..., 1)."""
        if self.known is not None:
            return self.known
        return array_namespace(self.focal_px).ones_like(self.focal_px[..., :1])

    def _all_known(self, others: Intrinsics) -> bool:
        return self.known is None and others.known is None

    def map(self, convert: Callable[[Array], Array]) -> Intrinsics:
        """Apply a conversion to every field, such as a move to another device or dtype.

        ``intrinsics.map(lambda field: torch.as_tensor(field, dtype=torch.float32, device=device))``
        """
        return Intrinsics(
            focal_px=convert(self.focal_px),
            centre_px=convert(self.centre_px),
            size_px=convert(self.size_px),
            radial=convert(self.radial),
            tangential=convert(self.tangential),
            known=None if self.known is None else convert(self.known),
        )


def _as_wide(first: Array, second: Array) -> tuple[Array, Array]:
    """Give pinholes without coefficients the zeros of those that have them."""
    xp = array_namespace(first)
    missing = (xp.zeros_like(second[..., first.shape[-1] :]), xp.zeros_like(first[..., second.shape[-1] :]))
    return xp.concat([first, missing[0]], axis=-1), xp.concat([second, missing[1]], axis=-1)


_ALL_KNOWN = 11
"""Numbers of a camera side by side where nothing says that intrinsics are assumed."""


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


def pinhole_of_view(size_px: Array, field_of_view_rad: float) -> Intrinsics:
    """Intrinsics of pinholes of which the field of view alone is known, looking through the image's middle.

    Parameters
    ----------
    size_px : array of shape (..., 2)
        Width and height.
    field_of_view_rad : float
        Across the width.

    Examples
    --------
    A right angle: the focal length is half the width.

    >>> pinhole_of_view(np.array([1000.0, 800.0]), np.pi / 2).focal_px.round(9).tolist()
    [500.0, 500.0]
    """
    xp = array_namespace(size_px)
    focal = size_px[..., :1] / (2 * math.tan(field_of_view_rad / 2))
    return Intrinsics(
        focal_px=xp.concat([focal, focal], axis=-1),
        centre_px=size_px / 2,
        size_px=size_px,
        radial=size_px[..., :0],
        tangential=size_px[..., :0],
    )


def world_to_camera(points_world: Array, rotation: Any, translation: Any) -> Array:
    """World to camera coordinates: ``R X + t``.

    Parameters
    ----------
    points_world : array of shape (..., 3)
        Metres (or any unit that the translation has too).
    rotation : Any of shape (3, 3)
        Or (*rows, 3, 3) against points (*rows, ..., joints, 3).
    translation : Any of shape (3,)
        Or (*rows, 3).

    Returns
    -------
    array (..., 3).

    Examples
    --------
    A camera two metres above the floor that looks along the world's y.

    >>> rotation = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
    >>> world_to_camera(np.array([[0.0, 5.0, 2.0]]), rotation, np.array([0.0, 2.0, 0.0])).tolist()
    [[0.0, 0.0, 5.0]]
    """
    translation = align_leading(like(translation, points_world), points_world.ndim, trailing=1)
    return rotate(points_world, rotation) + translation


def camera_to_world(points_camera: Array, rotation: Any, translation: Any) -> Array:
    """Camera to world coordinates: ``R^T (X - t)``; shapes as in `world_to_camera`."""
    translation = align_leading(like(translation, points_camera), points_camera.ndim, trailing=1)
    return rotate_back(points_camera - translation, rotation)


def rays_of(points_camera: Array) -> Array:
    """Ray coordinates ``(x/z, y/z)`` of points (..., 3) in camera axes -> (..., 2)."""
    return points_camera[..., :2] / points_camera[..., 2:3]


def distort(rays: Array, intrinsics: Intrinsics) -> Array:
    """Lens distortion of ray coordinates, by the formula of the Human3.6M toolkit.

    With ``r2 = x^2 + y^2`` and ``s = 1 + k1 r2 + k2 r2^2 + k3 r2^3 + p1 y + p2 x``:
    ``x' = s x + p2 r2``, ``y' = s y + p1 r2``. OpenCV's model has ``2 p1 y + 2 p2 x`` in place of
    ``p1 y + p2 x``: about 0.1 px where people stand, and up to 0.6 px in the corners.

    Parameters
    ----------
    rays : array of shape (*rows, ..., joints, 2)
        Undistorted.
    intrinsics : Intrinsics
        Leading dimensions (*rows); zero coefficients leave the rays as they are.

    Returns
    -------
    array of the shape of the rays.
    """
    if intrinsics.radial.shape[-1] == 0:
        return rays
    xp = array_namespace(rays)
    x, y = rays[..., 0], rays[..., 1]
    scale, (shift_x, shift_y) = _distortion_terms(x, y, x * x + y * y, *_coefficients(rays, intrinsics))
    return xp.stack([scale * rays[..., 0] + shift_x, scale * rays[..., 1] + shift_y], axis=-1)


def undistort(rays: Array, intrinsics: Intrinsics) -> Array:
    """Inverse of `distort`, by Newton's method from the distorted rays.

    A fixed number of steps, so that it runs without a host synchronisation and is differentiable; exact to
    below 1e-9 within the field of view of the Human3.6M cameras in float64.

    Parameters
    ----------
    rays : array of shape (*rows, ..., joints, 2)
        Distorted.
    intrinsics : Intrinsics
        Leading dimensions (*rows).

    Returns
    -------
    array of the shape of the rays.
    """
    if intrinsics.radial.shape[-1] == 0:
        return rays
    xp = array_namespace(rays)
    radial, tangential = _coefficients(rays, intrinsics)
    k1, twice_k2, k3 = radial[..., 0], 2 * radial[..., 1], radial[..., 2]
    p1, p2 = tangential[..., 0], tangential[..., 1]
    twice_p1, twice_p2 = 2 * p1, 2 * p2
    goal_x, goal_y = rays[..., 0], rays[..., 1]
    x, y = goal_x, goal_y
    for _ in range(_NEWTON_STEPS):
        r2 = x * x + y * y
        scale, (shift_x, shift_y) = _distortion_terms(x, y, r2, radial, tangential)
        growth = 2 * (k1 + r2 * (twice_k2 + r2 * 3 * k3))
        scale_dx, scale_dy = growth * x + p2, growth * y + p1
        xx, xy = scale + x * scale_dx + twice_p2 * x, x * scale_dy + twice_p2 * y
        yx, yy = y * scale_dx + twice_p1 * x, scale + y * scale_dy + twice_p1 * y
        error_x, error_y = scale * x + shift_x - goal_x, scale * y + shift_y - goal_y
        determinant = xx * yy - xy * yx
        x, y = (
            x - (yy * error_x - xy * error_y) / determinant,
            y - (xx * error_y - yx * error_x) / determinant,
        )
    return xp.stack([x, y], axis=-1)


def project(points_camera: Array, intrinsics: Intrinsics) -> Array:
    """Pixels of points in camera axes, lens distortion included.

    Parameters
    ----------
    points_camera : array of shape (*rows, ..., joints, 3)
        Metres, z > 0.
    intrinsics : Intrinsics
        Leading dimensions (*rows).

    Returns
    -------
    array (*rows, ..., joints, 2), pixels.

    Examples
    --------
    A point one metre to the right at four metres, focal length 1000 px: 250 px right of the principal point.

    >>> camera = Camera(name="c", size_px=(1000, 800), focal_px=(1000.0, 1000.0), centre_px=(500.0, 400.0))
    >>> project(np.array([[1.0, 0.0, 4.0]]), camera.intrinsics).tolist()
    [[750.0, 400.0]]
    """
    return rays_to_px(distort(rays_of(points_camera), intrinsics), intrinsics)


def project_apart(coordinates_world: Array, camera: Camera) -> tuple[Array, Array]:
    """Pixels of points in the world whose coordinates lie apart, in operations on whole arrays.

    The formulas of `world_to_camera` and `project`, in their order, so that float64 gives the same bits.
    Where coordinates are the last axis, NumPy's loops are three numbers long; this takes a fifth of the time.

    Parameters
    ----------
    coordinates_world : array of shape (3, ...)
        Metres, float64: x, y and z of all points, before the camera.
    camera : Camera
        Who sees them.

    Returns
    -------
    x, y : arrays (...), pixels.

    Examples
    --------
    >>> camera = Camera(name="c", size_px=(1000, 800), focal_px=(1000.0, 1000.0), centre_px=(500.0, 400.0))
    >>> x, y = project_apart(np.array([[1.0], [0.0], [4.0]]), camera)
    >>> x.tolist(), y.tolist()
    ([750.0], [400.0])
    """
    intrinsics = camera.intrinsics
    x, y, z = coordinates_world
    across, down, depth = (
        x * to_x + y * to_y + z * to_z + shift
        for (to_x, to_y, to_z), shift in zip(camera.rotation, camera.translation, strict=True)
    )
    across, down = across / depth, down / depth
    squared = across * across + down * down
    scale, shifts = _distortion_terms(across, down, squared, intrinsics.radial, intrinsics.tangential)
    pixels = (
        (scale * ray + shift) * focal + centre
        for ray, shift, focal, centre in zip(
            (across, down), shifts, intrinsics.focal_px, intrinsics.centre_px, strict=True
        )
    )
    return next(pixels), next(pixels)


def rays_to_px(rays: Array, intrinsics: Intrinsics) -> Array:
    """Pinhole pixels of ray coordinates: ``f x + c``, without distortion; shapes as in `distort`."""
    return rays * _field(intrinsics.focal_px, rays) + _field(intrinsics.centre_px, rays)


def normalise(keypoints_px: Array, intrinsics: Intrinsics) -> Array:
    """Ray coordinates ``(x/z, y/z)`` of pixels: ``K^-1`` and the inverse of the distortion.

    Parameters
    ----------
    keypoints_px : array of shape (*rows, ..., joints, 2)
    intrinsics : Intrinsics
        Leading dimensions (*rows).

    Returns
    -------
    array of the shape of the keypoints, undistorted, without unit.

    Examples
    --------
    >>> camera = Camera(name="c", size_px=(1000, 800), focal_px=(1000.0, 1000.0), centre_px=(500.0, 400.0))
    >>> normalise(np.array([[750.0, 400.0]]), camera.intrinsics).tolist()
    [[0.25, 0.0]]
    """
    centred = keypoints_px - _field(intrinsics.centre_px, keypoints_px)
    return undistort(centred / _field(intrinsics.focal_px, keypoints_px), intrinsics)


def undistort_px(keypoints_px: Array, intrinsics: Intrinsics) -> Array:
    """Pixels that a pinhole with the same focal length and principal point would have seen."""
    return rays_to_px(normalise(keypoints_px, intrinsics), intrinsics)


def unproject(keypoints_px: Array, depth: Array, intrinsics: Intrinsics) -> Array:
    """Points in camera axes from pixels and depths; inverse of `project`.

    Parameters
    ----------
    keypoints_px : array of shape (*rows, ..., joints, 2)
    depth : array of shape (*rows, ..., joints)
        Metres, z of each point.
    intrinsics : Intrinsics
        Leading dimensions (*rows).

    Returns
    -------
    array (*rows, ..., joints, 3), metres.

    Examples
    --------
    >>> camera = Camera(name="c", size_px=(1000, 800), focal_px=(1000.0, 1000.0), centre_px=(500.0, 400.0))
    >>> unproject(np.array([[750.0, 400.0]]), np.array([4.0]), camera.intrinsics).tolist()
    [[1.0, 0.0, 4.0]]
    """
    xp = array_namespace(keypoints_px)
    depth = like(depth, keypoints_px)[..., None]
    return xp.concat([normalise(keypoints_px, intrinsics) * depth, depth], axis=-1)


def to_screen(keypoints_px: Array, size_px: Any) -> Array:
    """Screen coordinates of VideoPose3D: ``2 x / w - 1`` and ``2 y / w - h / w``.

    Both axes are divided by the width, so that the aspect ratio stays.

    Parameters
    ----------
    keypoints_px : array of shape (*rows, ..., joints, 2)
    size_px : Any
        (2,) or (*rows, 2), width and height.

    Returns
    -------
    array of the shape of the keypoints; x in [-1, 1] inside the image.

    Examples
    --------
    The width becomes 2 and both axes keep one scale.

    >>> to_screen(np.array([[0.0, 0.0], [500.0, 400.0], [1000.0, 800.0]]), (1000, 800)).tolist()
    [[-1.0, -0.8], [0.0, 0.0], [1.0, 0.8]]
    """
    size = _field(size_px, keypoints_px)
    return (2 * keypoints_px - size) / size[..., 0:1]


def from_screen(keypoints_screen: Array, size_px: Any) -> Array:
    """Pixels of screen coordinates: inverse of `to_screen`, same shapes."""
    size = _field(size_px, keypoints_screen)
    return (keypoints_screen * size[..., 0:1] + size) / 2


_NEWTON_STEPS = 6


def _field(values: Any, points: Array) -> Array:
    """One field of the intrinsics, in the kind of the points and aligned with their leading dimensions."""
    return align_leading(like(values, points), points.ndim, trailing=1)


def _coefficients(rays: Array, intrinsics: Intrinsics) -> tuple[Array, Array]:
    return _field(intrinsics.radial, rays), _field(intrinsics.tangential, rays)


def _distortion_terms(
    x: Array, y: Array, r2: Array, radial: Array, tangential: Array
) -> tuple[Array, tuple[Array, Array]]:
    """Factor of both coordinates, and the shift of each."""
    p1, p2 = tangential[..., 0], tangential[..., 1]
    polynomial = 1 + r2 * (radial[..., 0] + r2 * (radial[..., 1] + r2 * radial[..., 2]))
    return polynomial + p1 * y + p2 * x, (p2 * r2, p1 * r2)
