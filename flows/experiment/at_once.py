"""How many lifters of a recipe are trained at the same time, each in a process of its own."""

from __future__ import annotations

import torch
from torch.autograd.graph import saved_tensors_hooks

from poseshift.flows.experiment.data import open_store
from poseshift.flows.experiment.evaluate import EvaluationRecord, evaluation_inputs
from poseshift.flows.experiment.fitting import resolve_device
from poseshift.flows.experiment.folder import RunFolder, job
from poseshift.flows.experiment.launch import Launch, LaunchError
from poseshift.flows.experiment.recipe import PoseData, Recipe, StoredData
from poseshift.flows.experiment.stage import is_done
from poseshift.flows.experiment.train import TrainingRecord, training_inputs
from poseshift.storage.machine import free_memory_bytes, usable_processors
from poseshift.storage.store import StoreError
from poseshift.training.lifters.config import LifterConfig
from poseshift.training.lifters.registry import build

PROCESS_BYTES = 700 * 2**20
"""What a process takes that trains on next to nothing."""

ROW_BYTES = 2000
"""For each view that is learned from, adapted to or tested; 1,300 are measured in docs/performance.md."""

SHARE_OF_MEMORY = 0.8
"""Of the memory that is free when the first training begins; the rest is left to others."""


def require_one_way(recipe: Recipe, launch: Launch) -> None:
    """Refuse a recipe of several trainings at a time in a launch of several processes for each.

    Raises
    ------
    LaunchError
        Both are asked for.
    """
    if launch.shared and recipe.jobs is not None and recipe.jobs > 1:
        raise LaunchError(
            f"`jobs: {recipe.jobs}` trains several lifters at a time, and this launch has {launch.processes} "
            "processes for one; leave out `jobs`, or start it without torchrun"
        )


def lifters_at_once(recipe: Recipe, threads: int) -> int:
    """Choose how many lifters of a recipe are trained at the same time.

    As many as the recipe's ``jobs`` says. Left out, on a CPU as many as there are processors for their
    threads and as memory has room for; one on a GPU, in a launch of several processes, and where workers of a
    Dask cluster predict, which may be on this machine. Never more than there is left to do.

    Parameters
    ----------
    recipe : Recipe
        What is to be done, its stores prepared.
    threads : int
        Threads that each training computes with.
    """
    asked = recipe.jobs
    if asked == 1 or Launch.here().shared:
        return 1
    if asked is None:
        if recipe.dask is not None or resolve_device(recipe.device).type != "cpu":
            return 1
        asked = usable_processors() // threads
    lifters = [(method, seed) for seed in recipe.seeds for method in recipe.methods]
    if min(asked, len(lifters)) < 2:
        return 1
    asked = min(asked, sum(not is_there(recipe, method, seed) for method, seed in lifters))
    if recipe.jobs is None and asked > 1:
        asked = min(asked, int(SHARE_OF_MEMORY * free_memory_bytes() / bytes_of_one(recipe)))
    return max(1, asked)


def is_there(recipe: Recipe, method: str, seed: int) -> bool:
    """Tell whether a lifter is trained on the stores as they are and, where there is a test, evaluated."""
    folder = RunFolder(recipe.run_dir)
    try:
        if not is_done(
            folder.training(method, seed), training_inputs(job(recipe, method, seed)), TrainingRecord
        ):
            return False
        return recipe.test is None or is_done(
            folder.evaluation(method, seed),
            evaluation_inputs(folder.lifter(method, seed), recipe.test),
            EvaluationRecord,
        )
    except (StoreError, OSError, ValueError):
        return False  # the training says what is wrong


def bytes_of_one(recipe: Recipe) -> int:
    """Estimate the memory that the training of one lifter, or its evaluation, takes at most."""
    learned = sum(_rows(data) for data in (recipe.source, recipe.target) if data is not None)
    tested = 0 if recipe.test is None else _rows(recipe.test.data)
    batch = recipe.schedule.batch_size * bytes_of_clip(recipe.network)
    return PROCESS_BYTES + ROW_BYTES * max(learned, tested) + batch


def _rows(data: StoredData) -> int:
    """Count the views of a store that a part of a recipe means at most."""
    store = open_store(data)
    catalogue = store.catalogue()
    frames = store.frame_counts(catalogue)
    if not isinstance(data, PoseData):
        return sum(frames[key] * len(one.cameras) for key, one in catalogue.items())
    subjects, cameras = data.subjects, data.cameras
    views = sum(
        frames[key] * sum(cameras is None or camera.name in cameras for camera in one.cameras)
        for key, one in catalogue.items()
        if subjects is None or key.subject in subjects
    )
    return views // data.frame_step


def bytes_of_clip(config: LifterConfig) -> int:
    """Measure what a step of training keeps of each clip until it has its gradients, and the gradients."""
    lifter = build(config, channels=2)
    weights = {one.untyped_storage().data_ptr() for one in lifter.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    two = torch.zeros(2, lifter.frames, lifter.joints, lifter.channels)  # norms over a batch need two
    with saved_tensors_hooks(keep, lambda tensor: tensor):
        lifter(two)
    return sum(kept.values())  # of two clips: one of them for the gradients
