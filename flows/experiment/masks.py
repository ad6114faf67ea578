"""Moving a prediction's poses to fit masks of a folder, view by view."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from poseshift.flows.experiment.progress import Step, report_progress
from poseshift.geometry.camera import Camera
from poseshift.geometry.skeleton import Skeleton
from poseshift.storage.mask_files import MaskError, MaskFolder
from poseshift.storage.model import FrozenModel
from poseshift.storage.store import PoseStore
from poseshift.training.prediction.mask_refinement import MaskRefinement, refine_view
from poseshift.training.prediction.mask_targets import MaskClasses
from poseshift.training.prediction.views import View
from poseshift.training.rendering.body_model import PARTS


class MaskOptions(FrozenModel):
    """Masks of the people, and how poses are moved to fit them."""

    folder: Path
    """Holds a picture or a run-length mask for every frame that has one."""
    refinement: MaskRefinement = MaskRefinement()
    """How poses are moved."""


class RefinedView(FrozenModel):
    """What masks did to one view."""

    subject: str
    """The person."""
    trial: str
    """The trial."""
    camera: str
    """The camera."""
    frames: int
    """Frames of the view."""
    refined_frames: int
    """Frames that had a mask, whose poses were moved."""
    girths: dict[str, float]
    """By part of the body, times the radius that capsules begin with; empty where there was no mask."""


def open_masks(options: MaskOptions) -> MaskFolder:
    """Look at the folder of masks; MaskError where it cannot be used."""
    return MaskFolder.open(options.folder, PARTS)


def refine_views(
    store: PoseStore, views: Sequence[View], masks: MaskFolder, settings: MaskRefinement, skeleton: Skeleton
) -> tuple[tuple[View, ...], tuple[RefinedView, ...]]:
    """Move the poses of all frames that have a mask.

    Parameters
    ----------
    store : PoseStore
        Of the views; knows the lenses of the cameras, which views are freed of.
    views : sequence of View
        As they were lifted.
    masks : MaskFolder
        Where the masks are.
    settings : MaskRefinement
        How poses are moved.
    skeleton : Skeleton
        Of the poses.

    Raises
    ------
    poseshift.storage.mask_files.MaskError
        A mask cannot be read, or no view has one.
    """
    classes = MaskClasses(masks.labels)
    moved, told = [], []
    for number, view in enumerate(views):
        report_progress(Step("fit masks", number, len(views)))
        held = masks.view(view.trial.key, _camera_with_lens(store, view))
        refined = refine_view(view, held, classes, skeleton, settings)
        moved.append(refined.view)
        told.append(
            RefinedView(
                subject=view.trial.key.subject,
                trial=view.trial.key.trial,
                camera=view.camera.name,
                frames=len(view.frame),
                refined_frames=refined.frames,
                girths=dict(refined.girths),
            )
        )
    report_progress(Step("fit masks", len(views), len(views)))
    if not any(one.refined_frames for one in told):
        first = views[0]
        raise MaskError(
            masks.folder,
            "no mask of any frame that was lifted",
            f"pictures such as {first.trial.key.path}/{first.camera.name}/{int(first.frame[0]):06d}.png, or "
            f"{first.trial.key.path}/{first.camera.name}.json",
        )
    return tuple(moved), tuple(told)


def said_of(masks: MaskFolder, refined: Sequence[RefinedView]) -> str:
    """Say in a sentence what masks were used for."""
    frames, all_frames = sum(one.refined_frames for one in refined), sum(one.frames for one in refined)
    kind = "silhouettes" if masks.labels is None else "part masks"
    views = sum(one.refined_frames > 0 for one in refined)
    return (
        f"Poses of {frames:,} of {all_frames:,} frames in {views} of {len(refined)} views were moved to fit "
        f"{kind} in {masks.folder}, by a body of capsules whose girth was fitted too."
    )


def _camera_with_lens(store: PoseStore, view: View) -> Camera:
    cameras = store.trial_attributes(view.trial.key).cameras
    return next(camera for camera in cameras if camera.name == view.camera.name)
