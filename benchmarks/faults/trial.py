"""One trial: a stage is started and killed, once or more, then run to its end and compared."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
from benchmarks.faults import stages
from benchmarks.faults.programs import PROCESSES, forked
from benchmarks.faults.scene import Scene
from benchmarks.faults.stages import STAGES, Product, bytes_lost

MOST_KILLS = 3
"""Kills of one trial, at most: a run may be killed again while it goes on from where it was."""


@dataclass(frozen=True)
class Undisturbed:
    """A run that nobody killed: how long it took, and what it left."""

    seconds: float
    product: Product


@dataclass(frozen=True)
class _Ending:
    """How a process ended: by itself, by our signal, or by an error of its own."""

    seconds: float
    exit_code: int

    @property
    def finished(self) -> bool:
        return self.exit_code == 0

    @property
    def killed(self) -> bool:
        return self.exit_code == -signal.SIGKILL


@dataclass(frozen=True)
class Trial:
    """What became of a run that was killed.

    Attributes
    ----------
    stage, number : which trial this is.
    killed_after_s : moments of the kills, each counted from the start of its process's work.
    undisturbed_s : how long an undisturbed run takes.
    problems : what was wrong right after a kill, or with the repeated run.
    equal : whether the repeated run left exactly what an undisturbed one leaves.
    bytes_lost : bytes of the undisturbed product that are missing or different.
    """

    stage: str
    number: int
    killed_after_s: tuple[float, ...]
    undisturbed_s: float
    problems: tuple[str, ...]
    equal: bool
    bytes_lost: int

    @property
    def survived(self) -> bool:
        """Whether nothing was wrong at any time and nothing was lost."""
        return self.equal and not self.problems


def undisturbed(stage: str, scene: Scene, place: Path) -> Undisturbed:
    """Run a stage to its end.

    Raises
    ------
    RuntimeError
        When it fails.
    """
    ending = _run(stage, scene, place, kill_after_s=None)
    if not ending.finished:
        raise RuntimeError(f"an undisturbed run of {stage} failed with exit code {ending.exit_code}")
    return Undisturbed(ending.seconds, STAGES[stage].product(place))


def trial(
    stage: str, number: int, scene: Scene, place: Path, reference: Undisturbed, rng: np.random.Generator
) -> Trial:
    """Kill a stage at random moments, run it to its end, and compare.

    Parameters
    ----------
    place : a place of its own, with nothing in it.
    reference : an undisturbed run of the same stage.
    rng : draws how often and when the run is killed, uniformly over the length of an undisturbed run. A run
        that ended before its first kill is not counted; another one starts in another place.
    """
    killed: tuple[float, ...] = ()
    attempt = 0
    while not killed:
        attempt += 1
        here = place / f"attempt-{attempt}" / "product"
        here.parent.mkdir(parents=True)
        moments = rng.uniform(0, reference.seconds, size=rng.integers(1, MOST_KILLS + 1))
        killed, problems = _kill(stage, scene, here, tuple(float(moment) for moment in moments))

    ending = _run(stage, scene, here, kill_after_s=None)
    product: Product = {}
    if ending.finished:
        product = STAGES[stage].product(here)
        problems += (*STAGES[stage].problems(here), *scene.verify())
    else:
        problems += (f"the repeated run failed with exit code {ending.exit_code}",)
    return Trial(
        stage=stage,
        number=number,
        killed_after_s=killed,
        undisturbed_s=round(reference.seconds, 3),
        problems=problems,
        equal=product == reference.product,
        bytes_lost=bytes_lost(reference.product, product),
    )


def _kill(
    stage: str, scene: Scene, place: Path, moments: tuple[float, ...]
) -> tuple[tuple[float, ...], tuple[str, ...]]:
    """Start a stage and kill it, once for each moment; stop when it was faster than its kill."""
    killed: list[float] = []
    problems: list[str] = []
    for moment in moments:
        ending = _run(stage, scene, place, kill_after_s=moment)
        if ending.finished:
            break
        killed.append(round(moment, 3))
        if not ending.killed:
            problems.append(f"the run after kill {len(killed) - 1} failed with exit code {ending.exit_code}")
        problems += STAGES[stage].problems(place)
    return tuple(killed), tuple(problems)


def _run(stage: str, scene: Scene, place: Path, kill_after_s: float | None) -> _Ending:
    """Run a stage in a process of its own, and kill it when it takes longer than ``kill_after_s``."""
    listening, telling = PROCESSES.Pipe(duplex=False)
    child = forked(_work, (stage, scene, place, telling))
    child.start()
    telling.close()
    try:
        listening.recv()
        started = time.perf_counter()
        child.join(timeout=kill_after_s)
        seconds = time.perf_counter() - started
        if child.is_alive():
            child.kill()
        child.join()
        return _Ending(seconds, child.exitcode if child.exitcode is not None else -signal.SIGKILL)
    finally:
        listening.close()
        child.close()


def _work(stage: str, scene: Scene, place: Path, telling: Connection) -> None:
    telling.send("begun")
    stages.run(stage, scene, place)
