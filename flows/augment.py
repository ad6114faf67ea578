"""Synthetic training sets: from a labelled store to a store (and an npz) of changed poses.

Poses are augmented, by parameters from a generator that PoseDA has trained or by parameters drawn at random,
and stand where the source's do or where target people are seen; or they are only placed there and not
augmented, which is global position alignment off line. The same request makes the same set.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import model_validator

from poseshift.adaptation.global_position import GlobalPositionConfig
from poseshift.adaptation.staging import TargetStage
from poseshift.adaptation.target_keypoints import TargetKeypoints
from poseshift.augmentation.checkpoint import WEIGHTS_FILE, load_generator
from poseshift.augmentation.generator import ParameterSource, RandomChanges, RandomParameters
from poseshift.augmentation.synthesis import Stage, SynthesisOptions, stay, write_augmented_store
from poseshift.flows.experiment.data import open_poses
from poseshift.flows.experiment.progress import Step, report_progress
from poseshift.flows.experiment.recipe import PoseData
from poseshift.flows.runtime.cluster import mapper
from poseshift.flows.runtime.logs import recorded
from poseshift.flows.runtime.retries import patient_task
from poseshift.geometry.skeleton import skeleton
from poseshift.storage.exchange.augmented import export_augmented
from poseshift.storage.exchange.publication import ExportOrigin, publish, staged
from poseshift.storage.model import FrozenModel
from poseshift.storage.provenance import digest_file
from poseshift.storage.reading import read_camera_poses
from poseshift.storage.store import PoseStore

SynthesisMethod = Literal["augment", "gpa"]
"""What is done to poses: ``augment`` changes them, and places them where a target is given; ``gpa`` (global
position alignment) places them where target people are seen and changes nothing else."""


class AugmentRequest(FrozenModel):
    """One synthetic set."""

    source: PoseData
    """Labelled poses to change."""
    store: str
    """Folder or Icechunk location of the new store; one that is complete for the same request is kept."""
    method: SynthesisMethod = "augment"
    """augment: change bones and headings; gpa: place poses where target people are seen, nothing else."""
    target: PoseData | None = None
    """Where poses stand and who sees them (2D keypoints, cameras); the source if left out."""
    placement: GlobalPositionConfig = GlobalPositionConfig()
    """How they are placed in front of the target's cameras."""
    generator: Path | None = None
    """Folder of a trained generator (`generator` beside the `lifter` of a PoseDA run); random if left out."""
    random: RandomChanges = RandomChanges()
    """How large random changes are, without a generator; as in a recipe's `augmentation`, where left out."""
    copies: int = 1
    """Augmented versions of every pose."""
    segment_frames: int = 1
    """Successive frames with the same parameters; more than a clip's length for lifters of clips."""
    seed: int = 0
    """Of everything random."""
    npz: Path | None = None
    """A file of plain arrays to write, too, for programs that do not read the store."""
    replace: bool = False
    """Whether an npz that was made from something else is overwritten."""
    dask: str | None = None
    """Address of a Dask scheduler (tcp://host:8786) whose workers augment; the set is the same."""

    @model_validator(mode="after")
    def _fits_the_method(self) -> AugmentRequest:
        if self.method == "augment":
            return self
        if self.target is None:
            raise ValueError("method gpa places poses where target people are seen; give it a target")
        if self.generator is not None:
            raise ValueError("method gpa augments nothing; leave the generator out, or choose augment")
        if self.npz is not None:
            raise ValueError(
                "the npz holds parameters of augmentation, and method gpa has none; leave it out"
            )
        return self


class AugmentRecord(FrozenModel):
    """What was made."""

    store: str
    """Where it is."""
    snapshot: str
    """Its snapshot."""
    trials: int
    """Trials in it: one for each copy of each (trial, camera)."""
    poses: int
    """Poses in it."""
    restaged_from: str | None
    """The motion behind a restaged source; None for recordings."""
    remarks: tuple[str, ...] = ()
    """What deserves a second look: selections that leave little of a store."""


def augment_store(request: AugmentRequest) -> AugmentRecord:
    """Make a synthetic set.

    Raises
    ------
    FileNotFoundError, StoreError, WrongDatasetError, ValueError
        What the request names is not there, does not fit, or lies where the set should go.
    """
    name = f"augment {request.store}"
    report_progress(Step(name, 0, 1))
    source = open_poses(request.source)
    remarks = source.remarks(source.labelled())
    made_by = {"placement": "source", "frames": _described(request.source)}
    stage: Stage = stay
    if request.target is not None:
        target = open_poses(request.target)
        seen = target.unlabelled()
        remarks += target.remarks(seen)
        keypoints = TargetKeypoints.from_poses(seen)
        placed = TargetStage(request.placement, keypoints, source.store.skeleton)
        stage = placed
        made_by |= {
            **placed.made_by,
            "target_snapshot": target.store.snapshot,
            "target_frames": _described(request.target),
        }
    parameters, made_by["parameters"] = _parameters(request, source.store.skeleton)
    with mapper(request.dask) as over:
        store = write_augmented_store(
            request.store,
            source.store,
            parameters,
            SynthesisOptions(request.seed, request.copies, request.segment_frames),
            selection=request.source.selection,
            stage=stage,
            made_by=made_by,
            over=over,
        )
    if request.npz is not None:
        origin = ExportOrigin(layout="augmented", source=str(store.location), snapshot=store.snapshot)
        with staged(request.npz) as draft:
            export_augmented(store, draft)
            publish(draft, request.npz, origin, replace=request.replace)
    record = _record(store, remarks)
    report_progress(Step(name, 1, 1, f"{record.poses:,} poses"))
    return record


def _parameters(request: AugmentRequest, skeleton_name: str) -> tuple[ParameterSource | None, str]:
    """Find the source of parameters, none where nothing is augmented, and describe it."""
    if request.method == "gpa":
        return None, "none"
    if request.generator is None:
        described = ", ".join(f"{name} {value}" for name, value in request.random.model_dump().items())
        return RandomParameters(skeleton(skeleton_name), request.random), f"random: {described}"
    trained = load_generator(request.generator)
    if trained.skeleton.name != skeleton_name:
        raise ValueError(
            f"{request.generator} was trained on {trained.skeleton.name}, the source is {skeleton_name}"
        )
    weights = digest_file(request.generator / WEIGHTS_FILE, request.generator)
    return trained, f"generator {weights.sha256}"


def _described(data: PoseData) -> str:
    return repr(data.selection)


def _record(store: PoseStore, remarks: tuple[str, ...]) -> AugmentRecord:
    return AugmentRecord(
        store=str(store.location),
        snapshot=store.snapshot,
        trials=len(store.keys()),
        poses=len(read_camera_poses(store)),
        restaged_from=store.attributes.restaged_from,
        remarks=remarks,
    )


_augment_task = patient_task(augment_store, "augment store")


def augment(request: AugmentRequest) -> AugmentRecord:
    """Make a synthetic training set from a labelled store."""
    with recorded():
        return _augment_task(request)
