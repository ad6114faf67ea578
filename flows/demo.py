"""The demonstration: the whole path on motion that anybody may use, in a few minutes on two cores.

Free motion is put in front of the true cameras of Human3.6M and MPI-INF-3DHP and written as raw release
trees; from there on everything is what a user with the original data would run: three stores, and for each
seed a source-only lifter, one adapted by global position alignment, and one trained on the target's labels,
all measured on the target's test sequences. Figures on restaged data are not comparable with published ones.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from poseshift.adaptation.methods import METHODS
from poseshift.flows.experiment.progress import Step, report_progress
from poseshift.flows.experiment.recipe import PoseData, Recipe, StoredData, Test
from poseshift.flows.experiment.results import Summary
from poseshift.flows.experiment.stage import run_stage
from poseshift.flows.pipeline import run_recipe
from poseshift.flows.runtime.retries import patient_task
from poseshift.preprocessing.motion.sources import PROCEDURAL, load, title
from poseshift.preprocessing.restaging.inputs import motion_inputs
from poseshift.preprocessing.restaging.restage import restage
from poseshift.storage.model import FrozenModel
from poseshift.training.lifters.registry import preset
from poseshift.training.schedule import Schedule

CHEST_HEIGHT_CAMERAS = ("0", "2", "4", "7", "8")
"""The training cameras of MPI-INF-3DHP that stand at chest height, as the test set's do."""

TRAINING_SUBJECTS = ("S1", "S5", "S6", "S7", "S8")
"""The field's training subjects of Human3.6M."""

RESTAGED, TREES = "restaged", "raw"
"""The stage that restages, and the folder of the raw trees in it."""

PROTOCOLS = ("3dhp-annot3", "3dhp-official", "3dhp-poseaug16")

SCHEDULES = {
    "full": Schedule(epochs=12, steps_per_epoch=220, batch_size=128, learning_rate=2e-3, warmup_steps=50),
    "quick": Schedule(epochs=4, steps_per_epoch=120, batch_size=128, learning_rate=2e-3, warmup_steps=20),
}
"""Training of each lifter: 340,000 poses in full, a fifth of that in a quick look."""

FRAME_STEPS = {"full": 2, "quick": 5}


class DemoOptions(FrozenModel):
    """What the demonstration is asked for."""

    motion: str = PROCEDURAL
    """`procedural`, an npz bundle, or a folder of CMU's ASF and AMC files."""
    effort: Literal["full", "quick"] = "full"
    """`full` trains as long as it takes for a stable order; `quick` shows that everything runs."""
    seeds: int = Field(default=1, ge=1)
    """Three lifters are trained per seed."""
    jobs: int | None = Field(default=None, ge=1)
    """Lifters to train at the same time, as `jobs` of a recipe."""
    out: Path = Path("runs/demo")
    """Folder for everything: restaged raw trees, stores, lifters, report."""


class Restaged(FrozenModel):
    """That the trees are complete, and how many clips went into them."""

    clips: int
    """Clips of motion that are in the trees."""
    left_out: int
    """Clips for which there was no place."""


def demo_recipe(options: DemoOptions) -> Recipe:
    """Make the recipe that the demonstration runs; its folder holds it as ``recipe.yaml``."""
    out, step = options.out, FRAME_STEPS[options.effort]
    raw = out / RESTAGED / TREES
    return Recipe(
        name="human36m-to-3dhp-demo",
        run_dir=out,
        source=PoseData(
            dataset="human36m",
            store=str(out / "stores" / "human36m"),
            raw=raw / "human36m",
            subjects=TRAINING_SUBJECTS,
            frame_step=step,
        ),
        target=PoseData(
            dataset="mpi_inf_3dhp_train",
            store=str(out / "stores" / "mpi_inf_3dhp_train"),
            raw=raw / "mpi_inf_3dhp",
            cameras=CHEST_HEIGHT_CAMERAS,
            frame_step=step,
        ),
        test=Test(
            data=StoredData(
                dataset="mpi_inf_3dhp_test",
                store=str(out / "stores" / "mpi_inf_3dhp_test"),
                raw=raw / "mpi_inf_3dhp",
            ),
            protocols=PROTOCOLS,
        ),
        lifter=preset("ampose-small"),
        method=METHODS["gpa"],
        compare=(METHODS["source_only"], METHODS["target_supervised"]),
        schedule=SCHEDULES[options.effort],
        seeds=tuple(range(options.seeds)),
        jobs=options.jobs,
        device="auto",
    )


def restage_motion(options: DemoOptions) -> Restaged:
    """Write the two raw trees, unless they are there already for the same motion."""
    report_progress(Step("restage motion", 0, 1))
    inputs = motion_inputs(options.motion, seed=0)

    def work(folder: Path) -> Restaged:
        motions = load(options.motion, seed=inputs.seed)
        label = title(options.motion, seed=inputs.seed)
        report = restage(motions, folder / TREES, seed=inputs.seed, motion=label)
        return Restaged(clips=len(report.clips), left_out=len(report.left_out))

    outcome = run_stage(options.out / RESTAGED, inputs, Restaged, work)
    report_progress(
        Step(
            "restage motion", 1, 1, "was there already" if outcome.reused else f"{outcome.result.clips} clips"
        )
    )
    return outcome.result


_restage_task = patient_task(restage_motion, "restage motion")


def demo(options: DemoOptions) -> Summary:
    """Restage free motion, then run the demonstration's recipe."""
    _restage_task(options)
    summary = run_recipe(demo_recipe(options))
    if not isinstance(summary, Summary):
        raise TypeError("the demonstration's recipe has a test; its run gave criteria alone")
    return summary
