"""The nights one after the other: what is drawn for each, how it ended, and whether that is in order."""

from __future__ import annotations

import json
import multiprocessing
import resource
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
from benchmarks.faults.scene import Scene, set_scene
from benchmarks.nights.night import LEDGER, work

from poseshift.adaptation.methods import METHODS
from poseshift.flows.doctor import disk
from poseshift.flows.doctor.finding import mended
from poseshift.flows.experiment.recipe import PoseData, Recipe, StoredData, Test
from poseshift.flows.prepare import PrepareRequest, prepare_store
from poseshift.flows.watch import decide
from poseshift.training.lifters.registry import preset
from poseshift.training.schedule import Schedule

_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(
    # What a night would import when it trains is imported once.
    ["benchmarks.nights.night", "torch.utils.tensorboard", "lightning_fabric", "sympy"]
)

FAULTS = {
    "none": 0.52,
    "killed": 0.18,
    "killed twice": 0.06,
    "two at once": 0.06,
    "disk full": 0.06,
    "damaged file": 0.06,
    "slept": 0.06,
}
"""Kinds with their probability."""

NEW_DATA = 0.15
"""Probability that a raw file has changed since the last night."""
DOCTOR_EVERY = 50
"""Nights between two calls of the doctor."""
FULL_BYTES = 20_000
"""Longest file on a full disk: less than a lifter's weights."""
LONGEST_NIGHT_S = 900.0


@dataclass(frozen=True)
class Night:
    """What became of one night.

    Attributes
    ----------
    number, fault : which night, and what was drawn for it.
    changed : whether a raw file had changed.
    outcome : ``nothing``, ``report``, ``evaluate``, ``train``, ``failed``, ``killed``, or ``missed``.
    remark : the error, or the look that stands in for a missed one.
    up_to_date : whether a look right after the night finds nothing to do.
    problems : what must not be: a failure without a reason, a night that left no trace.
    """

    number: int
    fault: str
    changed: bool
    outcome: str
    remark: str
    up_to_date: bool
    problems: tuple[str, ...]


@dataclass(frozen=True)
class Totals:
    """What the whole came to.

    Attributes
    ----------
    trained, trained_twice : trainings that came to their end, and those of inputs that had been learned.
    run_bytes, store_bytes : folders at the end. most_run_bytes : the run's folder at its largest.
    memory_mib : of the simulation's process at the end of the first tenth, and at the end.
    """

    nights: int
    trained: int
    trained_twice: int
    run_bytes: int
    most_run_bytes: int
    store_bytes: int
    memory_mib: tuple[float, float]
    mended: int
    seconds: float


class Simulation:
    """Nights of one recipe in one folder.

    Parameters
    ----------
    folder : Path
        A new folder.
    seed : int
        Of the motion and of all faults.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self._rng = np.random.default_rng([seed, 1])
        self.scene = set_scene(folder / "scene", seed)
        self.recipe = _recipe(self.scene, folder)
        self.ledger = folder / LEDGER
        self._files = sorted(self.scene.human36m.rglob("D3_Positions/*.cdf"))
        self._files = self._files or sorted(self.scene.human36m.rglob("*.cdf"))
        self._typical_s = 2.0
        self._most_run_bytes = 0
        self._mended = 0
        self._memory: list[float] = []

    def nights(self, count: int) -> Iterator[Night]:
        """Let ``count`` nights pass."""
        number = 0
        while number < count:
            fault = str(self._rng.choice(list(FAULTS), p=list(FAULTS.values())))
            # A kill that is to hit something comes in a night with work.
            changed = bool(self._rng.random() < NEW_DATA) or number == 0 or fault.startswith("killed")
            if changed:
                self._change_a_file()
            if fault == "slept":
                asleep = int(self._rng.integers(1, 6))
                for missed in range(number, min(number + asleep, count - 1)):
                    told = f"the look of night {min(number + asleep, count - 1)} stands in"
                    yield Night(missed, fault, changed, "missed", told, False, ())
                number = min(number + asleep, count - 1)
            yield self._night(number, fault, changed)
            number += 1
            self._memory.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
            self._most_run_bytes = max(self._most_run_bytes, _size(self.recipe.run_dir))
            if number % DOCTOR_EVERY == 0:
                self._see_the_doctor()

    def totals(self, count: int, seconds: float) -> Totals:
        """Sum up, after the last night."""
        lines = self.ledger.read_text(encoding="utf-8").splitlines()
        learned = [json.dumps(json.loads(line)["snapshots"]) for line in lines]
        return Totals(
            nights=count,
            trained=len(learned),
            trained_twice=len(learned) - len(set(learned)),
            run_bytes=_size(self.recipe.run_dir),
            most_run_bytes=self._most_run_bytes,
            store_bytes=sum(_size(Path(place)) for place in (self.scene.source, self.scene.target)),
            memory_mib=(self._memory[len(self._memory) // 10], self._memory[-1]),
            mended=self._mended,
            seconds=round(seconds, 1),
        )

    def _night(self, number: int, fault: str, changed: bool) -> Night:
        if fault == "damaged file":
            with _damaged(self._files[int(self._rng.integers(len(self._files)))]):
                outcome, remark = self._spend(None)
            expected = outcome == "failed" and "bad" in remark
            problems = () if expected else (f"a damaged file was not named: {outcome} {remark}",)
        elif fault == "disk full":
            outcome, remark = self._spend(None, FULL_BYTES)
            problems = () if outcome != "failed" or remark else ("failed without a reason",)
        elif fault in ("killed", "killed twice"):
            ends = [
                self._spend(float(self._rng.uniform(0, self._typical_s)))
                for _ in range(2 if fault == "killed twice" else 1)
            ]
            outcome = ", then ".join(how for how, _ in ends)
            remark = "; ".join(why for _, why in ends if why)
            problems = tuple(f"failed after a kill: {why}" for how, why in ends if how == "failed")
        elif fault == "two at once":
            outcome, remark, problems = self._two()
        else:
            outcome, remark = self._spend(None)
            wrong = outcome in ("failed", "killed")
            problems = (f"{outcome} without a fault: {remark}",) if wrong else ()
        up_to_date = self._is_up_to_date()
        healthy = fault in ("none", "slept", "two at once")
        if healthy and not up_to_date:
            problems = (*problems, "work was left after a night without a fault")
        return Night(number, fault, changed, outcome, remark, up_to_date, problems)

    def _two(self) -> tuple[str, str, tuple[str, ...]]:
        first, second = self._begin(None), self._begin(None)
        (one, one_remark), (other, other_remark) = self._end(first, None), self._end(second, None)
        refused = [remark for how, remark in ((one, one_remark), (other, other_remark)) if how == "failed"]
        wrong = [remark for remark in refused if "another writer" not in remark]
        problems = tuple(f"failed beside another look: {remark}" for remark in wrong)
        if len(refused) == 2:
            # Each was in the other's way, at a store and at a stage; a scheduled run tries again.
            outcome, remark = self._spend(None)
            return outcome, f"both refused, then tried again; {remark}", problems
        return (other, "the other was told", problems) if one == "failed" else (one, other, problems)

    def _spend(self, kill_after_s: float | None, most_bytes: int | None = None) -> tuple[str, str]:
        return self._end(self._begin(most_bytes), kill_after_s)

    def _begin(self, most_bytes: int | None) -> tuple[BaseProcess, Connection]:
        listening, telling = _PROCESSES.Pipe(duplex=False)
        child = _PROCESSES.Process(target=work, args=(self.recipe, self.ledger, most_bytes, telling))
        child.start()
        telling.close()
        listening.recv()
        return child, listening

    def _end(self, night: tuple[BaseProcess, Connection], kill_after_s: float | None) -> tuple[str, str]:
        child, listening = night
        try:
            if listening.poll(LONGEST_NIGHT_S if kill_after_s is None else kill_after_s):
                outcome, remark, seconds = listening.recv()
                if outcome == "train":
                    self._typical_s = 0.8 * self._typical_s + 0.2 * seconds
                return str(outcome), str(remark)
            return "killed", "" if kill_after_s is not None else "took too long"
        except EOFError:
            return "killed", "ended without a word"
        finally:
            child.kill()
            child.join()
            listening.close()

    def _change_a_file(self) -> None:
        """Put another trial's poses in the place of a trial's: a raw file with new content."""
        first, second = self._rng.choice(len(self._files), size=2, replace=False)
        one, other = self._files[int(first)], self._files[int(second)]
        kept = one.read_bytes()
        shutil.copyfile(other, one)
        other.write_bytes(kept)

    def _is_up_to_date(self) -> bool:
        try:
            return decide(self.recipe).action == "nothing"
        except (OSError, ValueError, RuntimeError):
            return False

    def _see_the_doctor(self) -> None:
        for place in (self.recipe.run_dir, Path(self.scene.source).parent):
            found = mended(disk.look(place, kept=timedelta(0)))
            self._mended += sum(one.state == "mended" for one in found.findings)


class _damaged:  # noqa: N801 - used as a with block
    def __init__(self, path: Path) -> None:
        self._path = path
        self._whole = path.read_bytes()

    def __enter__(self) -> None:
        self._path.write_bytes(self._whole[: len(self._whole) // 3])

    def __exit__(self, *error: object) -> None:
        self._path.write_bytes(self._whole)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _recipe(scene: Scene, folder: Path) -> Recipe:
    tests = folder / "scene" / "stores" / "test"
    prepare_store(PrepareRequest(kind="mpi-inf-3dhp-test", raw=scene.mpi_inf_3dhp, store=str(tests)))
    return Recipe(
        name="nights",
        run_dir=folder / "run",
        source=PoseData(dataset="human36m", store=scene.source, raw=scene.human36m),
        test=Test(data=StoredData(dataset="mpi_inf_3dhp_test", store=str(tests)), protocols=("3dhp-annot3",)),
        lifter=preset("simple-baseline-small"),
        method=METHODS["source_only"],
        schedule=Schedule(epochs=2, steps_per_epoch=2, batch_size=32, precision="32-true"),
        seeds=(0,),
        device="cpu",
    )


def table(nights: list[Night]) -> str:
    """Tell, for each kind of fault, what came of it, as a Markdown table."""
    rows = ["| fault | nights | what came of them | in order |", "|---|---|---|---|"]
    for fault in FAULTS:
        own = [night for night in nights if night.fault == fault]
        outcomes = [night.outcome for night in own]
        told = ", ".join(f"{name} {outcomes.count(name)}" for name in sorted(set(outcomes)))
        rows.append(f"| {fault} | {len(own)} | {told} | {sum(not night.problems for night in own)} |")
    rows.append(f"| all | {len(nights)} | | {sum(not night.problems for night in nights)} |")
    return "\n".join(rows)
