"""The command that makes a page of motions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from poseshift.flows.commands.console import print_json, say, user_errors, work_shown
from poseshift.flows.commands.options import Cameras, Json, Plugins, Subjects
from poseshift.flows.viewer.clips import Wanted
from poseshift.flows.viewer.cut import LEAST_FRAMES
from poseshift.flows.viewer.film import write_film
from poseshift.flows.viewer.page import write_motions
from poseshift.flows.viewer.read import read_motions
from poseshift.storage.store import StoreError

app = typer.Typer()


@app.command()
def view(
    folder: Annotated[Path, typer.Argument(help="The folder that `evaluate` or `predict` wrote.")],
    out: Annotated[
        Path | None, typer.Option(help="The page to write. Default: motions.html in the folder.")
    ] = None,
    protocol: Annotated[
        str | None, typer.Option(help="Protocol of an evaluation. Default: its first one.")
    ] = None,
    store: Annotated[
        str | None,
        typer.Option(help="The store, where it is not where the run's recipe or the prediction says."),
    ] = None,
    subject: Subjects = None,
    trial: Annotated[
        list[str] | None, typer.Option(help="Trial to show, without its subject; repeat for more.")
    ] = None,
    camera: Cameras = None,
    frames: Annotated[
        int | None, typer.Option(min=LEAST_FRAMES, help="Frames at most. Default: as many as 3 MB hold.")
    ] = None,
    film: Annotated[
        Path | None,
        typer.Option(
            "--film",
            "--gif",
            help="Also write the first of these clips as a film: an animated .gif, or .mp4 by ffmpeg.",
            dir_okay=False,
        ),
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Overwrite a film that is there.")] = False,
    plugin: Plugins = None,
    as_json: Json = False,
) -> None:
    """Show what a lifter did: one page with skeletons in space, keypoints and errors, frame by frame."""
    wanted = Wanted(*(tuple(names) if names else None for names in (subject, trial, camera)))
    with user_errors(ValueError, OSError, StoreError), work_shown("view"):
        motions = read_motions(folder, protocol, store, wanted)
        shown = None if film is None else write_film(motions.clips[0], film, frames, replace=replace)
        written = write_motions(motions, out or folder / "motions.html", frames)
    if as_json:
        print_json(written if shown is None else written.model_copy(update={"film": shown}))
        return
    if shown is not None:
        say(
            f"{shown.trial}, {shown.camera}: {shown.frames:,} of {shown.frames_in_all:,} frames, number "
            f"{shown.first_frame:,} to {shown.last_frame:,}, {shown.bytes / 1e6:.1f} MB: {shown.film}"
        )
    megabytes = f"{written.bytes / 1e6:.1f} MB"
    say(f"{written.frames:,} frames of {written.clips:,} clips, {megabytes}: {written.page}")
    if written.frames_left_out:
        clips = f", among them {written.clips_left_out:,} whole clips" if written.clips_left_out else ""
        say(
            f"{written.frames_left_out:,} frames are left out{clips}; choose by --subject, --trial, --camera",
            "yellow",
        )
