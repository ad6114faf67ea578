"""Programs of Python that begin in a moment: forks of a process that has the slow imports behind it.

A program is a process of its own, with its environment, folder, files, signals and exit code, as one that a
shell starts. Shared is the start alone, which takes five to ten seconds of a processor.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from functools import cached_property
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

SLOW_IMPORTS = [
    "benchmarks.faults.programs",
    "benchmarks.faults.stages",
    "lightning_fabric",
    "poseshift.flows.commands.serving",
    "poseshift.flows.report.page",
    "prefect.cli.server",
    "prefect.server.api.server",
]
"""What programs need that train, report, serve, or are a server of Prefect's."""

PATIENCE_SECONDS = 300.0
"""For a program that is to end by itself: a busy machine is slow."""

PROCESSES = multiprocessing.get_context("forkserver")


def forked(target: Callable[..., None], arguments: tuple[object, ...]) -> ForkServerProcess:
    """Make a process that calls a function, with the slow imports behind it; it is yet to be started."""
    PROCESSES.set_forkserver_preload(SLOW_IMPORTS)  # the project's own pools name fewer
    return PROCESSES.Process(target=target, args=arguments)


def start(
    *words: str,
    environment: Mapping[str, str],
    told: Path,
    errors: Path | None = None,
    given: Path | None = None,
    folder: Path | None = None,
    new_session: bool = False,
) -> ForkServerProcess:
    """Begin what ``python`` would begin with these words.

    Parameters
    ----------
    words : str
        ``-m``, a module and its arguments, or ``-c``, a program and its arguments.
    environment : mapping
        All of it. What an interpreter reads of it before its first import (``PYTHONPATH``) is that of this
        process.
    told, errors, given : Path, optional
        Files for standard output and standard error, which are appended to, and for standard input;
        ``errors`` is ``told`` where it is left out, and an input that is left out is empty.
    folder : Path, optional
        To work in; where left out, that of this process.
    new_session : bool
        Whether it leads a session and a group of processes, which may be killed as one.

    Returns
    -------
    ForkServerProcess
        To be joined, or killed.
    """
    files = (given or Path(os.devnull), told, errors or told)
    process = forked(_begin, (words, dict(environment), folder or Path.cwd(), files, new_session))
    process.start()
    return process


def run(
    *words: str, environment: Mapping[str, str], folder: Path | None = None, given: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run such a program to its end, as :func:`subprocess.run` does with ``capture_output``.

    Parameters
    ----------
    words, environment, folder
        As for :func:`start`.
    given : str
        Its standard input.

    Raises
    ------
    subprocess.TimeoutExpired
        It has not ended after :data:`PATIENCE_SECONDS`, and is killed. What it said is in its notes.
    """
    with tempfile.TemporaryDirectory() as place:
        files = [Path(place) / name for name in ("given", "told", "errors")]
        for path, text in zip(files, (given, "", ""), strict=True):
            path.write_text(text)
        process = start(
            *words, environment=environment, folder=folder, given=files[0], told=files[1], errors=files[2]
        )
        try:
            process.join(PATIENCE_SECONDS)
            told = [path.read_text() for path in files[1:]]
            if process.exitcode is None:
                late = subprocess.TimeoutExpired(words, PATIENCE_SECONDS, told[0].encode(), told[1].encode())
                late.add_note("\n".join(told))
                raise late
            return subprocess.CompletedProcess(words, process.exitcode, *told)
        finally:
            process.kill()
            process.join()


class _SettingsWhenAsked:
    """Prefect's settings, read when they are first asked for: a program may set some before that."""

    @cached_property
    def _found(self) -> Any:
        from prefect import context

        del context.GLOBAL_SETTINGS_CONTEXT  # there is none while Prefect is imported, either
        context.GLOBAL_SETTINGS_CONTEXT = context.root_settings_context()
        return context.GLOBAL_SETTINGS_CONTEXT

    def __getattr__(self, name: str) -> Any:
        return getattr(self._found, name)


def _begin(
    words: tuple[str, ...],
    environment: dict[str, str],
    folder: Path,
    files: tuple[Path, Path, Path],
    new_session: bool,
) -> None:
    from prefect import context

    if new_session:
        os.setsid()
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    for number, path in enumerate(files):
        opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND if number else os.O_RDONLY, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - multiprocessing has put an empty one in its place
    context.GLOBAL_SETTINGS_CONTEXT = _SettingsWhenAsked()  # type: ignore[assignment]
    option, program, *arguments = words
    first = {"-m": str(folder), "-c": ""}[option]
    sys.path[:] = [*([] if "PYTHONSAFEPATH" in environment else [first]), *(one for one in sys.path if one)]
    sys.argv = [option, *arguments]
    try:
        if option == "-m":
            runpy.run_module(program, run_name="__main__", alter_sys=True)
        else:
            exec(compile(program, "<string>", "exec"), {"__name__": "__main__"})  # noqa: S102 - a test's program
    finally:  # as an interpreter ends: threads hand in what they hold, while what atexit stops is still there
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()  # multiprocessing leaves without
