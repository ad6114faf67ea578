"""What running a recipe would do, without doing it: stores, lifters, evaluations; why, how long, what room.

Durations are those that earlier trainings of the same run folder have recorded, by epoch; what was never
measured is unknown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from poseshift.flows.experiment.folder import RunFolder, job, stores
from poseshift.flows.experiment.progress import Step, report_progress
from poseshift.flows.experiment.recipe import Recipe
from poseshift.flows.experiment.stage import DONE
from poseshift.flows.experiment.train import TrainingRecord
from poseshift.flows.pipeline import prepare_request
from poseshift.flows.prepare import plan_store
from poseshift.flows.watch import Action, evaluation_reason, training_reason
from poseshift.preprocessing.foreseen import Foreseen
from poseshift.storage.model import FrozenModel
from poseshift.storage.room import folder_bytes


class StagePlan(FrozenModel):
    """A part of the run that would be done."""

    action: Action
    """Train, evaluate or report."""
    part: str
    """The part's folder inside the run's folder."""
    why: str
    """What it was made from and what there is now, or that it is new."""
    seconds: float | None = None
    """How long it would take; None where nothing alike was measured."""
    room_bytes: int | None = None
    """Room that it would take; None where nothing alike is there."""
    measured_by: str | None = None
    """The recorded training that both figures come from."""


class RunPlan(FrozenModel):
    """What running a recipe would do."""

    name: str
    run_dir: str
    stores: tuple[Foreseen, ...]
    """Each store that has a raw tree."""
    stages: tuple[StagePlan, ...]
    """What would be done, in order; empty when there is nothing to do."""

    @property
    def seconds(self) -> float | None:
        """Sum of what is known, as by one after the other; None where a training or an ingest is not."""
        ingests = [one.seconds for one in self.stores]
        trainings = [one.seconds for one in self.stages if one.action == "train"]
        known = [one for one in (*ingests, *trainings) if one is not None]
        return sum(known) if len(known) == len(ingests) + len(trainings) else None


@dataclass(frozen=True)
class Measured:
    """What a recorded training took.

    Attributes
    ----------
    part : str
        Its folder inside the run's folder.
    method : str
        The method's name.
    seconds_per_epoch : float
        Wall-clock time.
    room_bytes : int
        Its folder's size.
    """

    part: str
    method: str
    seconds_per_epoch: float
    room_bytes: int


def plan_run(recipe: Recipe) -> RunPlan:
    """Say what :func:`poseshift.flows.pipeline.run_recipe` would do, and write nothing.

    Raises
    ------
    RawDataError, StoreError, WrongDatasetError, ValueError
        What the recipe names is not there, or is not what the recipe says.
    """
    foreseen: dict[str, Foreseen] = {}
    for data in stores(recipe):
        request = prepare_request(data)
        if request is None:
            continue
        name = f"look at {data.dataset}"
        report_progress(Step(name, 0, 1))
        foreseen[data.store] = plan_store(request.model_copy(update={"dask": recipe.dask}))
        report_progress(Step(name, 1, 1))
    stages = tuple(_stages(recipe, {store: why for store, one in foreseen.items() if (why := _change(one))}))
    return RunPlan(
        name=recipe.name,
        run_dir=str(recipe.run_dir),
        stores=tuple(foreseen.values()),
        stages=stages,
    )


def _change(one: Foreseen) -> str | None:
    """Say how a store would change; None when it would stay as it is."""
    if one.refused:
        return f"{one.dataset} has bad raw files, which end the run before this"
    if one.new_store:
        return f"the store of {one.dataset} is new"
    if one.changes:
        removed = f", {len(one.to_remove)} to remove" if one.to_remove else ""
        return f"the store of {one.dataset} changes: {len(one.to_read)} trials to read{removed}"
    return None


def _stages(recipe: Recipe, changing: Mapping[str, str]) -> Iterator[StagePlan]:
    folder = RunFolder(recipe.run_dir)
    measured = tuple(measured_trainings(folder))
    found = False
    for seed in recipe.seeds:
        for method in recipe.methods:
            for stage in _lifter_stages(recipe, folder, method, seed, changing):
                found = True
                known = _alike(measured, method) if stage.action == "train" else None
                yield stage if known is None else _with_figures(stage, known, recipe.schedule.epochs)
    if found or not folder.summary.exists():
        why = "figures are new" if found else "there is no summary yet"
        yield StagePlan(action="report", part=folder.summary.name, why=why)


def _lifter_stages(
    recipe: Recipe, folder: RunFolder, method: str, seed: int, changing: Mapping[str, str]
) -> Iterator[StagePlan]:
    """Say what is to do for one lifter: by the stores that change or, where none does, by digests."""
    part = folder.training(method, seed).relative_to(folder.path).as_posix()
    evaluation = folder.evaluation(method, seed).relative_to(folder.path).as_posix()
    training = job(recipe, method, seed)
    read = {data.store for data in (training.labelled, training.target, training.watched) if data is not None}
    learned_from = [why for store, why in changing.items() if store in read]
    due = "; ".join(learned_from) or None
    if due is None:
        reason = training_reason(recipe, folder, method, seed)
        due = None if reason is None else reason.why
    if due is not None:
        yield StagePlan(action="train", part=part, why=due)
    if recipe.test is None:
        return
    why = changing.get(recipe.test.data.store) if due is None else "the lifter is trained anew"
    if why is None:
        tested = evaluation_reason(recipe, folder, method, seed)
        why = None if tested is None else tested.why
    if why is not None:
        yield StagePlan(action="evaluate", part=evaluation, why=why)


def measured_trainings(folder: RunFolder) -> Iterator[Measured]:
    """Read what the trainings of a run took, those set aside included, the newest first."""
    lifters = folder.path / "lifters"
    for done in sorted(lifters.rglob(DONE), key=lambda path: path.stat().st_mtime, reverse=True):
        try:
            record = TrainingRecord.model_validate_json(done.read_text(encoding="utf-8"))
        except ValidationError:
            continue
        if record.curve:
            yield Measured(
                part=done.parent.relative_to(folder.path).as_posix(),
                method=done.relative_to(lifters).parts[0],
                seconds_per_epoch=record.seconds / len(record.curve),
                room_bytes=folder_bytes(done.parent),
            )


def _alike(measured: tuple[Measured, ...], method: str) -> Measured | None:
    """Find the newest training of the same method, or else of any."""
    return next((one for one in measured if one.method == method), next(iter(measured), None))


def _with_figures(stage: StagePlan, known: Measured, epochs: int) -> StagePlan:
    return stage.model_copy(
        update={
            "seconds": known.seconds_per_epoch * epochs,
            "room_bytes": known.room_bytes,
            "measured_by": known.part,
        }
    )
