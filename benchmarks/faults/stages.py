"""The stages that are killed: how each is run in a place, what may be found there after, and what it leaves.

A stage's product is a set of named pieces with digest and size, so that two products can be compared and what
is lost can be counted in bytes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import torch
from benchmarks.faults.scene import Scene

from poseshift.adaptation.config import Adaptation, GlobalPositionAdaptation, NoAdaptation, PoseDAAdaptation
from poseshift.flows.augment import AugmentRequest, augment_store
from poseshift.flows.experiment.recipe import PoseData
from poseshift.flows.experiment.train import CHECKPOINT, TrainingJob, train_lifter
from poseshift.flows.prepare import PrepareRequest, prepare_store
from poseshift.storage.provenance import digest_file
from poseshift.storage.store import PoseStore
from poseshift.training.checkpoint import DESCRIPTION_FILE, WEIGHTS_FILE, load_lifter, load_state
from poseshift.training.lifters.registry import preset
from poseshift.training.run_state import STATE_FILE
from poseshift.training.schedule import Schedule

SCHEDULE = Schedule(
    epochs=12, steps_per_epoch=6, batch_size=64, warmup_steps=5, ema_decay=0.9, precision="32-true"
)


@dataclass(frozen=True)
class Piece:
    """One array of a store or one file."""

    digest: str
    bytes: int


Product = Mapping[str, Piece]


@dataclass(frozen=True)
class Stage:
    """Work that may be killed.

    Attributes
    ----------
    run : does the work in a place; called again, it goes on or finds it done.
    problems : what is wrong in a place after a kill; an unfinished product is not.
    product : what the work has left in a place.
    """

    run: Callable[[Scene, Path], None]
    problems: Callable[[Path], tuple[str, ...]]
    product: Callable[[Path], Product]


def run(name: str, scene: Scene, place: Path) -> None:
    """Run a stage in this process, quietly and on one thread."""
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    STAGES[name].run(scene, place)


def bytes_lost(expected: Product, found: Product) -> int:
    """Count the bytes of the pieces that are missing or different."""
    return sum(piece.bytes for name, piece in expected.items() if found.get(name) != piece)


def _prepare(scene: Scene, place: Path) -> None:
    report = prepare_store(PrepareRequest(kind="human36m", raw=scene.human36m, store=str(place)))
    if not report.succeeded:
        raise RuntimeError(f"prepare failed: {report.failures}")


def _align(scene: Scene, place: Path) -> None:
    source = PoseData(dataset="human36m", store=scene.source)
    target = PoseData(dataset="mpi_inf_3dhp_train", store=scene.target, frame_step=8)
    augment_store(AugmentRequest(source=source, store=str(place), method="gpa", target=target, seed=1))


def _augment(scene: Scene, place: Path) -> None:
    source = PoseData(dataset="human36m", store=scene.source)
    augment_store(AugmentRequest(source=source, store=str(place), seed=2))


def training_job(scene: Scene) -> TrainingJob:
    """Describe the training of the stage ``train``."""
    return _job(scene, None, NoAdaptation())


def _train(scene: Scene, place: Path) -> None:
    train_lifter(training_job(scene), place)


def _adapt(scene: Scene, place: Path) -> None:
    train_lifter(_job(scene, _target(scene), GlobalPositionAdaptation()), place)


def _adapt_adversarially(scene: Scene, place: Path) -> None:
    train_lifter(_job(scene, _target(scene), PoseDAAdaptation()), place)


def _target(scene: Scene) -> PoseData:
    return PoseData(dataset="mpi_inf_3dhp_train", store=scene.target, frame_step=4)


def _job(scene: Scene, target: PoseData | None, adaptation: Adaptation) -> TrainingJob:
    return TrainingJob(
        labelled=PoseData(dataset="human36m", store=scene.source),
        target=target,
        adaptation=adaptation,
        lifter=preset("simple-baseline-small"),
        encoding="screen",
        schedule=SCHEDULE,
        seed=5,
        device="cpu",
    )


def _store_problems(place: Path) -> tuple[str, ...]:
    """Look at a store: it is not there, empty, or whole and verified; anything else is a problem."""
    if not PoseStore.exists(place):
        return ()
    store = PoseStore.open(place)
    commits = len(store.history())
    partly = () if commits == (2 if store.keys() else 1) else (f"{commits} commits",)
    return (*store.verify().problems, *partly)


def _store_product(place: Path) -> Product:
    store = PoseStore.open(place)
    product = {"content": Piece(store.digest(), 0)}
    for key in store.keys():
        for name, digest in store.trial_attributes(key).digests.items():
            product[f"{key.path}/{name}"] = Piece(digest, store.read_array(key, name).nbytes)
    return product


def _lifter_problems(place: Path) -> tuple[str, ...]:
    """Look at checkpoint and lifter: they are not there or can be read; anything else is a problem."""
    state, folder = place / "training" / STATE_FILE, place / CHECKPOINT
    try:
        if state.exists():
            load_state(state)
        if all((folder / name).exists() for name in (WEIGHTS_FILE, DESCRIPTION_FILE)):
            load_lifter(folder)
    except ValueError as error:
        return (str(error),)
    return ()


def _lifter_product(place: Path) -> Product:
    found = digest_file(place / CHECKPOINT / WEIGHTS_FILE, place)
    return {found.path: Piece(found.sha256, found.bytes)}


STAGES: Mapping[str, Stage] = MappingProxyType(
    {
        "prepare": Stage(_prepare, _store_problems, _store_product),
        "align": Stage(_align, _store_problems, _store_product),
        "augment": Stage(_augment, _store_problems, _store_product),
        "train": Stage(_train, _lifter_problems, _lifter_product),
        "adapt": Stage(_adapt, _lifter_problems, _lifter_product),
        "adapt-poseda": Stage(_adapt_adversarially, _lifter_problems, _lifter_product),
    }
)
"""The stages by name, in the order in which an experiment goes through them."""
