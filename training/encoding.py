"""What a lifter sees of the keypoints: screen coordinates, rays, or rays after a perspective rotation.

``screen`` is VideoPose3D's normalisation. ``ray`` undistorts and applies the inverse intrinsics, so that
the focal length and the image's size no longer show. ``perspective`` follows PersPose (ICCV 2025), carried
over from images to keypoints: the camera is turned until it looks at the person, the extent is divided out
and given as a channel of its own; the 3D targets turn with the camera and predictions are turned back. Each
of them comes with a channel that says which joints were seen, for keypoints with gaps. An encoding is part of
a trained lifter: another one makes its weights meaningless.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Literal, cast

import torch
from torch import Tensor

from poseshift.geometry.intrinsics import Intrinsics, pinhole_of_view
from poseshift.geometry.perspective import box_centre, clip_centre, extent, perspective_rotation, rotate_rays
from poseshift.geometry.projection import normalise, to_screen
from poseshift.geometry.rotation import rotate, rotate_back

EncodingName = Literal[
    "screen",
    "ray",
    "perspective",
    "perspective_per_frame",
    "screen_and_seen",
    "ray_and_seen",
    "perspective_and_seen",
    "perspective_and_known",
]


@dataclass(frozen=True)
class Encoded:
    """A lifter's input, and the frame in which it answers.

    Attributes
    ----------
    inputs : Tensor of shape (batch, frames, joints, channels)
    rotation : Tensor or None
        From camera axes to the encoding's axes: (batch, 3, 3), or (batch, frames, 3, 3) where every frame has
        axes of its own; None when they are the same.
    """

    inputs: Tensor
    rotation: Tensor | None = None

    @property
    def moves_with_frames(self) -> bool:
        """Whether axes differ from frame to frame, so that differences of frames mean nothing in them."""
        return self.rotation is not None and self.rotation.ndim == _WITH_FRAMES

    def at(self, clips: Tensor, frames: Tensor) -> Encoded:
        """Take frames (n, answered) of clips (n, 1): what answers for these frames alone are turned by."""
        if self.rotation is None or not self.moves_with_frames:
            return self
        return Encoded(self.inputs[clips, frames], self.rotation[clips, frames])

    def rotation_of(self, poses: Tensor) -> Tensor | None:
        """Take the rotation of clips (batch, frames, joints, 3), or of their middle frames alone."""
        if self.rotation is None or not self.moves_with_frames or poses.shape[1] == self.rotation.shape[1]:
            return self.rotation
        return self.rotation[:, self.rotation.shape[1] // 2]


_WITH_FRAMES = 4


class Encoding(ABC):
    """How keypoints become a lifter's input, and its output a pose in camera axes."""

    name: EncodingName
    channels: int
    sees_gaps: bool = False
    """Whether keypoints may be NaN, and a channel says so; others are made for keypoints without gaps."""
    sees_rays: ClassVar[bool] = False
    """Whether it asks for the rays of the keypoints, which whoever knows them may hand in."""

    @abstractmethod
    def encode(
        self,
        keypoints_px: Tensor,
        intrinsics: Intrinsics,
        generator: torch.Generator | None = None,
        rays: Tensor | None = None,
    ) -> Encoded:
        """Encode clips of keypoints.

        Parameters
        ----------
        keypoints_px : Tensor of shape (batch, frames, joints, 2)
            Pixels; NaN for a joint that was not seen, where ``sees_gaps``.
        intrinsics : Intrinsics
            Leading dimensions (batch,).
        generator : torch.Generator or None
            Given in training only; encodings with a random part draw from it.
        rays : Tensor or None
            Undistorted rays of the keypoints, where they are known; else the lens is removed here.
        """

    def to_target_frame(self, relative: Tensor, encoded: Encoded) -> Tensor:
        """Turn root-relative targets (batch, frames or 1, joints, 3) from camera axes to the encoding's."""
        rotation = encoded.rotation_of(relative)
        return relative if rotation is None else cast(Tensor, rotate(relative, rotation))

    def from_target_frame(self, prediction: Tensor, encoded: Encoded) -> Tensor:
        """Turn predictions (batch, frames or 1, joints, 3) from the encoding's axes to the camera's."""
        rotation = encoded.rotation_of(prediction)
        return prediction if rotation is None else cast(Tensor, rotate_back(prediction, rotation))


@dataclass(frozen=True)
class ScreenEncoding(Encoding):
    """Two channels: ``2 x / width - 1`` and ``2 y / width - height / width`` of the distorted pixels."""

    name: EncodingName = "screen"
    channels: int = 2

    def encode(
        self,
        keypoints_px: Tensor,
        intrinsics: Intrinsics,
        generator: torch.Generator | None = None,
        rays: Tensor | None = None,
    ) -> Encoded:
        """Normalise by the image's width; see :meth:`Encoding.encode`."""
        del generator, rays
        return Encoded(inputs=to_screen(keypoints_px, intrinsics.size_px))


@dataclass(frozen=True)
class RayEncoding(Encoding):
    """Two channels: x / z and y / z of the undistorted viewing rays."""

    name: EncodingName = "ray"
    sees_rays: ClassVar[bool] = True
    channels: int = 2

    def encode(
        self,
        keypoints_px: Tensor,
        intrinsics: Intrinsics,
        generator: torch.Generator | None = None,
        rays: Tensor | None = None,
    ) -> Encoded:
        """Undistort and apply the inverse intrinsics; see :meth:`Encoding.encode`."""
        del generator
        return Encoded(inputs=_rays(keypoints_px, intrinsics, rays))


@dataclass(frozen=True)
class PerspectiveEncoding(Encoding):
    """Three channels: rays of a camera that looks at the person, divided by their extent h, and log h.

    One rotation and one extent serve a whole clip, so that motion within it stays what it was.

    Attributes
    ----------
    jitter : float
        In training, the centre is moved on both axes by up to this share of the person's size, so that the
        lifter does not rely on an exact centre. PersPose uses 0.1.
    """

    name: EncodingName = "perspective"
    sees_rays: ClassVar[bool] = True
    channels: int = 3
    jitter: float = 0.1

    def encode(
        self,
        keypoints_px: Tensor,
        intrinsics: Intrinsics,
        generator: torch.Generator | None = None,
        rays: Tensor | None = None,
    ) -> Encoded:
        """Turn the camera onto the person; see :meth:`Encoding.encode`."""
        rays = _rays(keypoints_px, intrinsics, rays)
        rotation = perspective_rotation(self._jittered(clip_centre(rays), rays, (1, 2), generator))
        turned = rotate_rays(rays, rotation)
        return _in_extents(turned, extent(turned.flatten(1, 2))[:, None, None, None], rotation)

    def _jittered(
        self, centre: Tensor, rays: Tensor, box_over: tuple[int, ...], generator: torch.Generator | None
    ) -> Tensor:
        """Move centres, (batch, 2) or (batch, frames, 2), by a share of the larger side of the rays' boxes.

        In all frames of a clip by the same share. Boxes are of all rays along these dimensions.
        """
        if generator is None or self.jitter == 0:
            return centre
        box = rays.amax(dim=box_over) - rays.amin(dim=box_over)
        drawn = centre if centre.ndim == 2 else centre[:, :1]
        shift = torch.rand(drawn.shape, generator=generator, device=centre.device, dtype=centre.dtype)
        return centre + (2 * shift - 1) * self.jitter * box.amax(dim=-1, keepdim=True)


def _rays(keypoints_px: Tensor, intrinsics: Intrinsics, known: Tensor | None) -> Tensor:
    """Rays of keypoints, from which the lens is removed unless they are known."""
    rays: Tensor = normalise(keypoints_px, intrinsics) if known is None else known
    return rays


def _in_extents(turned: Tensor, h: Tensor, rotation: Tensor) -> Encoded:
    """Divide turned rays by the person's extent, which becomes a channel of its own."""
    log_h = h.log().expand(*turned.shape[:-1], 1)
    return Encoded(inputs=torch.cat([turned / h, log_h], dim=-1), rotation=rotation)


@dataclass(frozen=True)
class PerspectivePerFrameEncoding(PerspectiveEncoding):
    """As ``perspective``, with a rotation and an extent of its own for every frame of a clip.

    The person is in the middle of every frame, however fast they cross the image, and how they do so is not
    seen. Losses that compare frames are measured in the camera's axes. On single frames it is
    ``perspective``.
    """

    name: EncodingName = "perspective_per_frame"

    def encode(
        self,
        keypoints_px: Tensor,
        intrinsics: Intrinsics,
        generator: torch.Generator | None = None,
        rays: Tensor | None = None,
    ) -> Encoded:
        """Take every frame for a clip of one, but for a jitter that the frames of a clip share."""
        rays = _rays(keypoints_px, intrinsics, rays)
        rotation = perspective_rotation(self._jittered(box_centre(rays), rays, (2,), generator))
        turned = rotate_rays(rays, rotation)  # (batch, frames, joints, 2)
        return _in_extents(turned, extent(turned)[..., None, None], rotation)


@dataclass(frozen=True)
class KnownEncoding(Encoding):
    """The perspective encoding for cameras whose intrinsics may be unknown, and a channel that says so.

    Where they are unknown, the camera is taken as a pinhole with a usual field of view, log h is 0 and the
    channel is 0, else 1, as PersPose tells its network. Intrinsics say of themselves whether they are known
    (``Intrinsics.known``), which those of assumed cameras are not. In training, they are hidden from some
    clips of known cameras as well.

    Attributes
    ----------
    hidden_share : float
        Of the clips in training, those whose intrinsics are hidden; a choice of ours.
    field_of_view_deg : float
        Across the image's width, for an unknown camera: that of a lens of 50 mm before film 36 mm wide.
    of : PerspectiveEncoding
        What is done with the intrinsics, known or taken.
    """

    name: EncodingName = "perspective_and_known"
    channels: int = 4
    hidden_share: float = 0.5
    field_of_view_deg: float = math.degrees(2 * math.atan(36 / 2 / 50))
    of: PerspectiveEncoding = PerspectiveEncoding()

    def encode(
        self,
        keypoints_px: Tensor,
        intrinsics: Intrinsics,
        generator: torch.Generator | None = None,
        rays: Tensor | None = None,
    ) -> Encoded:
        """Hide intrinsics that are not known; see :meth:`Encoding.encode`."""
        del rays  # they are those of cameras that may be hidden
        size = intrinsics.size_px
        known = intrinsics.told[:, 0]
        if generator is not None:
            drawn = torch.rand(known.shape, generator=generator, device=known.device)
            known = known * (drawn >= self.hidden_share)
        taken = pinhole_of_view(size, math.radians(self.field_of_view_deg))
        shown = intrinsics.where(known > 0, taken)
        encoded = self.of.encode(keypoints_px, shown, generator)
        told = known[:, None, None, None].to(encoded.inputs.dtype).expand(*encoded.inputs.shape[:-1], 1)
        inputs = torch.cat([encoded.inputs[..., :2], encoded.inputs[..., 2:] * told, told], dim=-1)
        return Encoded(inputs=inputs, rotation=encoded.rotation)


@dataclass(frozen=True)
class SeenEncoding(Encoding):
    """Another encoding, and one channel more: 1 for a joint that was seen and 0 for one that was not.

    A joint that was not seen is put in the middle of the box around those that were, so that it moves neither
    the box nor what is made of it.

    Attributes
    ----------
    of : Encoding
        The other encoding.
    name : EncodingName
        As recipes call it.
    channels : int
        One more than the other's.
    sees_gaps : bool
        True.
    """

    of: Encoding
    name: EncodingName
    channels: int
    sees_gaps: bool = True

    def encode(
        self,
        keypoints_px: Tensor,
        intrinsics: Intrinsics,
        generator: torch.Generator | None = None,
        rays: Tensor | None = None,
    ) -> Encoded:
        """Put what was not seen in the middle, and say so; see :meth:`Encoding.encode`."""
        del rays  # they have gaps
        seen = keypoints_px.isfinite().all(dim=-1, keepdim=True)
        encoded = self.of.encode(_with_middle(keypoints_px, seen, intrinsics), intrinsics, generator)
        inputs = torch.cat([encoded.inputs, seen.to(encoded.inputs.dtype)], dim=-1)
        return Encoded(inputs=inputs, rotation=encoded.rotation)


def _with_middle(keypoints_px: Tensor, seen: Tensor, intrinsics: Intrinsics) -> Tensor:
    """Put unseen joints in the middle of the frame's box, else of the clip's, else of the image."""
    low = torch.where(seen, keypoints_px, torch.inf)
    high = torch.where(seen, keypoints_px, -torch.inf)
    middle = (low.amin(dim=2, keepdim=True) + high.amax(dim=2, keepdim=True)) / 2
    of_clip = (low.amin(dim=(1, 2), keepdim=True) + high.amax(dim=(1, 2), keepdim=True)) / 2
    of_image = intrinsics.size_px[:, None, None, :].to(keypoints_px.dtype) / 2
    middle = torch.where(middle.isfinite(), middle, torch.where(of_clip.isfinite(), of_clip, of_image))
    return torch.where(seen, keypoints_px, middle)


_PLAIN = (ScreenEncoding(), RayEncoding(), PerspectiveEncoding(), PerspectivePerFrameEncoding())
_AND_SEEN = (
    SeenEncoding(_PLAIN[0], "screen_and_seen", 3),
    SeenEncoding(_PLAIN[1], "ray_and_seen", 3),
    SeenEncoding(_PLAIN[2], "perspective_and_seen", 4),
)
_ENCODINGS: Mapping[EncodingName, Encoding] = MappingProxyType(
    {one.name: one for one in (*_PLAIN, *_AND_SEEN, KnownEncoding())}
)


def encoding(name: EncodingName) -> Encoding:
    """Return the encoding of that name.

    Raises
    ------
    ValueError
        When there is none; the message lists those that there are.
    """
    if name not in _ENCODINGS:
        raise ValueError(f"no encoding {name!r}; there are {', '.join(_ENCODINGS)}")
    return _ENCODINGS[name]
