"""What lies between a recipe's source and target, before and after each step of its adaptation.

Figures by keypoints need no label of the target. Those by 3D are made on request, for reports: no training
reads what is written here.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from pydantic import Field

from poseshift.adaptation.config import Adaptation, alignment_of
from poseshift.adaptation.domain_gap import (
    Compared,
    GapConfig,
    KeypointStage,
    LabelledStage,
    Step,
    keypoint_gap,
    labelled_gap,
)
from poseshift.adaptation.plan import alignment_transforms, finds_gravity_in_training
from poseshift.adaptation.viewpoint import JitteredViewpoint, RandomViewpoint
from poseshift.flows.experiment.data import open_poses
from poseshift.flows.experiment.fitting import known_gravity, planned, resolve_device
from poseshift.flows.experiment.folder import RunFolder
from poseshift.flows.experiment.progress import Step as Told
from poseshift.flows.experiment.progress import report_progress
from poseshift.flows.experiment.recipe import Recipe
from poseshift.flows.experiment.train import GRAVITY
from poseshift.flows.report.histograms import Panel, draw
from poseshift.storage.columns import CameraPoses
from poseshift.storage.files import write_atomically
from poseshift.storage.model import FrozenModel
from poseshift.storage.provenance import git_commit
from poseshift.training.batches import BatchTransform, DevicePoses

REPORT_FILE, KEYPOINT_PLOT, LABELLED_PLOT = "gap.json", "keypoints.svg", "labelled.svg"


class GapRequest(FrozenModel):
    """What to compare."""

    recipe: Recipe
    """Names source, target and adaptation. What PoseDA learns beside the alignment is not among the steps."""
    labelled: bool = False
    """Whether to look at the target's 3D as well."""
    config: GapConfig = GapConfig()
    """How much is looked at."""


class GapReport(FrozenModel):
    """What was found."""

    snapshots: dict[str, str] = Field(min_length=1)
    """Snapshot of each store that was read."""
    request: GapRequest
    """What was asked."""
    keypoints: tuple[KeypointStage, ...]
    """By keypoints alone: the source, then after every step."""
    labelled: tuple[LabelledStage, ...] = ()
    """By 3D, when it was asked for."""
    git_commit: str | None
    """Commit of the program, when it runs from a checkout."""


def measure_gap(request: GapRequest, folder: Path) -> GapReport:
    """Compare a recipe's domains; write ``gap.json`` and plots into a folder.

    Parameters
    ----------
    request : GapRequest
        What to compare; the recipe's stores must be there.
    folder : Path
        Gets the report, and the target cameras' gravity where the recipe's run has not found it.

    Raises
    ------
    ValueError
        The recipe has no target, or a store holds nothing of the selection.
    poseshift.storage.store.StoreError
        A store cannot be read.
    """
    recipe = request.recipe
    if recipe.target is None:
        raise ValueError(f"recipe {recipe.name} has no target to compare with; add `target:`")
    folder.mkdir(parents=True, exist_ok=True)
    device = resolve_device(recipe.device)
    opened_source, opened_target = open_poses(recipe.source), open_poses(recipe.target)
    labelled, unlabelled = opened_source.labelled(), opened_target.unlabelled()
    opened_source.remarks(labelled)
    opened_target.remarks(unlabelled)
    source = DevicePoses.from_columns(labelled, device, frames=1)
    target = DevicePoses.from_columns(unlabelled, device, frames=1)
    adaptation = recipe.entry(recipe.method.name).adaptation
    moved = _alignment(recipe, adaptation, labelled, unlabelled, folder, device)
    steps = [Step(name, transform) for name, transform in zip(step_names(adaptation), moved, strict=True)]
    report_progress(Told("domain gap", 0, 1 + request.labelled))
    by_keypoints = keypoint_gap(source, target, steps, request.config)
    by_labels: tuple[LabelledStage, ...] = ()
    if request.labelled:
        report_progress(Told("domain gap", 1, 2))
        labelled_target = DevicePoses.from_columns(opened_target.labelled(), device, frames=1)
        by_labels = labelled_gap(source, labelled_target, steps, request.config)
    report = GapReport(
        snapshots={one.data.dataset: one.store.snapshot for one in (opened_source, opened_target)},
        request=request,
        keypoints=by_keypoints,
        labelled=by_labels,
        git_commit=git_commit(),
    )
    write_atomically(folder / REPORT_FILE, report.model_dump_json(indent=2) + "\n")
    draw(tuple(Panel(one.step, keypoint_quantities(one)) for one in by_keypoints), folder / KEYPOINT_PLOT)
    if by_labels:
        draw(tuple(Panel(one.step, labelled_quantities(one)) for one in by_labels), folder / LABELLED_PLOT)
    report_progress(Told("domain gap", 1 + request.labelled, 1 + request.labelled, str(folder)))
    return report


def _alignment(
    recipe: Recipe,
    adaptation: Adaptation,
    source: CameraPoses,
    target: CameraPoses,
    folder: Path,
    device: torch.device,
) -> Sequence[BatchTransform]:
    """Build the alignment with the gravity of the recipe's run, or with what that run would learn."""
    seed = recipe.seeds[0]
    found_by_run = RunFolder(recipe.run_dir).gravity(recipe.method.name, seed)
    if finds_gravity_in_training(adaptation):
        gravity = known_gravity(found_by_run)
        if gravity is None:
            raise ValueError(
                f"recipe {recipe.name} finds viewpoints by its lifter's own answers; run it first: "
                "`poseshift run`"
            )
        return alignment_transforms(adaptation, source, target, device, gravity)
    aligned = alignment_of(adaptation)
    if aligned is None:
        return ()
    gravity_file = found_by_run if found_by_run.exists() else folder / GRAVITY
    return planned(aligned, source, target, gravity_file, seed, device).transforms


def step_names(adaptation: Adaptation) -> Sequence[str]:
    """Name the steps of an adaptation's alignment for people, in their order."""
    aligned = alignment_of(adaptation)
    if aligned is None:
        return ()
    bodies = () if aligned.bodies is None else ("bodies",)
    augmented = bodies if aligned.augmentation is None else (*bodies, "random augmentation")
    if aligned.viewpoint.kind in ("aligned", "pseudo-labels"):
        return (*augmented, "viewpoint and position alignment")
    if isinstance(aligned.viewpoint, RandomViewpoint):
        return (*augmented, "random viewpoints", "position alignment")
    if isinstance(aligned.viewpoint, JitteredViewpoint):
        return (*augmented, "random tilts", "position alignment")
    return (*augmented, "position alignment")


def keypoint_quantities(stage: KeypointStage) -> tuple[Compared, ...]:
    """List what is compared by keypoints."""
    return (stage.gap.root_x, stage.gap.root_y, stage.gap.scale)


def labelled_quantities(stage: LabelledStage) -> tuple[Compared, ...]:
    """List what is compared by 3D; of the bones, all."""
    return (stage.gap.depth, stage.gap.pitch, *stage.gap.bones)
