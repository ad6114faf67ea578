"""Many mutations of one format: children that read, and a parent that survives them and counts."""

from __future__ import annotations

import multiprocessing
import signal
import tempfile
import time
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

from benchmarks.fuzz.child import Ended, Outcome, OutcomeKind, read_all
from benchmarks.fuzz.targets import Target

DEFECTS: tuple[OutcomeKind, ...] = ("wrong error", "side effect", "crash", "hang")
_ENTIRE = 2000
"""Mutations that one child reads at most, so that memory that a C library loses does not add up."""


@dataclass(frozen=True)
class Bounds:
    """What reading one file may take.

    Attributes
    ----------
    memory_bytes : address space beyond the process's own.
    seconds : wall-clock time; then the reader counts as hanging.
    """

    memory_bytes: int = 1 << 30
    seconds: float = 20.0


@dataclass
class Tally:
    """What became of the mutated files of one format.

    Attributes
    ----------
    target : name of the format.
    counts : files per kind of outcome.
    refused_for_memory : refused because memory ran out, so that an unlimited process would have taken more.
    defects : the outcomes that are none of ``read`` and ``refused``.
    slowest_seconds : the most processor time that one file took.
    peak_bytes : the most resident memory that a child took for reading.
    total_seconds : of the campaign.
    """

    target: str
    counts: dict[str, int] = field(default_factory=dict)
    refused_for_memory: int = 0
    defects: list[Outcome] = field(default_factory=list)
    slowest_seconds: float = 0.0
    peak_bytes: int = 0
    total_seconds: float = 0.0

    def add(self, outcome: Outcome) -> None:
        """Count one file."""
        self.counts[outcome.kind] = self.counts.get(outcome.kind, 0) + 1
        self.slowest_seconds = max(self.slowest_seconds, outcome.seconds)
        self.refused_for_memory += outcome.kind == "refused" and "MemoryError" in outcome.detail
        if outcome.kind in DEFECTS:
            self.defects.append(outcome)


def run(target: Target, mutations: int, seed: int, bounds: Bounds, first: int = 0) -> Tally:
    """Read ``mutations`` mutated files of one format, in as many child processes as it takes."""
    tally = Tally(target.name)
    started = time.perf_counter()
    following, end = first, first + mutations
    while following < end:
        following = _one_child(target, following, min(end, following + _ENTIRE), seed, bounds, tally)
    tally.total_seconds = time.perf_counter() - started
    return tally


def _one_child(target: Target, first: int, end: int, seed: int, bounds: Bounds, tally: Tally) -> int:
    """Let one child read from ``first`` on; returns the number of the mutation that is next."""
    # Forked, so that libraries are loaded once; this process has no threads.
    context = multiprocessing.get_context("fork")
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        hear, tell = context.Pipe(duplex=False)
        child = context.Process(
            target=read_all,
            args=(target, Path(folder).resolve(), seed, range(first, end), bounds.memory_bytes, tell),
        )
        child.start()
        tell.close()
        try:
            return _listen(hear, child, first, bounds, tally)
        finally:
            child.kill()
            child.join()
            hear.close()


def _listen(hear: Connection, child: BaseProcess, following: int, bounds: Bounds, tally: Tally) -> int:
    while True:
        if not hear.poll(bounds.seconds):
            tally.add(Outcome(following, "hang", f"silent for {bounds.seconds:g} s", bounds.seconds))
            return following + 1
        try:
            message = hear.recv()
        except EOFError:
            child.join()
            tally.add(Outcome(following, "crash", _death(child.exitcode)))
            return following + 1
        if isinstance(message, Ended):
            tally.peak_bytes = max(tally.peak_bytes, message.peak_bytes)
            return following
        tally.add(message)
        following += 1


def _death(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        return signal.Signals(-exit_code).name
    return f"exit code {exit_code}"
