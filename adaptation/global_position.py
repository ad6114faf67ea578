"""Global position alignment (GPA) of PoseDA (Chai et al., ICCV 2023): source poses where target people stand.

Each labelled source pose is paired with a random target pose, of which only keypoints and intrinsics are
known. It is moved, neither turned nor resized, to the depth at which it looks as large as the target person,
on the ray of the target's root, and projected by the target's camera. A clip is paired with a target clip,
whose root it follows through the image (:mod:`poseshift.adaptation.trajectory`). Nothing is learned, and no
target 3D is seen. The controls of the method are options of the same transform; PoseDA's learned local part
is not here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch
from array_api_compat import array_namespace
from pydantic import Field
from torch import Tensor

from poseshift.adaptation.target_keypoints import TargetKeypoints, TargetViews, on_device, pixels_of, sides
from poseshift.adaptation.trajectory import RootPath, TargetClips, follow, nearest_on_the_way
from poseshift.augmentation.clips import middle, middle_root
from poseshift.augmentation.draws import draw_rows, draw_uniform
from poseshift.geometry.arrays import Array, like
from poseshift.geometry.bones import bone_lengths
from poseshift.geometry.camera import stack_intrinsics
from poseshift.geometry.constants import indices
from poseshift.geometry.intrinsics import Intrinsics
from poseshift.geometry.projection import normalise
from poseshift.geometry.rotation import rotate, rotate_back
from poseshift.geometry.skeleton import Skeleton, skeleton
from poseshift.storage.model import FrozenModel, is_still
from poseshift.training.batches import Batch

RootForm = Literal["ray", "wide"]
DepthFrom = Literal["extent", "bones"]
Copied = Literal["root_and_scale", "root_only", "scale_only", "random_uniform"]
Trajectory = Literal["target", "source"]


class GlobalPositionConfig(FrozenModel):
    """Options of global position alignment."""

    root_form: RootForm = Field(
        default="ray",
        description=(
            "'ray' puts the root on the target root's viewing ray, so both project to the same pixel; 'wide' "
            "does not divide by the focal length, which spreads the roots by that factor (2 f / width), as "
            "the histograms that PoseDA shows suggest."
        ),
    )
    copied: Copied = Field(
        default="root_and_scale",
        description=(
            "What a source pose takes from its target pose: root and apparent size (the method), or a "
            "control: 'root_only' keeps the source's depth, 'scale_only' keeps the source's direction, "
            "'random_uniform' draws direction and depth uniformly from the range that the method would give "
            "to the same poses."
        ),
    )
    depth_from: DepthFrom = Field(
        default="extent",
        description=(
            "How deep a pose is put: 'extent' (the method) by the sides of the boxes of both poses, which "
            "differ in posture, too; 'bones' by the lengths of the source's bones against those seen of the "
            "target."
        ),
    )
    trajectory: Trajectory = Field(
        default="target",
        exclude_if=is_still("target"),
        description=(
            "How the root of a clip moves: 'target' along the rays of the target clip's roots, no faster "
            "than `fastest_m_s`; 'source' as it did, which is the control. Single frames do not move."
        ),
    )
    fastest_m_s: float = Field(
        default=4.0,
        gt=0,
        exclude_if=is_still(4.0),
        description=(
            "Largest mean speed of a root over a clip that follows a target clip's, metres per second, which "
            "is a run: a target seen small and near its camera would make a large body fly."
        ),
    )
    nearest_m: float = Field(
        default=0.5,
        gt=0,
        description=(
            "No joint comes nearer to the camera plane than this: poses that would are moved away along "
            "their ray, which leaves the root's pixel as it is."
        ),
    )


@dataclass(frozen=True)
class Placement:
    """Where roots go: ``(depth x, depth y, depth)``.

    Attributes
    ----------
    direction : Array
        (n, 2), x/z and y/z of the root.
    depth : Array
        (n,), metres.
    """

    direction: Array
    depth: Array

    @property
    def root(self) -> Array:
        """Root positions (n, 3), metres, camera axes."""
        xp = array_namespace(self.depth)
        return xp.concat([self.direction * self.depth[:, None], self.depth[:, None]], axis=-1)


def align(
    positions_camera: Array,
    target_keypoints_px: Array,
    target_intrinsics: Intrinsics,
    *,
    root: int,
    root_form: RootForm = "ray",
) -> Array:
    """Move each pose to where its target pose is seen: the method's steps on given pairs, without safeguards.

    Parameters
    ----------
    positions_camera : Array
        (n, joints, 3), metres, camera axes of the source.
    target_keypoints_px : Array
        (n, joints, 2), pixels, distorted as the target's camera sees them.
    target_intrinsics : Intrinsics
        Leading dimension (n,).
    root : int
        Index of the root joint.
    root_form : RootForm
        See :class:`GlobalPositionConfig`.

    Returns
    -------
    Array
        (n, joints, 3), metres, camera axes of the target; root-relative it is what it was.
    """
    rays = normalise(target_keypoints_px, target_intrinsics)
    placement = match(positions_camera, rays, target_intrinsics, root=root, root_form=root_form)
    return positions_camera - positions_camera[:, root : root + 1, :] + placement.root[:, None, :]


def match(
    positions_camera: Array,
    target_rays: Array,
    target_intrinsics: Intrinsics,
    *,
    root: int,
    root_form: RootForm,
) -> Placement:
    """Depth at which poses look as large as their targets, and direction of the targets' roots.

    With dx, dy the extents of the source pose in metres and w, h those of the target in pixels, the depth is
    ``(fx dx + fy dy) / (w + h)``: weak perspective, sizes averaged over the axes. The ratio has no unit, so
    normalised coordinates give the same depth as long as both axes are divided by the same length.

    Parameters
    ----------
    positions_camera : Array
        (n, joints, 3), metres.
    target_rays : Array
        (n, joints, 2), undistorted.
    target_intrinsics : Intrinsics
        Leading dimension (n,).
    root : int
        Index of the root joint.
    root_form : RootForm
        See :class:`GlobalPositionConfig`.

    Returns
    -------
    Placement
        Of n roots.
    """
    xp = array_namespace(positions_camera)
    focal = like(target_intrinsics.focal_px, positions_camera)
    width = like(target_intrinsics.size_px, positions_camera)[..., 0:1]
    size_px = xp.sum(focal * sides(target_rays), axis=-1)
    depth = xp.sum(focal * sides(positions_camera[..., :2]), axis=-1) / size_px
    ray = target_rays[:, root, :]
    return Placement(direction=ray if root_form == "ray" else ray * (2 * focal / width), depth=depth)


def depth_by_bones(positions_camera: Tensor, target_rays: Tensor, joint_set: Skeleton) -> Tensor:
    """Depth at which a body's bones would look as long as those of its target, whatever the posture.

    A bone of length L that is seen with length l (in ray coordinates) is at most L / l away, and as far when
    it lies across the image. Some of the long bones always do: the depth is a low quantile of the bounds.

    Parameters
    ----------
    positions_camera : Tensor
        (n, joints, 3), metres.
    target_rays : Tensor
        (n, joints, 2), undistorted.
    joint_set : Skeleton
        Names the bones.

    Returns
    -------
    Tensor
        (n,), metres.
    """
    lengths: Tensor = bone_lengths(positions_camera, joint_set)
    parents, children = (indices(ends, target_rays) for ends in zip(*joint_set.bones, strict=True))
    seen = (target_rays[:, children] - target_rays[:, parents]).norm(dim=-1)
    # Short bones say little: a centimetre of noise is a tenth of them.
    counted = (lengths > _LONG_BONE_M) & (seen > 0)
    bounds = torch.where(counted, lengths / seen, torch.nan)
    return torch.nanquantile(bounds, _BOUND_QUANTILE, dim=-1)


_LONG_BONE_M = 0.2
_BOUND_QUANTILE = 0.25


class GlobalPositionAlignment:
    """Give every clip of a batch the position of a random target pose: a ``BatchTransform``.

    Target poses are drawn with replacement. A clip is placed by its middle frame; its root then moves as the
    configuration's ``trajectory`` says.

    Parameters
    ----------
    config : GlobalPositionConfig
        Which form or control.
    target : TargetKeypoints
        Keypoints and cameras of the target.
    device : torch.device or str
        Where batches are.

    Attributes
    ----------
    root : int
        Index of the root joint.
    camera : Tensor
        (n,), the camera (row of the target's table) of each target pose.
    """

    places_anew: ClassVar[Literal[True]] = True

    def __init__(
        self, config: GlobalPositionConfig, target: TargetKeypoints, device: torch.device | str = "cpu"
    ) -> None:
        self.config = config
        self.joint_set = skeleton(target.skeleton)
        self.root = self.joint_set.root
        self.camera = torch.as_tensor(target.camera, dtype=torch.int64, device=device)
        self._rays = torch.as_tensor(target.rays, device=device)
        self._cameras, self._ups = target.cameras, target.known_ups
        self._turns = None if target.turns is None else torch.as_tensor(target.turns, device=device)
        self._intrinsics = on_device(stack_intrinsics(target.cameras), self._rays).packed
        self._roots = TargetClips(self._rays[:, self.root], target.runs)

    @property
    def camera_up(self) -> Tensor:
        """Unit vectors against gravity by calibrations, (cameras, 3), for :meth:`to_camera`.

        Raises
        ------
        ValueError
            When the calibration of a camera says nothing of it.
        """
        unknown = [one.name for one, up in zip(self._cameras, self._ups, strict=True) if up is None]
        if unknown:
            raise ValueError(
                f"the target's cameras {', '.join(unknown)} have no extrinsics, so where up is is not known; "
                "use viewpoints `aligned` or `random`, or calibrate the cameras against the floor (of a "
                "trajectory: say --world-up)"
            )
        return self._rays.new_tensor(self._ups)

    def to_camera(self, directions: Tensor, rows: Tensor) -> Tensor:
        """Turn directions (n, 3) into the axes of the cameras of target poses (n,).

        They are told in the camera's axes where it stands still, and in its world's where it moves.
        """
        if self._turns is None:
            return directions
        turned: Tensor = rotate(directions, self._turns[rows])
        return turned

    def from_camera(self, directions: Tensor, rows: Tensor) -> Tensor:
        """Turn directions (n, 3) in camera axes into those that are the same in all frames of a camera."""
        if self._turns is None:
            return directions
        turned: Tensor = rotate_back(directions, self._turns[rows])
        return turned

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Draw one target pose per clip and move the clip there; see the class."""
        return self.move(batch, self.draw(len(batch), generator), generator)

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Draw target poses with replacement, (count,) row numbers."""
        return draw_rows(len(self._rays), count, generator)

    def seen(self, rows: Tensor) -> TargetViews:
        """Look up target poses by their row numbers, as keypoints in front of their cameras."""
        rays, intrinsics = self._rays[rows], Intrinsics.unpacked(self._intrinsics[self.camera[rows]])
        return TargetViews(pixels_of(rays, intrinsics), intrinsics)

    def move(self, batch: Batch, rows: Tensor, generator: torch.Generator) -> Batch:
        """Move each clip to the target pose of the row that stands with it."""
        rays, intrinsics = self._rays[rows], Intrinsics.unpacked(self._intrinsics[self.camera[rows]])
        clips = batch.positions_camera
        path = self._path(rows, clips.shape[1])
        moved = place(clips, rays, intrinsics, self.config, self.joint_set, generator, path)
        return Batch.seen(moved, intrinsics, batch.up_camera)

    def _path(self, rows: Tensor, frames: int) -> RootPath | None:
        """Look up where target roots move around their rows; None where clips keep their own motion."""
        # The control that copies nothing but the scale leaves the root's motion to the source, too.
        if frames == 1 or self.config.trajectory == "source" or self.config.copied == "scale_only":
            return None
        return RootPath(self._roots.around(rows, frames), self._roots.hz, self.config.fastest_m_s)


def place(
    clips: Tensor,
    target_rays: Tensor,
    target_intrinsics: Intrinsics,
    config: GlobalPositionConfig,
    joint_set: Skeleton,
    generator: torch.Generator,
    path: RootPath | None = None,
) -> Tensor:
    """Move clips to given target poses, with the config's form, control and safeguard.

    Gradients reach the clips' root-relative part only: the position is a constant.

    Parameters
    ----------
    clips : Tensor
        (n, frames, joints, 3), metres, camera axes of the source.
    target_rays : Tensor
        (n, joints, 2), undistorted.
    target_intrinsics : Intrinsics
        Leading dimension (n,).
    config : GlobalPositionConfig
        Form, control and safeguard.
    joint_set : Skeleton
        Names the root and the bones.
    generator : torch.Generator
        Used by the control ``random_uniform`` alone.
    path : RootPath or None
        Rays that the roots follow; None leaves their own motion.

    Returns
    -------
    Tensor
        (n, frames, joints, 3), metres, camera axes of the target.
    """
    root = joint_set.root
    relative = clips - middle_root(clips, root)
    with torch.no_grad():
        pose = middle(clips)
        matched = match(pose, target_rays, target_intrinsics, root=root, root_form=config.root_form)
        if config.depth_from == "bones":
            matched = replace(matched, depth=depth_by_bones(pose, target_rays, joint_set))
        placement = _controlled(matched, pose[:, root], config.copied, generator)
        own = relative[:, :, root]
        reaching = relative if path is None else nearest_on_the_way(relative - own[:, :, None], own)
        placement = replace(placement, depth=at_least(config.nearest_m, placement.depth, reaching))
        shift = placement.root[:, None, None]
        if path is not None:
            shift = (follow(path, placement.direction, placement.depth, own) - own)[:, :, None]
    moved: Tensor = relative + shift
    return moved


def at_least(nearest_m: float, depth: Tensor, relative: Tensor) -> Tensor:
    """Move roots away until no joint of a clip is nearer to the camera's plane than it may be.

    Parameters
    ----------
    nearest_m : float
        The least depth of a joint, metres.
    depth : Tensor
        (n,), of the roots, metres.
    relative : Tensor
        (n, frames, joints, 3), metres, relative to the roots.
    """
    return torch.maximum(depth, nearest_m - relative[..., 2].amin(dim=(1, 2)))


def _controlled(
    matched: Placement, source_root: Tensor, copied: Copied, generator: torch.Generator
) -> Placement:
    """Replace the parts of a placement that the option does not copy; ``source_root`` is (n, 3)."""
    if copied == "root_only":
        return replace(matched, depth=source_root[:, 2])
    if copied == "scale_only":
        return replace(matched, direction=source_root[:, :2] / source_root[:, 2:3])
    if copied == "random_uniform":
        return Placement(
            direction=_uniform_like(matched.direction, generator),
            depth=_uniform_like(matched.depth, generator),
        )
    return matched


def _uniform_like(values: Tensor, generator: torch.Generator) -> Tensor:
    """Draw (n, ...) uniformly between the smallest and the largest of the values along the first axis."""
    return draw_uniform(values.shape, values.amin(dim=0), values.amax(dim=0), values, generator)
