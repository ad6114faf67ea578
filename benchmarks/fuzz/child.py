"""The process that reads mutated files: limited in memory, watched for what a reader must not do.

It tells its parent the outcome of every file through a pipe. When it dies or falls silent, the parent knows
the file by the number of outcomes that came.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import resource
import shutil
import sys
import time
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal
from zlib import crc32

import numpy as np
from benchmarks.fuzz.targets import Target

OutcomeKind = Literal["read", "refused", "wrong error", "side effect", "crash", "hang"]

_PROGRAMS = {"os.system", "os.exec", "os.posix_spawn", "os.spawn", "subprocess.Popen", "socket.connect"}
_PATHS_CHANGED = {"os.mkdir", "os.rename", "os.symlink", "os.link", "os.chmod", "os.chown", "os.truncate"}
_PAGE_BYTES = resource.getpagesize()


@dataclass(frozen=True)
class Outcome:
    """What became of one mutated file.

    Attributes
    ----------
    index : number of the mutation.
    kind : ``read`` and ``refused`` are right; all others are defects.
    detail : the error's text, or what was done that must not be.
    seconds : processor time that reading took, which other programs on the machine do not change.
    """

    index: int
    kind: OutcomeKind
    detail: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Ended:
    """The child's last words: its peak of resident memory beyond what it started with."""

    peak_bytes: int


def mutated(target: Target, seed: int, index: int) -> bytes:
    """Make the mutated file of that number; a function of its arguments alone."""
    random = np.random.default_rng([seed, crc32(target.name.encode()), index])
    return target.mutation(target.seed, random)


def read_all(
    target: Target, folder: Path, seed: int, indices: Iterable[int], memory_bytes: int, tell: Connection
) -> None:
    """Read one mutated file after the other and tell the outcomes; runs in a process of its own.

    Parameters
    ----------
    target : the reader.
    folder : an empty folder for the files.
    seed, indices : which mutations.
    memory_bytes : address space that may be taken beyond what the process starts with.
    tell : gets an Outcome per file, then Ended.
    """
    faulthandler.disable()  # a crash is the parent's business
    _limit_memory(memory_bytes)
    sys.setrecursionlimit(1000)
    os.chdir(folder)
    path = target.place(folder)
    seen = _watch(folder)
    start_bytes = _resident_bytes()
    with (folder / ".stderr").open("w") as noise, contextlib.redirect_stderr(noise):
        for index in indices:
            path.write_bytes(mutated(target, seed, index))
            seen.clear()
            tell.send(_outcome(target, path, index, seen))
            _clean(folder, {".stderr", *(target.beside or {})})
    tell.send(Ended(max(0, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - start_bytes)))


def _outcome(target: Target, path: Path, index: int, seen: list[str]) -> Outcome:
    started = time.process_time()
    kind: OutcomeKind
    try:
        target.read(path)
        kind, detail = "read", ""
    except target.refusals as error:
        kind, detail = "refused", str(error)[:300]
    except BaseException as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        kind, detail = (
            "wrong error",
            f"{type(error).__name__}: {str(error)[:200]} ({last.name}:{last.lineno})",
        )
    seconds = time.process_time() - started
    if seen:
        kind, detail = "side effect", "; ".join(seen)[:300]
    return Outcome(index, kind, detail, seconds)


def _watch(folder: Path) -> list[str]:
    """Collect programs started, and files written outside the folder, from now on."""
    seen: list[str] = []
    inside = str(folder)

    def outside(path: Any) -> bool:
        if not isinstance(path, str | bytes | os.PathLike):
            return False  # an open file descriptor
        return not os.path.realpath(os.path.join(inside, os.fsdecode(path))).startswith(inside)  # noqa: PTH118

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in _PROGRAMS:
            seen.append(f"{event} {arguments[:2]}")
        elif event == "open":
            path, mode, flags = arguments
            writes = bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)) or bool(
                mode and set(mode) & set("wax+")
            )
            if writes and outside(path):
                seen.append(f"writes {path}")
        elif event in _PATHS_CHANGED and any(outside(path) for path in arguments[:2]):
            seen.append(f"{event} {arguments[:2]}")

    sys.addaudithook(hook)
    return seen


def _limit_memory(memory_bytes: int) -> None:
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * _PAGE_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (taken + memory_bytes, taken + memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_BYTES


def _clean(folder: Path, keep: Mapping[str, bytes] | set[str]) -> None:
    for entry in folder.iterdir():
        if entry.name in keep:
            continue
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink()
