"""One clip of a domain of one's own: files of keypoints and calibrations into trials, one per person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from poseshift.geometry.camera import Camera
from poseshift.preprocessing.domain.calibrations.registry import read_rig
from poseshift.preprocessing.domain.exif import fov_degrees
from poseshift.preprocessing.domain.keypoints.formats import KEYPOINT_FORMATS, People
from poseshift.preprocessing.domain.keypoints.registry import recognise
from poseshift.preprocessing.domain.moving import (
    UNIT,
    UNKNOWN_UNIT,
    MovingCameras,
    TrajectoryOptions,
    TrajectorySource,
    moving_cameras,
)
from poseshift.preprocessing.domain.readings import Settled, settle
from poseshift.preprocessing.domain.rig import Rig, WorldUp, from_z_up, moved, reading_named
from poseshift.preprocessing.domain.stated import StatedIntrinsics
from poseshift.preprocessing.domain.tracks import View, missing_as_nan, on_human36m
from poseshift.preprocessing.domain.verticals import StatedVertical, stand
from poseshift.preprocessing.errors import RawDataError
from poseshift.storage.model import FrozenModel
from poseshift.storage.provenance import digest_file
from poseshift.storage.schema import Float32, IntrinsicsOrigin, SourceFile, Trial, TrialKey, Vertical

CALIBRATED_SIZE = "calibrated_size."
"""Begin of the options that say for which image size a camera was calibrated."""

REPROJECTION = "extrinsics_reprojection_median_px"
"""Quality figure of a trial whose extrinsics were settled by several views."""


class KeypointSource(FrozenModel):
    """A file or folder of keypoints."""

    path: Path
    """Where it lies."""
    camera: str | None = None
    """Which camera it is of, where the file does not say."""


class CameraVertical(FrozenModel):
    """What is stated of where up is before a camera."""

    vertical: StatedVertical
    """The statement."""
    camera: str | None = None
    """Name of the camera; None for every camera with keypoints."""


class ClipRequest(FrozenModel):
    """Everything that a clip is made of."""

    clip: str | None = None
    """Name of the clip; by default that of the first file of keypoints."""
    keypoints: tuple[KeypointSource, ...] = Field(min_length=1)
    """Files of one moment: equal frame numbers were taken at once."""
    cameras: tuple[Path, ...] = ()
    """Calibration files; without any, the intrinsics are stated or assumed."""
    fps: float = Field(gt=0)
    """Frames per second."""
    detector: str = Field(default="detected", pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")
    """Name of the keypoints in the store, which recipes give as `keypoints:`."""
    keypoint_format: str | None = None
    """Layout of the keypoints; recognised where left out."""
    people: People = "tracked"
    """Everybody by track id, or the most certain person of each image."""
    size_px: tuple[int, int] | None = None
    """Width and height of the images, where no file says them."""
    exif: Path | None = None
    """A picture of the same lens and zoom, whose EXIF data say the field of view."""
    keypoint_shift_px: tuple[float, float] = (0.0, 0.0)
    """Added to all keypoints: where the calibration's pixels begin elsewhere than the detector's."""
    stated: StatedIntrinsics = StatedIntrinsics()
    """Intrinsics of cameras without a calibration file."""
    reading: str | None = None
    """How extrinsics are meant, where views cannot tell, such as columns,-z,centre."""
    metres_per_unit: float | None = Field(default=None, gt=0)
    """Unit of the extrinsics, where neither format nor views can tell."""
    world_up: WorldUp | None = None
    """Axis of the calibration's world that points up, where the format does not say."""
    up: tuple[CameraVertical, ...] = ()
    """Where up is before cameras, where no axis of a calibration's world says it."""
    trajectories: tuple[TrajectorySource, ...] = ()
    """Poses of cameras that move, one file for each; without any, cameras stand still."""
    trajectory: TrajectoryOptions = TrajectoryOptions()
    """How these are meant."""


@dataclass(frozen=True)
class Clip:
    """What became of a request.

    Attributes
    ----------
    trials : tuple[Trial, ...]
        One per person, of the cameras that saw the person.
    told : tuple[str, ...]
        Sentences on what was decided.
    """

    trials: tuple[Trial, ...]
    told: tuple[str, ...]


def assemble(request: ClipRequest) -> Clip:
    """Read a clip.

    Raises
    ------
    RawDataError
        A file is not what it should be, or files contradict each other; the message says what to do.
    """
    views = _views(request)
    rigs = tuple(read_rig(path) for path in request.cameras)
    rig = _joined(rigs)
    sizes = {name: _size(request, rig, name, view) for name, view in views.items()}
    people = _people(views, request.keypoint_shift_px)
    if rig is not None and request.exif is not None:
        raise ValueError("a calibration and EXIF data are two answers to one question; give one of them")
    told = [f"{len(people)} {'person' if len(people) == 1 else 'people'}, cameras {', '.join(views)}"]
    origin: IntrinsicsOrigin = "calibration file"
    settled: Settled | None = None
    if rig is None:
        given = request.stated if request.exif is None else _by_exif(request.exif, request.stated)
        origin = given.origin
        stated = {name: given.camera(name, sizes[name]) for name in views}
        cameras = {name: one.placed(None, sizes[name], 1.0) for name, one in stated.items()}
        if request.exif is not None:
            told.append(
                f"field of view of the longer side by the EXIF data of {request.exif.name}: "
                f"{given.fov_degrees:.1f} degrees, if the videos show the full width of a picture"
            )
        if origin == "assumed":
            told.append(
                "no calibration: a field of view of 60 degrees is ASSUMED; positions and sizes that are "
                "learned of these cameras are as wrong as it is"
            )
    else:
        if request.trajectories:
            _require_intrinsics_alone(rig, tuple(views))
        settled = _settled(request, rig, people, sizes)
        cameras = {name: _camera(request, rig, name, sizes[name], settled) for name in views}
        told.append("no extrinsics" if settled is None else str(settled))
    up = "unknown" if settled is None or _up(request, rig) == "unknown" else "z"
    verticals: dict[str, Vertical] = {}
    stated_up = _stated_up(request, tuple(views))
    if stated_up and up == "z":
        raise RawDataError(
            request.keypoints[0].path,
            found=f"up stated of {', '.join(stated_up)}, and a calibration whose world says where up is",
            expected="one of the two",
            remedy="Leave out --up, or say --world-up unknown where the calibration's is not to be used.",
        )
    moving = _moving(request, views)
    if moving is not None:
        up = request.trajectory.world_up
        told += moving.told
    elif stated_up:
        cameras, verticals = stand(cameras, stated_up, rig=settled is not None)
        up = "z"
        told += [
            f"{name}: up by {one.kind}, within {one.interval_degrees:.1f} degrees"
            for name, one in verticals.items()
        ]
    elif settled is not None and up == "unknown":
        told.append("where up is in the calibration's world is not known; say it with --world-up or --up")
    if any(request.keypoint_shift_px):
        told.append("keypoints shifted by {:g}, {:g} px, as stated".format(*request.keypoint_shift_px))
    sources = _sources(request, rig, moving)
    clip = request.clip or request.keypoints[0].path.stem
    trials = tuple(
        Trial(
            key=TrialKey(f"person-{person}", clip),
            action=clip,
            subaction="1",
            fps=request.fps,
            cameras=tuple(cameras[name] for name in seen),
            positions_world=None,
            keypoints_2d=None,
            positions_kind=None,
            intrinsics=origin,
            detections={request.detector: np.stack(list(seen.values()))},
            quality={} if settled is None or settled.error_px is None else {REPROJECTION: settled.error_px},
            options=_options(request, rig, seen, settled) | _trajectory_options(request),
            sources=sources,
            extrinsics=None if moving is None else np.stack([moving.paths[name].extrinsics for name in seen]),
            up="unknown" if up == "unknown" else "z",
            verticals={name: one for name, one in verticals.items() if name in seen},
        )
        for person, seen in people.items()
    )
    return Clip(trials, tuple(told))


def _views(request: ClipRequest) -> dict[str, View]:
    """Read every view, by the name of its camera, all with the same first frame."""
    found: dict[str, View] = {}
    for source in request.keypoints:
        layout = (
            recognise(source.path)
            if request.keypoint_format is None
            else KEYPOINT_FORMATS[request.keypoint_format]
        )
        for view in layout.read(source.path, request.people):
            name = source.camera or view.camera or source.path.stem
            if name in found:
                raise RawDataError(
                    source.path,
                    found=f"a second view of camera {name!r}",
                    expected="one view per camera in a clip",
                    remedy="Give another clip by a call of its own, or name the camera: CAMERA=PATH.",
                )
            found[name] = view
    return found


def _moving(request: ClipRequest, views: Mapping[str, View]) -> MovingCameras | None:
    """Read the trajectories of the cameras; None where they stand still."""
    if not request.trajectories:
        return None
    if request.up:
        raise RawDataError(
            request.trajectories[0].path,
            found="a trajectory, and --up, which says how a camera stands",
            expected="up as an axis of the trajectory's world",
            remedy="Say --world-up, or leave it out and let people tell where up is.",
        )
    return moving_cameras(
        request.trajectories, request.trajectory, tuple(views), _numbers(views), request.fps
    )


def _require_intrinsics_alone(rig: Rig, cameras: Sequence[str]) -> None:
    placed = [name for name in cameras if rig.camera(name).matrix is not None]
    if placed:
        raise RawDataError(
            rig.files[0],
            found=f"extrinsics of {', '.join(placed)}, and trajectories",
            expected="intrinsics alone of cameras that move",
            remedy="Leave out the extrinsics, or the trajectories where the cameras stand still.",
        )


def _numbers(views: Mapping[str, View]) -> NDArray[np.int64]:
    """Numbers of the clip's frames, as the keypoints count them."""
    first = min(view.first_frame for view in views.values())
    return np.arange(first, max(view.first_frame + view.frames for view in views.values()))


def _by_exif(picture: Path, stated: StatedIntrinsics) -> StatedIntrinsics:
    """Take the field of view of a picture; ValueError when the intrinsics are stated as well."""
    if stated.origin == "stated":
        raise ValueError("EXIF data and stated intrinsics are two answers to one question; give one of them")
    return StatedIntrinsics(fov_degrees=fov_degrees(picture))


def _people(views: Mapping[str, View], shift_px: tuple[float, float]) -> dict[str, dict[str, Float32]]:
    """Per person and camera that saw the person, (frames, 17, 3) keypoints of the clip's frames."""
    numbers = _numbers(views)
    first, frames = int(numbers[0]), len(numbers)
    people: dict[str, dict[str, Float32]] = {}
    for name, view in views.items():
        for track in view.tracks:
            keypoints = np.zeros((frames, 17, 3), dtype=np.float32)
            begin = view.first_frame - first
            made = on_human36m(track.keypoints, view.skeleton)
            made[made[..., 2] > 0, :2] += np.array(shift_px, dtype=np.float32)
            keypoints[begin : begin + len(made)] = made
            people.setdefault(track.person, {})[name] = keypoints
    return {person: people[person] for person in sorted(people)}


def _joined(rigs: Sequence[Rig]) -> Rig | None:
    """Make one rig of several files, such as one per camera."""
    if not rigs:
        return None
    first = rigs[0]
    if any((one.readings, one.world_up) != (first.readings, first.world_up) for one in rigs):
        raise RawDataError(
            rigs[1].files[0],
            found="another layout of calibrations than the file before it",
            expected="calibration files of one layout",
            remedy="Calibrate all cameras by one program.",
        )
    return replace(
        first,
        files=tuple(file for one in rigs for file in one.files),
        cameras=tuple(camera for one in rigs for camera in one.cameras),
    )


def _size(request: ClipRequest, rig: Rig | None, name: str, view: View) -> tuple[int, int]:
    size = view.size_px or request.size_px or (None if rig is None else rig.camera(name).size_px)
    if size is None or min(size) < 1:
        raise RawDataError(
            request.keypoints[0].path,
            found=f"no image size of camera {name!r}" if size is None else f"an image of {size}",
            expected="width and height in pixels",
            remedy="Give them with --size WIDTHxHEIGHT.",
        )
    return size


def _settled(
    request: ClipRequest,
    rig: Rig,
    people: Mapping[str, Mapping[str, Float32]],
    sizes: Mapping[str, tuple[int, int]],
) -> Settled | None:
    """Settle the extrinsics by everybody who is seen by several cameras; None where there are none."""
    placed = [name for name in sizes if rig.camera(name).matrix is not None]
    if not placed:
        return None
    if len(placed) < len(sizes):
        raise RawDataError(
            rig.files[0],
            found=f"extrinsics of {', '.join(placed)} alone",
            expected=f"extrinsics of all cameras with keypoints: {', '.join(sizes)}",
            remedy="Calibrate all of them, or leave out the extrinsics.",
        )
    seen = [
        (tuple(views), np.stack([missing_as_nan(one) for one in views.values()])) for views in people.values()
    ]
    stated = None if request.reading is None else reading_named(request.reading)
    return settle(rig, seen, sizes, stated, request.metres_per_unit)


def _stated_up(request: ClipRequest, cameras: Sequence[str]) -> dict[str, StatedVertical]:
    """Find what is stated of each camera with keypoints; of one by name before what is stated of all."""
    named = [one.camera for one in request.up if one.camera is not None]
    unknown = sorted(set(named) - set(cameras))
    general = [one.vertical for one in request.up if one.camera is None]
    if unknown or len(general) > 1 or len(set(named)) < len(named):
        raise RawDataError(
            request.keypoints[0].path,
            found=f"up stated of {', '.join(unknown)}" if unknown else "up stated more than once of a camera",
            expected=f"one statement of each of the cameras {', '.join(cameras)}, or one of all",
            remedy="Give --up CAMERA=STATEMENT with a camera that has keypoints, or --up STATEMENT for all.",
        )
    found = dict.fromkeys(cameras, general[0]) if general else {}
    return found | {one.camera: one.vertical for one in request.up if one.camera is not None}


def _up(request: ClipRequest, rig: Rig | None) -> WorldUp:
    return request.world_up or ("unknown" if rig is None else rig.world_up)


def _camera(
    request: ClipRequest, rig: Rig, name: str, size_px: tuple[int, int], settled: Settled | None
) -> Camera:
    """Make a camera of the store, its world turned so that z points up where up is known."""
    one = rig.camera(name)
    if settled is None:
        return one.placed(None, size_px, 1.0)
    camera = one.placed(settled.reading, size_px, settled.metres_per_unit)
    turned = np.asarray(camera.rotation) @ from_z_up(_up(request, rig))
    return moved(camera, turned, np.asarray(camera.translation))


def _options(
    request: ClipRequest, rig: Rig | None, seen: Mapping[str, Float32], settled: Settled | None
) -> dict[str, str]:
    options: dict[str, str] = {"people": request.people}
    if any(request.keypoint_shift_px):
        options["keypoint_shift_px"] = "{:g},{:g}".format(*request.keypoint_shift_px)
    if settled is not None:
        options |= {"reading": str(settled.reading), "metres_per_unit": f"{settled.metres_per_unit:g}"}
    if rig is not None:
        for name in seen:
            size = rig.camera(name).size_px
            if size is not None:
                options[f"{CALIBRATED_SIZE}{name}"] = f"{size[0]}x{size[1]}"
    return options


def _trajectory_options(request: ClipRequest) -> dict[str, str]:
    """How trajectories were meant, kept with every trial."""
    if not request.trajectories:
        return {}
    said = request.trajectory
    unit = UNKNOWN_UNIT if said.metres_per_unit is None else f"{said.metres_per_unit:g}"
    return {"trajectory_start": f"{said.start or 0:.12g}", UNIT: unit}


def _sources(request: ClipRequest, rig: Rig | None, moving: MovingCameras | None) -> tuple[SourceFile, ...]:
    files = ([] if rig is None else list(rig.files)) + ([] if request.exif is None else [request.exif])
    files += [] if moving is None else moving.files
    for source in request.keypoints:
        path = source.path
        files += sorted(one for one in path.rglob("*.json")) if path.is_dir() else [path]
    return tuple(digest_file(path, path.parent) for path in files)
