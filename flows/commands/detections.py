"""The command ``poseshift import detections``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from poseshift.flows.attach import attach
from poseshift.flows.commands.console import say, user_errors, warn, work_shown
from poseshift.storage.lock import StoreLockedError
from poseshift.storage.store import StoreError

_NAMED = 3


def import_detections(
    place: Annotated[
        Path,
        typer.Argument(
            help="VideoPose3D's data_2d_*.npz, or a folder of COCO results: <subject>/<trial>/<camera>.json.",
            exists=True,
        ),
    ],
    store: Annotated[str, typer.Argument(help="The store whose trials they are of; it gets them added.")],
    detector: Annotated[
        str, typer.Option(help="Name of the keypoints, such as cpn; recipes say `keypoints: NAME`.")
    ],
    first_frame: Annotated[
        int, typer.Option(help="Number that COCO's files give to a video's first frame.")
    ] = 0,
    trust_pickle: Annotated[
        bool,
        typer.Option("--trust-pickle", help="Read VideoPose3D's pickle, of plain data alone."),
    ] = False,
) -> None:
    """Add a detector's 2D to the trials of a store, to train and test on."""
    with user_errors(StoreError, StoreLockedError, ValueError, OSError), work_shown(f"read {place}"):
        done = attach(store, place, detector, "restricted" if trust_pickle else "refuse", first_frame)
    say(f"{len(done.trials)} trials have keypoints {detector}; snapshot {done.snapshot}")
    if done.missing:
        rest = len(done.missing) - _NAMED
        named = ", ".join(done.missing[:_NAMED]) + (f" and {rest} more" if rest > 0 else "")
        warn(f"{place} has no detections of {len(done.missing)} trials: {named}")
    if done.without_confidence:
        warn(f"the files have no confidences: every joint of {detector} counts as seen, with confidence 1")
