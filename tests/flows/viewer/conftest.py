"""A tiny real evaluation, and its errors by a second way."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from poseshift.flows.experiment.folder import RunFolder, Trained
from poseshift.flows.experiment.recipe import Recipe, save_recipe
from poseshift.storage.schema import TrialKey
from poseshift.storage.store import PoseStore

PROTOCOL = "3dhp-annot3"


@dataclass(frozen=True)
class Evaluated:
    """The folder of an evaluation, the store that it measured, and all errors of one of its trials.

    ``joints_mm`` (frames, joints) and ``frame`` (frames,) are made from the files alone: truth in the world,
    turned to camera axes, minus the pelvis, minus what was predicted.
    """

    folder: Path
    store: PoseStore
    key: TrialKey
    frame: np.ndarray
    joints_mm: np.ndarray


@pytest.fixture(scope="session")
def evaluated(finished: tuple[Recipe, tuple[Trained, ...]]) -> Evaluated:
    """The evaluation of the recipe's own method, and the errors of its last trial."""
    recipe, _ = finished
    save_recipe(recipe, RunFolder(recipe.run_dir).recipe)  # as a run does first
    folder = RunFolder(recipe.run_dir).evaluation(recipe.method.name, recipe.seeds[0])
    store = PoseStore.open(recipe.required_test.data.store)
    key = store.keys()[-1]
    with np.load(folder / "predictions" / f"{PROTOCOL}.npz") as arrays:
        rows = arrays["trial"] == arrays["trials"].tolist().index(key.path)
        frame, predicted = arrays["frame"][rows], arrays["positions_camera"][rows].astype(np.float64)
    rotation = np.asarray(store.trial_attributes(key).cameras[0].rotation)
    world = store.read_array(key, "positions_world")[frame].astype(np.float64)
    truth = (world - world[:, :1]) @ rotation.T
    return Evaluated(folder, store, key, frame, 1000 * np.linalg.norm(predicted - truth, axis=-1))
