"""Commands that read and write the field's exchange files: npz of VideoPose3D, P-STMO, PoseAug and mmpose.

Predictions are written for the scripts of MPI-INF-3DHP.

Several of these are pickles inside. They are refused without ``--trust-pickle``, and with it read by
:mod:`poseshift.storage.restricted_pickle`, which runs nothing that a file names.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from poseshift.flows.commands.console import say, user_errors, warn, work_shown
from poseshift.flows.commands.detections import import_detections
from poseshift.flows.commands.model_export import export_model
from poseshift.flows.commands.options import Plugins
from poseshift.flows.experiment.predictions import export_for_3dhp_scripts, prediction_file
from poseshift.geometry.camera import Camera
from poseshift.geometry.skeleton import SKELETONS
from poseshift.preprocessing.acceptance import accepted
from poseshift.preprocessing.human36m import subset
from poseshift.preprocessing.human36m.calibration import builtin_calibration
from poseshift.preprocessing.mpi_inf_3dhp.layout import TEST_CAMERAS, TRAINING_CAMERAS
from poseshift.storage.exchange import augmented, mmpose, poseaug, pstmo, videopose3d
from poseshift.storage.exchange.mmpose import ImageName, ImageNaming
from poseshift.storage.exchange.npz import ExchangeError, ObjectArrays
from poseshift.storage.exchange.publication import ExportOrigin, publish, staged
from poseshift.storage.exchange.registry import FORMATS
from poseshift.storage.exchange.trials import FRAME_STEP, trials_of
from poseshift.storage.lock import StoreLockedError
from poseshift.storage.provenance import digest_file
from poseshift.storage.reading import Selection, read_camera_poses
from poseshift.storage.remaining import little_left
from poseshift.storage.schema import Dataset, PositionsKind, Trial
from poseshift.storage.store import PoseStore, StoreError

app = typer.Typer()
import_app = typer.Typer(help="Read an exchange file of the field into a new store.", no_args_is_help=True)
export_app = typer.Typer(
    help="Write a store, predictions, or a lifter as a file for other programs.", no_args_is_help=True
)
import_app.command("detections")(import_detections)
app.add_typer(import_app, name="import")
app.add_typer(export_app, name="export")
export_app.command("model")(export_model)

_MENDABLE = (
    ExchangeError,
    StoreError,
    StoreLockedError,
    FileNotFoundError,
    IsADirectoryError,
    ValueError,
    KeyError,
)

InFile = Annotated[Path, typer.Argument(help="The npz file.", exists=True, dir_okay=False)]
OutFile = Annotated[Path, typer.Argument(help="The npz file to write.", dir_okay=False)]
NewStore = Annotated[str, typer.Argument(help="The store to make: a folder, or s3://bucket/prefix.")]
Store = Annotated[str, typer.Argument(help="The store.")]
TrustPickle = Annotated[
    bool,
    typer.Option(
        "--trust-pickle",
        help="Read the pickle that this format stores its dictionaries as. A pickle can name code to run; "
        "nothing but NumPy arrays, containers, strings and numbers is built, and whatever else it names is "
        "refused.",
    ),
]
Fps = Annotated[
    float,
    typer.Option(min=0.1, help="Frames per second of the recordings, which the file does not say."),
]
Detector = Annotated[
    str | None,
    typer.Option(
        help="The file's 2D is this detector's: it is kept under the name, and ground truth is projected."
    ),
]
Positions = Annotated[
    PositionsKind,
    typer.Option(help="3D at the data set's common height (P-STMO's own files), or as annotated (D3DP's)."),
]

Replace = Annotated[
    bool, typer.Option("--replace", help="Overwrite a file that was made from something else.")
]


@import_app.command("videopose3d")
def import_videopose3d(
    positions: Annotated[Path, typer.Argument(help="data_3d_h36m.npz", exists=True, dir_okay=False)],
    keypoints: Annotated[Path, typer.Argument(help="data_2d_h36m_gt.npz", exists=True, dir_okay=False)],
    store: NewStore,
    fps: Fps = 50.0,
    frame_step: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="The files hold every n-th frame. Default: what their numbers of frames say, otherwise 1.",
        ),
    ] = None,
    detector: Detector = None,
    trust_pickle: TrustPickle = False,
) -> None:
    """VideoPose3D's pair of Human3.6M files, with the release's own calibration of the four cameras."""
    with user_errors(*_MENDABLE):
        sources = tuple(digest_file(path, path.parent) for path in (positions, keypoints))
        cameras, arrays = builtin_calibration().cameras, _object_arrays(trust_pickle)
        step = frame_step or subset.frame_step(videopose3d.count_frames(positions, arrays)) or 1
        trials = videopose3d.import_trials(positions, keypoints, cameras, fps, arrays, step, detector)
        sourced = (replace(trial, sources=sources) for trial in trials)
        _write(store, "human36m", "VideoPose3D", sourced, detector=detector)
        for subject, count in videopose3d.left_out(positions, cameras, arrays).items():
            warn(
                f"{positions}\n  left out: {count} trials of {subject}, of whom no camera is known; "
                f"there are cameras of {', '.join(sorted(cameras))}"
            )


@import_app.command("pstmo-train")
def import_pstmo_train(
    file: InFile,
    store: NewStore,
    positions: Positions = "universal",
    detector: Detector = None,
    trust_pickle: TrustPickle = False,
) -> None:
    """P-STMO's data_train_3dhp.npz; every camera's view becomes a trial of its own, in camera axes."""
    with user_errors(*_MENDABLE):
        cameras = {camera.name: camera for camera in TRAINING_CAMERAS}
        poses = pstmo.import_train(file, cameras, _object_arrays(trust_pickle), positions)
        trials = trials_of(poses, digest_file(file, file.parent))
        _write(store, "mpi_inf_3dhp_train", "P-STMO", trials, detector=detector)


@import_app.command("pstmo-test")
def import_pstmo_test(
    file: InFile,
    store: NewStore,
    positions: Positions = "universal",
    fps: Fps = 25.0,
    detector: Detector = None,
    trust_pickle: TrustPickle = False,
) -> None:
    """P-STMO's data_test_3dhp.npz; frames that it marks as invalid are kept with their mark."""
    with user_errors(*_MENDABLE):
        found = pstmo.import_test(file, dict(TEST_CAMERAS), fps, _object_arrays(trust_pickle), positions)
        trials = trials_of(found.poses, digest_file(file, file.parent), found.valid)
        _write(store, "mpi_inf_3dhp_test", "P-STMO", trials, detector=detector)


@import_app.command("poseaug")
def import_poseaug(file: InFile, store: NewStore, fps: Fps = 25.0) -> None:
    """PoseAug's test_3dhp.npz, on its 16 joints; sequences of one camera become one trial.

    The file names no sequence, frame or camera. Cameras and places of people are found by re-projection.
    """
    with user_errors(*_MENDABLE):
        poses = poseaug.import_poses(file, dict(TEST_CAMERAS), fps)
        trials = trials_of(poses, digest_file(file, file.parent))
        _write(store, "poseaug_3dhp", "PoseAug", trials, poses.skeleton)


@import_app.command("mmpose")
def import_mmpose(
    file: InFile,
    store: NewStore,
    images: Annotated[ImageNaming, typer.Option(help="Data set whose images the file names.")] = "human36m",
    fps: Fps = 50.0,
    detector: Detector = None,
) -> None:
    """Annotation files of mmpose, which hold no pickle; every camera's view becomes a trial of its own."""
    with user_errors(*_MENDABLE):
        poses = mmpose.import_annotations(file, images, _camera_of(images), fps)
        trials = trials_of(poses, digest_file(file, file.parent))
        _write(store, images, "mmpose", trials, detector=detector)


@import_app.command("augmented")
def import_augmented(file: InFile, store: NewStore) -> None:
    """Read an augmented set, as `augment --npz` writes it."""
    with user_errors(*_MENDABLE):
        source = digest_file(file, file.parent)
        origin, read = augmented.import_augmented_trials(file)
        trials = (replace(trial, sources=(source,)) for trial in read)
        motion, skeleton = origin.pop("restaged_from", None), str(origin.pop("skeleton", "human36m_17"))
        made_by = {"set_snapshot" if name == "snapshot" else name: str(one) for name, one in origin.items()}
        _write(store, "augmented", "augmented", trials, skeleton, restaged_from=motion, options=made_by)


@import_app.command("other")
def import_other(
    name: Annotated[str, typer.Argument(help="The format, as its module names it.")],
    file: Annotated[Path, typer.Argument(help="The file or folder.", exists=True)],
    store: NewStore,
    detector: Detector = None,
    plugin: Plugins = None,
) -> None:
    """Read a format that a module of your own adds; name the module with --plugin."""
    with user_errors(*_MENDABLE):
        read = FORMATS[name].read
        if read is None:
            raise ValueError(f"format {name!r} is not read without options; see `poseshift import --help`")
        with work_shown(f"read {file}"):
            found = read(file)
        _write(store, found.dataset, name, found.trials, found.skeleton, detector=detector)


@export_app.command("other")
def export_other(
    name: Annotated[str, typer.Argument(help="The format, as its module names it.")],
    store: Store,
    place: Annotated[Path, typer.Argument(help="The file or folder to write.")],
    replace: Replace = False,
    plugin: Plugins = None,
) -> None:
    """Write any format of the list with its defaults, those of a --plugin among them."""
    with user_errors(*_MENDABLE):
        write = FORMATS[name].write
        if write is None:
            raise ValueError(f"format {name!r} is not written")
        opened = PoseStore.open(store)
        with staged(place) as draft:
            write(opened, draft)
            written = publish(draft, place, _origin(name, opened), replace=replace)
    _print_written(opened, *written)


@export_app.command("videopose3d")
def export_videopose3d(
    store: Store,
    folder: Annotated[Path, typer.Argument(help="Folder for the two files.", file_okay=False)],
    keypoints: Annotated[
        str, typer.Option(help="ground_truth, or the name of a detector in the store.")
    ] = "ground_truth",
    replace: Replace = False,
) -> None:
    """VideoPose3D's pair: data_3d_h36m.npz and data_2d_h36m_<keypoints>.npz."""
    with user_errors(*_MENDABLE):
        opened = PoseStore.open(store)
        with staged(folder) as draft:
            videopose3d.export_pair(opened, draft, keypoints)
            # Not among the settings: the 2D file has the keypoints in its name, the 3D one none of them.
            written = publish(draft, folder, _origin("videopose3d", opened), replace=replace)
    _print_written(opened, *written)


@export_app.command("pstmo-train")
def export_pstmo_train(
    store: Store, file: OutFile, positions: Positions = "universal", replace: Replace = False
) -> None:
    """P-STMO's data_train_3dhp.npz, of its eight cameras."""
    with user_errors(*_MENDABLE):
        opened = PoseStore.open(store)
        with staged(file) as draft:
            pstmo.export_train(opened, draft, positions=positions)
            written = publish(
                draft, file, _origin("pstmo-train", opened, positions=positions), replace=replace
            )
    _print_written(opened, *written)


@export_app.command("pstmo-test")
def export_pstmo_test(
    store: Store, file: OutFile, positions: Positions = "universal", replace: Replace = False
) -> None:
    """P-STMO's data_test_3dhp.npz, of all frames with the mask of the valid ones."""
    with user_errors(*_MENDABLE):
        opened = PoseStore.open(store)
        with staged(file) as draft:
            pstmo.export_test(opened, draft, positions)
            written = publish(
                draft, file, _origin("pstmo-test", opened, positions=positions), replace=replace
            )
    _print_written(opened, *written)


@export_app.command("poseaug")
def export_poseaug(store: Store, file: OutFile, replace: Replace = False) -> None:
    """PoseAug's test_3dhp.npz: valid frames with all joints inside the image."""
    with user_errors(*_MENDABLE):
        opened = PoseStore.open(store)
        with staged(file) as draft:
            rows = poseaug.export_test(read_camera_poses(opened, Selection(positions="universal")), draft)
            written = publish(draft, file, _origin("poseaug", opened), replace=replace)
    _print_written(opened, *written)
    say(f"{rows:,} rows; the file names no sequence, frame or camera.")


@export_app.command("mmpose")
def export_mmpose(
    store: Store,
    file: OutFile,
    images: Annotated[ImageNaming, typer.Option(help="Data set whose images are named.")] = "human36m",
    frame_step: Annotated[int, typer.Option(min=1, help="Use every n-th frame.")] = 1,
    replace: Replace = False,
) -> None:
    """Write an annotation file of mmpose, one row per image; it holds no pickle."""
    with user_errors(*_MENDABLE):
        opened = PoseStore.open(store)
        selection = Selection(frame_step=frame_step, positions="annotated")
        poses = read_camera_poses(opened, selection)
        little = little_left(opened, selection, poses)
        if little is not None:
            warn(little)
        origin = _origin("mmpose", opened, images=images, frame_step=str(frame_step))
        with staged(file) as draft:
            mmpose.export_annotations(poses, draft, images)
            written = publish(draft, file, origin, replace=replace)
    _print_written(opened, *written)


@export_app.command("predictions")
def export_predictions(
    evaluation: Annotated[
        Path, typer.Argument(help="The folder that `evaluate` wrote.", exists=True, file_okay=False)
    ],
    file: Annotated[Path, typer.Argument(help="The file to write: inference_data.mat.", dir_okay=False)],
    protocol: Annotated[str, typer.Option(help="Under which the lifter predicted.")] = "3dhp-official",
    replace: Replace = False,
    plugin: Plugins = None,
) -> None:
    """Predictions for the MATLAB scripts of MPI-INF-3DHP: P-STMO's inference_data.mat, valid frames only."""
    with user_errors(*_MENDABLE), staged(file) as draft:
        written = export_for_3dhp_scripts(evaluation, protocol, draft)
        origin = ExportOrigin(
            layout="predictions",
            source=str(evaluation.resolve()),
            snapshot=digest_file(prediction_file(evaluation, protocol), evaluation).sha256,
            settings={"protocol": protocol},
        )
        publish(draft, file, origin, replace=replace)
    frames = ", ".join(f"{name} {count:,}" for name, count in written.items())
    say(f"{file}: frames of {frames}")


def _object_arrays(trust_pickle: bool) -> ObjectArrays:
    return "restricted" if trust_pickle else "refuse"


def _write(
    location: str,
    dataset: Dataset,
    layout: str,
    trials: Iterable[Trial],
    skeleton: str = "human36m_17",
    *,
    detector: str | None = None,
    restaged_from: str | None = None,
    options: Mapping[str, str] | None = None,
) -> None:
    """Make a store of imported trials, in one transaction; nothing is made when the file is refused."""
    with work_shown(f"read {layout}"):
        read = [accepted(trial, SKELETONS[skeleton], detector) for trial in trials]
    if not read:
        raise ValueError(f"nothing in the file can be imported as {dataset}: it holds none of its subjects")
    made_by = {"imported_from": layout, **(options or {})}
    store = PoseStore.create(location, dataset, skeleton, restaged_from=restaged_from, options=made_by)
    with store.transaction(f"Import {layout}") as transaction:
        for trial in read:
            transaction.write(trial)
    frames = sum(trial.frames for trial in read)
    say(f"{dataset}: {len(read)} trials with {frames:,} frames imported; snapshot {store.snapshot}")
    _say_rates(read)
    if detector is not None and all((trial.detections[detector][..., 2] == 1).all() for trial in read):
        warn(f"the file has no confidences: every joint of {detector} counts as seen, with confidence 1")


def _say_rates(trials: Sequence[Trial]) -> None:
    """Say which trials hold every n-th frame, and which lack frames in between."""
    rates = Counter((trial.options[FRAME_STEP], trial.fps) for trial in trials if FRAME_STEP in trial.options)
    for (step, fps), count in sorted(rates.items()):
        say(f"{count} of the trials hold every {step}. frame: stored with {fps:g} frames per second")
    gaps = sum(trial.frame_number is not None for trial in trials)
    if gaps:
        say(f"{gaps} of the trials lack frames in between: no clip and no velocity runs over a gap")


def _camera_of(images: ImageNaming) -> Callable[[ImageName], Camera]:
    """Find the release's calibration of the camera that took an image."""
    training = {camera.name: camera for camera in TRAINING_CAMERAS}

    def camera_of(image: ImageName) -> Camera:
        if images == "human36m":
            return builtin_calibration().camera(image.subject, image.camera)
        return (training if images == "mpi_inf_3dhp_train" else TEST_CAMERAS)[image.camera]

    return camera_of


def _origin(layout: str, store: PoseStore, **settings: str) -> ExportOrigin:
    return ExportOrigin(layout=layout, source=str(store.location), snapshot=store.snapshot, settings=settings)


def _print_written(store: PoseStore, *files: Path) -> None:
    for file in files:
        say(f"{file}\n  of snapshot {store.snapshot}")
