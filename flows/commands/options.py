"""Options that several commands share; nothing here is slow to import."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from poseshift.storage.registry import load_plugins

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of tables.")]
"""The option of every command that gives figures."""

Store = Annotated[str, typer.Argument(help="The store: a folder, or s3://bucket/prefix.")]
"""The argument of every command that uses one store."""

Plan = Annotated[
    bool,
    typer.Option("--plan", help="Say what would be done, why and how long it takes; write nothing."),
]
"""The option of commands that can be planned."""


def _loaded(modules: list[str] | None) -> list[str] | None:
    load_plugins(modules or ())
    return modules


Plugins = Annotated[
    list[str] | None,
    typer.Option(
        "--plugin",
        help="Module of your own that adds lifters, methods, ..., such as my_lab.lifters; repeat for more.",
        callback=_loaded,
        is_eager=True,
    ),
]
"""The option of every command that names an entry of an open list."""

TrainedLifterName = Annotated[
    Path,
    typer.Argument(
        help="A trained lifter: the `lifter` folder that `train` wrote, or the name of a shipped lifter."
    ),
]
"""The argument of every command that uses a trained lifter."""

Subjects = Annotated[
    list[str] | None, typer.Option("--subject", help="Subject to use; repeat for more. Default: all.")
]
Cameras = Annotated[
    list[str] | None, typer.Option("--camera", help="Camera to use; repeat for more. Default: all.")
]
FrameStep = Annotated[int, typer.Option(min=1, help="Use every n-th frame.")]
Keypoints = Annotated[str, typer.Option(help="ground_truth, or the name of a detector in the store.")]
LeastConfidence = Annotated[
    float, typer.Option(min=0, help="Joints that the detector is less sure of count as not seen.")
]
Seed = Annotated[int, typer.Option(help="Seed of everything random.")]
Prefect = Annotated[
    bool,
    typer.Option(
        "--prefect",
        help="Run as a Prefect flow, on a server for the length of the command where none is configured.",
    ),
]
"""The option of every command whose work is a flow; with a configured server, it is one without it."""

Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:<n>.")]
Threads = Annotated[
    int | None,
    typer.Option(
        min=1, help="Threads to compute with on a CPU. Default: 1 for a small lifter, all cores for others."
    ),
]
Jobs = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Lifters to train at the same time, a process each. Default: on a CPU as many as processors and "
        "memory have room for, else 1.",
    ),
]
Dask = Annotated[
    str | None,
    typer.Option(help="Address of a Dask scheduler (tcp://host:8786) whose workers do the work."),
]
