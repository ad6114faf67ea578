"""The command that lifts a store's keypoints and writes 3D for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.table import Table

from poseshift.adaptation.test_time import TEST_TIMES
from poseshift.flows.commands.console import print_json, say, show, user_errors
from poseshift.flows.commands.options import (
    Cameras,
    Device,
    Json,
    Keypoints,
    LeastConfidence,
    Plugins,
    Prefect,
    Subjects,
    TrainedLifterName,
)
from poseshift.flows.commands.running import run_shown
from poseshift.flows.experiment.masks import MaskOptions
from poseshift.flows.experiment.predict import RECORD, PredictionOptions, PredictionOutcome
from poseshift.flows.predict import predict_once
from poseshift.storage.store import PoseStore, StoreError
from poseshift.training.answer import BodyOf
from poseshift.training.prediction.body_height import SizeFrom
from poseshift.training.prediction.smoothing import SmoothingName, smoothing_named
from poseshift.training.shipped import lifter_folder

app = typer.Typer()

_SHOWN = 20
"""Rows of the table; the record has all."""


@app.command()
def predict(
    lifter: TrainedLifterName,
    store: Annotated[str, typer.Argument(help="The store whose 2D keypoints are lifted; it needs no 3D.")],
    out: Annotated[Path, typer.Option(help="New folder for the files and their record.")],
    formats: Annotated[
        str, typer.Option("--format", help="Formats, parted by commas; docs/formats.md describes each.")
    ] = "npz",
    height: Annotated[
        list[str] | None,
        typer.Option(
            help="Body height in metres: 1.78 for everybody, or S1=1.78; repeat for more. Default: the mean "
            "body of the lifter's source, or what --size says."
        ),
    ] = None,
    size: Annotated[
        SizeFrom,
        typer.Option(
            help="Size of people whose height is not given: the mean body of the lifter's source, or that at "
            "which all cameras of a calibrated rig see a person in one place."
        ),
    ] = "source",
    masks: Annotated[
        Path | None,
        typer.Option(
            help="Folder with masks of the people, <subject>/<trial>/<camera>/<frame>.png or <camera>.json, "
            "that poses are moved to fit; docs/rendering.md."
        ),
    ] = None,
    body: Annotated[
        BodyOf,
        typer.Option(
            help="Give one body's bones to all frames of a view, or leave each frame those of its own answer."
        ),
    ] = "view",
    smooth: Annotated[SmoothingName, typer.Option(help="Smoothing in time.")] = "savgol",
    test_time: Annotated[
        Literal["uao"] | None,
        typer.Option(help="Optimise the lifter's input until its answer projects onto the keypoints."),
    ] = None,
    keypoints: Keypoints = "ground_truth",
    least_confidence: LeastConfidence = 0.0,
    subject: Subjects = None,
    camera: Cameras = None,
    device: Device = "auto",
    plugin: Plugins = None,
    prefect: Prefect = False,
    as_json: Json = False,
) -> None:
    """Lift a store's 2D keypoints and write the 3D motion of every trial, camera and calibrated rig."""
    with user_errors(ValueError, OSError, StoreError, ModuleNotFoundError):
        lifter_folder(lifter)  # before a flow is started: a name that is none is told at once
        people = tuple(dict.fromkeys(key.subject for key in PoseStore.open(store).keys()))
        options = PredictionOptions(
            keypoints=keypoints,
            least_confidence=least_confidence,
            subjects=tuple(subject) if subject else None,
            cameras=tuple(camera) if camera else None,
            heights_m=_heights(height or [], tuple(subject) if subject else people),
            size_from=size,
            smoothing=smoothing_named(smooth),
            body=body,
            test_time=None if test_time is None else TEST_TIMES[test_time],
            formats=tuple(dict.fromkeys(name.strip() for name in formats.split(",") if name.strip())),
            masks=None if masks is None else MaskOptions(folder=masks),
        )
        with run_shown(prefect=prefect) as run:
            outcome = run(predict_once, lifter, store, options, out, device)
    if as_json:
        print_json(outcome.record)
        return
    _print(outcome, out)


def _heights(given: list[str], people: tuple[str, ...]) -> dict[str, float]:
    """Read ``1.78`` (everybody) and ``S1=1.78`` (one person, who goes before everybody)."""
    everybody: dict[str, float] = {}
    single: dict[str, float] = {}
    for text in given:
        person, equals, number = text.rpartition("=")
        try:
            metres = float(number)
        except ValueError:
            raise ValueError(f"--height {text}: expected metres, such as 1.78 or S1=1.78") from None
        if not 0.4 <= metres <= 2.8:
            raise ValueError(f"--height {text}: {metres:g} m is no body height; heights are in metres")
        if equals:
            single[person] = metres
        else:
            everybody = dict.fromkeys(people, metres)
    return {**everybody, **single}


def _print(outcome: PredictionOutcome, out: Path) -> None:
    record = outcome.record
    table = Table(title=f"{len(record.motions)} motions by {record.lifter}")
    table.add_column("trial", overflow="fold")
    table.add_column("camera", no_wrap=True)
    table.add_column("axes", no_wrap=True)
    for column in ("frames", "with gaps", "error\nestimate"):
        table.add_column(column, justify="right", no_wrap=True)
    for one in record.motions[:_SHOWN]:
        table.add_row(
            f"{one.subject}/{one.trial}",
            one.camera,
            one.axes,
            f"{one.frames:,}",
            f"{one.interpolated_frames:,}",
            f"{one.median_error_mm:.0f} mm",
        )
    show(table)
    if len(record.motions) > _SHOWN:
        say(f"... and {len(record.motions) - _SHOWN} more in {out / RECORD}")
    for sentence in record.assumptions:
        say(sentence, "yellow")
    left_out = sum(one.left_out_frames for one in record.motions)
    absent = sum(one.frames_without_person for one in record.motions)
    if left_out or absent:
        say(
            f"Nobody is seen in {left_out + absent:,} frames: {left_out:,} before and after the person are "
            f"left out, {absent:,} in between are interpolated and marked",
            "yellow",
        )
    if record.restaged_from:
        say(f"Restaged motion, not the original recordings: {record.restaged_from}", "yellow")
    say(f"There already for the same inputs: {out}" if outcome.reused else f"Written to {out}")
