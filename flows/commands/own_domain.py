"""The commands ``poseshift domain``: cameras and keypoints of one's own as a store."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from poseshift.flows.commands.console import console, print_json, user_errors
from poseshift.flows.commands.options import Json, Plugins
from poseshift.flows.own_domain import DomainReport, add_clip, check_domain, mend_domain
from poseshift.preprocessing.domain.assemble import CameraVertical, ClipRequest, KeypointSource
from poseshift.preprocessing.domain.keypoints.formats import People
from poseshift.preprocessing.domain.moving import TrajectoryOptions, TrajectorySource
from poseshift.preprocessing.domain.rig import WorldUp
from poseshift.preprocessing.domain.stated import StatedIntrinsics
from poseshift.preprocessing.domain.trajectories.formats import Times
from poseshift.preprocessing.domain.verticals import StatedVertical
from poseshift.preprocessing.errors import RawDataError
from poseshift.storage.lock import StoreLockedError
from poseshift.storage.store import StoreError

app = typer.Typer()
domain_app = typer.Typer(
    help="Your own cameras: a store without 3D, to adapt lifters to.", no_args_is_help=True
)
app.add_typer(domain_app, name="domain")

_MENDABLE = (RawDataError, StoreError, StoreLockedError, ValueError)
_UNITS_M = {"m": 1.0, "cm": 0.01, "mm": 0.001}

Store = Annotated[str, typer.Option(help="The store: a folder, or s3://bucket/prefix.")]


@domain_app.command("add")
def add(
    name: Annotated[str, typer.Argument(help="Name of the domain: small letters, digits, underscores.")],
    store: Store,
    keypoints: Annotated[
        list[str],
        typer.Option(help="File or folder of keypoints, as PATH or CAMERA=PATH; repeat for more cameras."),
    ],
    fps: Annotated[float, typer.Option(help="Frames per second of the videos.")],
    cameras: Annotated[
        list[Path] | None, typer.Option(help="Calibration file; repeat for more. Without: see --fov.")
    ] = None,
    clip: Annotated[str | None, typer.Option(help="Name of the clip. Default: the file's.")] = None,
    detector: Annotated[
        str, typer.Option(help="Name of the keypoints in the store; recipes say `keypoints: NAME`.")
    ] = "detected",
    keypoint_format: Annotated[
        str | None, typer.Option("--format", help="Layout of the keypoints. Default: recognised.")
    ] = None,
    people: Annotated[
        People, typer.Option(help="Everybody by track id, or the most certain person of each image.")
    ] = "tracked",
    size: Annotated[
        str | None, typer.Option(help="WIDTHxHEIGHT of the images, where no file says it.")
    ] = None,
    camera_matrix: Annotated[
        str | None, typer.Option(help="fx,fy,cx,cy in pixels, for cameras without a calibration file.")
    ] = None,
    fov: Annotated[
        float | None,
        typer.Option(help="Field of view of the longer side, degrees, for cameras without a file."),
    ] = None,
    exif: Annotated[
        Path | None,
        typer.Option(help="Picture by the same lens and zoom; its EXIF data say the field of view."),
    ] = None,
    shift_keypoints: Annotated[
        str | None,
        typer.Option(
            help="DX,DY in pixels, added to all keypoints: -0.5,-0.5 where the detector counts from pixels' "
            "corners and the calibration from their centres."
        ),
    ] = None,
    reading: Annotated[
        str | None,
        typer.Option(help="How extrinsics are meant, such as columns,-z,centre. Default: found by views."),
    ] = None,
    length_unit: Annotated[
        str | None,
        typer.Option(
            help="Unit of the extrinsics: m, cm, mm, or so many metres. Default: found by legs. With "
            "--trajectory it must be said; unknown takes rotations alone, as after monocular SLAM."
        ),
    ] = None,
    world_up: Annotated[
        WorldUp | None, typer.Option(help="Axis of the calibration's or trajectory's world that points up.")
    ] = None,
    trajectory: Annotated[
        list[str] | None,
        typer.Option(
            help="Poses of a camera that moves, as PATH or CAMERA=PATH: TUM's text (camera to world), "
            "COLMAP's images.txt, or an npz with world_to_camera or camera_to_world. Repeat for more cameras."
        ),
    ] = None,
    trajectory_start: Annotated[
        float | None,
        typer.Option(
            help="What the trajectory calls the frame that keypoints call 0: seconds, or an image's number. "
            "Default: 0, with which it must begin."
        ),
    ] = None,
    trajectory_times: Annotated[
        Times | None, typer.Option(help="What a trajectory's numbers count. Default: what its layout says.")
    ] = None,
    up: Annotated[
        list[str] | None,
        typer.Option(
            help="Where up is, as STATEMENT for all or CAMERA=STATEMENT: attitude:PITCH,ROLL, up:X,Y,Z, "
            "down:X,Y,Z or horizon:X1,Y1,X2,Y2, each with ~DEGREES behind it."
        ),
    ] = None,
    plugin: Plugins = None,
) -> None:
    """Add a clip to a domain without 3D: keypoints of any detector, and the cameras that saw them."""
    with user_errors(*_MENDABLE):
        sources = tuple(_trajectory(one) for one in trajectory or ())
        unit = _unit(length_unit, moving=bool(sources))
        if not sources and (trajectory_start is not None or trajectory_times is not None):
            raise ValueError("--trajectory-start and --trajectory-times are of a --trajectory; give one")
        request = ClipRequest(
            clip=clip,
            keypoints=tuple(_source(one) for one in keypoints),
            cameras=tuple(cameras or ()),
            fps=fps,
            detector=detector,
            keypoint_format=keypoint_format,
            people=people,
            size_px=None if size is None else _size(size),
            stated=StatedIntrinsics(
                camera_matrix=None if camera_matrix is None else _four(camera_matrix), fov_degrees=fov
            ),
            exif=exif,
            keypoint_shift_px=(0.0, 0.0) if shift_keypoints is None else _two(shift_keypoints),
            reading=reading,
            metres_per_unit=None if sources else unit,
            world_up=None if sources else world_up,
            up=tuple(_vertical(one) for one in up or ()),
            trajectories=sources,
            trajectory=TrajectoryOptions(
                start=trajectory_start,
                times=trajectory_times,
                metres_per_unit=unit,
                world_up=world_up or "unknown",
            )
            if sources
            else TrajectoryOptions(),
        )
        added = add_clip(name, store, request)
    for sentence in added.told:
        console.print(sentence, soft_wrap=True)
    again = f" ({len(added.replaced)} replaced)" if added.replaced else ""
    console.print(
        f"{name}: {len(added.trials)} trials with {added.frames:,} frames written{again}; snapshot "
        f"{added.snapshot}",
        soft_wrap=True,
    )
    console.print(
        f"Look at it: poseshift domain check {store}\n"
        f"In a recipe: target: {{dataset: {name}, store: {store}, keypoints: {detector}}}",
        soft_wrap=True,
    )


@domain_app.command("check")
def check(
    store: Annotated[str, typer.Argument(help="A store that `poseshift domain add` made.")],
    mend: Annotated[
        bool, typer.Option("--mend", help="Exchange legs and arms back where they have changed sides.")
    ] = False,
    detector: Annotated[
        str | None, typer.Option(help="Whose keypoints, where the store holds several detectors'.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Say what is wrong with keypoints and cameras before anything is trained; exit code 1 with problems."""
    with user_errors(*_MENDABLE):
        report = (mend_domain if mend else check_domain)(store, detector=detector)
    if as_json:
        print_json(report)
    else:
        _print_report(report)
    if report.problems:
        raise typer.Exit(code=1)


def _print_report(report: DomainReport) -> None:
    for trial in report.mended:
        console.print(f"Sides exchanged back in {trial}", soft_wrap=True)
    colours = {"problem": "red", "warning": "yellow", "note": "dim"}
    for one in report.findings:
        where = one.trial if one.camera is None else f"{one.trial}, {one.camera}"
        console.print(
            f"{one.level}: {where}: {one.text}",
            style=colours[one.level],
            soft_wrap=True,
        )
    console.print(
        f"{report.dataset}: {report.trials} trials, {report.frames:,} frames; {report.problems} problems; "
        f"snapshot {report.snapshot}",
        soft_wrap=True,
    )


def _source(text: str) -> KeypointSource:
    camera, separator, path = text.partition("=")
    if separator and not Path(text).exists():
        return KeypointSource(camera=camera, path=Path(path))
    return KeypointSource(path=Path(text))


def _trajectory(text: str) -> TrajectorySource:
    camera, separator, path = text.partition("=")
    if separator and not Path(text).exists():
        return TrajectorySource(camera=camera, path=Path(path))
    return TrajectorySource(path=Path(text))


def _unit(text: str | None, *, moving: bool) -> float | None:
    """Metres per unit of length; None where it is found, or, of a trajectory, is not known."""
    if text is None and moving:
        raise ValueError(
            "--trajectory without --length-unit: say m, cm, mm or so many metres; or unknown, where SLAM or "
            "SfM saw one camera alone and nothing gave it a scale, to use its rotations without its "
            "translations"
        )
    if text is None or (text == "unknown" and moving):
        return None
    if text in _UNITS_M:
        return _UNITS_M[text]
    try:
        metres = float(text)
    except ValueError:
        metres = 0.0
    if not 0 < metres < float("inf"):
        raise ValueError(f"--length-unit {text!r}: use m, cm, mm, or so many metres")
    return metres


def _vertical(text: str) -> CameraVertical:
    camera, separator, statement = text.rpartition("=")
    return CameraVertical(vertical=StatedVertical.parse(statement), camera=camera if separator else None)


def _size(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d+)x(\d+)", text)
    if found is None:
        raise ValueError(f"--size {text!r}: give WIDTHxHEIGHT, such as 1080x1920")
    return int(found.group(1)), int(found.group(2))


def _four(text: str) -> tuple[float, float, float, float]:
    try:
        fx, fy, cx, cy = (float(one) for one in text.split(","))
    except ValueError:
        raise ValueError(f"--camera-matrix {text!r}: give fx,fy,cx,cy in pixels") from None
    return fx, fy, cx, cy


def _two(text: str) -> tuple[float, float]:
    try:
        x, y = (float(one) for one in text.split(","))
    except ValueError:
        raise ValueError(f"--shift-keypoints {text!r}: give DX,DY in pixels") from None
    return x, y
