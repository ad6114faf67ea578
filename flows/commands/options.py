"""Options that several commands share, and the data that they select."""

from __future__ import annotations

from typing import Annotated

import typer

from poseshift.flows.experiment.recipe import PoseData
from poseshift.storage.registry import load_plugins
from poseshift.storage.store import PoseStore

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of tables.")]
"""The option of every command that gives figures."""

Plugins = Annotated[
    list[str] | None,
    typer.Option(
        "--plugin",
        help="Module of your own that adds lifters, methods, ..., such as my_lab.lifters; repeat for more.",
        callback=lambda modules: load_plugins(modules or ()),
        is_eager=True,
    ),
]
"""The option of every command that names an entry of an open list."""

Subjects = Annotated[
    list[str] | None, typer.Option("--subject", help="Subject to use; repeat for more. Default: all.")
]
Cameras = Annotated[
    list[str] | None, typer.Option("--camera", help="Camera to use; repeat for more. Default: all.")
]
FrameStep = Annotated[int, typer.Option(min=1, help="Use every n-th frame.")]
Keypoints = Annotated[str, typer.Option(help="ground_truth, or the name of a detector in the store.")]
Seed = Annotated[int, typer.Option(help="Seed of everything random.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:<n>.")]
Dask = Annotated[
    str | None,
    typer.Option(help="Address of a Dask scheduler (tcp://host:8786) whose workers do the work."),
]


def selected(
    store: str, subjects: list[str] | None, cameras: list[str] | None, frame_step: int, keypoints: str
) -> PoseData:
    """Describe the poses that options select from a store."""
    return PoseData(
        dataset=PoseStore.open(store).dataset,
        store=store,
        subjects=tuple(subjects) if subjects else None,
        cameras=tuple(cameras) if cameras else None,
        frame_step=frame_step,
        keypoints=keypoints,
    )
