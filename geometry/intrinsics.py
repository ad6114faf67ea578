"""Intrinsics as arrays: those of one camera, or of one camera a row.

Shapes: ``Intrinsics`` with leading dimensions (*rows) act on points (*rows, ..., joints, 3), for example
rows (n,) on clips (n, frames, joints, 3); without leading dimensions they act on everything.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from array_api_compat import array_namespace

from poseshift.geometry.arrays import Array as Array


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
