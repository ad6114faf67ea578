"""The command ``poseshift augment``: a synthetic training set from a labelled store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from poseshift.adaptation.global_position import GlobalPositionConfig, RootForm
from poseshift.augmentation.generator import RandomChanges, RandomRotations
from poseshift.flows.augment import AugmentRequest, SynthesisMethod
from poseshift.flows.augment import augment as augment_store
from poseshift.flows.commands.console import print_json, say, user_errors
from poseshift.flows.commands.options import Cameras, Dask, FrameStep, Json, Prefect, Seed, Subjects
from poseshift.flows.commands.running import run_shown
from poseshift.flows.commands.selected_poses import selected
from poseshift.flows.runtime.cluster import ClusterUnreachableError
from poseshift.storage.store import StoreError

app = typer.Typer()

_RANDOM = RandomChanges()


@app.command()
def augment(
    source: Annotated[str, typer.Argument(help="A store with 3D labels (made by `poseshift prepare`).")],
    store: Annotated[str, typer.Argument(help="The new store: a folder, or s3://bucket/prefix.")],
    method: Annotated[
        SynthesisMethod,
        typer.Option(
            help="augment: change bones and headings; gpa: only place poses where target people are seen."
        ),
    ] = "augment",
    target: Annotated[
        str | None,
        typer.Option(help="Place poses where the people of this store are seen; only its 2D is looked at."),
    ] = None,
    generator: Annotated[
        Path | None,
        typer.Option(help="The `generator` folder of a PoseDA run. Default: random parameters."),
    ] = None,
    angle_spread: Annotated[
        float, typer.Option(min=0, help="Deviation of random offsets of unit bone vectors.")
    ] = _RANDOM.angle_spread,
    length_range: Annotated[
        float, typer.Option(min=0, help="Largest random change of a bone's length, as a share of it.")
    ] = _RANDOM.length_range,
    rotation: Annotated[
        RandomRotations,
        typer.Option(help="Turns that random parameters make; upright ones need cameras with extrinsics."),
    ] = _RANDOM.rotation,
    root_form: Annotated[RootForm, typer.Option(help="How roots are placed in front of the target.")] = "ray",
    subject: Subjects = None,
    camera: Cameras = None,
    frame_step: FrameStep = 1,
    copies: Annotated[int, typer.Option(min=1, help="Versions of every pose.")] = 1,
    segment_frames: Annotated[
        int,
        typer.Option(min=1, help="Successive frames that are changed and moved alike, for lifters of clips."),
    ] = 1,
    npz: Annotated[Path | None, typer.Option(help="Write the set as a file of plain arrays, too.")] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Overwrite an npz that was made from something else.")
    ] = False,
    seed: Seed = 0,
    dask: Dask = None,
    prefect: Prefect = False,
    as_json: Json = False,
) -> None:
    """Make a store of changed poses: bones turned and scaled, bodies turned and placed anew.

    Without a generator, changes are drawn at random, by default as large as with `augmentation: {}` in a
    recipe.
    """
    with user_errors(ValueError, FileNotFoundError, StoreError, ClusterUnreachableError):
        request = AugmentRequest(
            source=selected(source, subject, camera, frame_step, "ground_truth"),
            store=store,
            method=method,
            target=None if target is None else selected(target, None, None, frame_step, "ground_truth"),
            placement=GlobalPositionConfig(root_form=root_form),
            generator=generator,
            random=RandomChanges(angle_spread=angle_spread, length_range=length_range, rotation=rotation),
            copies=copies,
            segment_frames=segment_frames,
            seed=seed,
            npz=npz,
            replace=replace,
            dask=dask,
        )
        with run_shown(prefect=prefect) as run:
            record = run(augment_store, request)
    if as_json:
        print_json(record)
        return
    say(f"{record.poses:,} poses in {record.trials} trials in {record.store}")
    if record.restaged_from:
        say(f"Restaged motion, not the original recordings: {record.restaged_from}", "yellow")
