"""Human3.6M as a plan of trials: what a tree offers, and what is wrong with it by name and place.

Positions come from ``D3_Positions`` or, for subjects without it, from a camera's own frame
(``D3_Positions_mono``) and its calibration; the 2D from ``D2_Positions`` or, for subjects without it, by
projection. One trial is read by :mod:`poseshift.preprocessing.human36m.trial`. Videos and boxes are not read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from poseshift.geometry.camera import Camera
from poseshift.preprocessing.errors import RawDataError
from poseshift.preprocessing.human36m.layout import (
    PoseKind,
    canonical_action,
    canonical_stem,
    parse_stem,
    pose_filename,
)
from poseshift.preprocessing.human36m.leftovers import missing_in, unread_in
from poseshift.preprocessing.human36m.metadata import Metadata, builtin_metadata, read_metadata
from poseshift.preprocessing.human36m.options import Human36MOptions
from poseshift.preprocessing.human36m.sequences import Sequence
from poseshift.preprocessing.human36m.tree import PoseFolder, PoseTree, find_tree
from poseshift.preprocessing.human36m.trial import PositionsFile, TrialFiles, read_trial
from poseshift.preprocessing.raw import PlannedTrial, RawPlan, restaged_motion
from poseshift.storage.schema import TrialKey

__all__ = ["DEFAULT_OPTIONS", "Human36MOptions", "plan_human36m"]

DEFAULT_OPTIONS = Human36MOptions()

_S9_DRIFTED_STEMS = ("Greeting", "SittingDown 1", "Waiting 1")
_S9_SHIFT_MM = (-200.0, 0.0, 0.0)
"""Correction of the S9 trials whose poses lie beside the person, as posepile applies it."""

_S11_CORRUPT_STEM, _S11_CORRUPT_CAMERA = "Directions", "54138969"
_POSITION_KINDS: dict[str, tuple[PoseKind, ...]] = {
    "own": ("D3_Positions", "D3_Positions_mono"),
    "universal": ("D3_Positions_mono_universal",),
}


def plan_human36m(
    root: Path, options: Human36MOptions = DEFAULT_OPTIONS, unpack_into: Path | None = None
) -> RawPlan:
    """List the trials of a tree without reading frames.

    Parameters
    ----------
    root : Path
        The release's tree, the flattened tree of h36m-fetch, or a folder of the official archives.
    options : Human36MOptions
        What to do about the release's known faults; recorded in the plan and in each trial.
    unpack_into : Path or None
        Folder for what the archives hold; needed for a folder of archives.

    Returns
    -------
    the plan; names that are not understood and missing files are its problems, and their trials are left out.

    Raises
    ------
    RawDataError : no poses below the root, an archive that must be refused, or a damaged metadata.xml.
    """
    tree = find_tree(Path(root), unpack_into)
    metadata = builtin_metadata() if tree.metadata is None else read_metadata(tree.metadata)
    trials: list[PlannedTrial] = []
    problems: list[RawDataError] = []
    for subject in tree.subjects:
        for entry in _SubjectPlanner(tree, subject, metadata, options).entries():
            if isinstance(entry, RawDataError):
                problems.append(entry)
            else:
                trials.append(entry)
    restaged = restaged_motion(Path(root))  # such a tree has as many trials as there is motion
    return RawPlan(
        dataset="human36m",
        root=tree.root,
        trials=tuple(trials),
        problems=tuple(problems),
        options={name: str(value) for name, value in options.model_dump().items()},
        restaged_from=restaged,
        unread=tuple({one.path: one for one in unread_in(Path(root), tree)}.values()),
        missing=tuple(missing_in(tree, {trial.key for trial in trials})) if restaged is None else (),
    )


@dataclass(frozen=True)
class _SubjectPlanner:
    tree: PoseTree
    subject: str
    metadata: Metadata
    options: Human36MOptions

    def entries(self) -> Iterator[PlannedTrial | RawDataError]:
        """Yield every trial of the subject, or what keeps it from being read."""
        kinds = _POSITION_KINDS[self.options.skeleton_scale]
        folders = (self.tree.folder(self.subject, kind) for kind in kinds)
        positions = next((folder for folder in folders if folder is not None), None)
        keypoints = self.tree.folder(self.subject, "D2_Positions")
        if positions is None:
            yield RawDataError(
                self.tree.root / self.subject,
                found="no folder of 3D positions",
                expected=" or ".join(kinds),
                remedy=f"Unpack Poses_{kinds[0]}_{self.subject}.tgz as well, or remove the subject.",
            )
            return
        for folder in (positions, keypoints):
            yield from () if folder is None else folder.problems
        stems = sorted({*positions.files, *(keypoints.files if keypoints else ())})
        for stem in stems:
            sequence = self.metadata.sequences.find(self.subject, stem)
            if sequence is None:
                yield self._unknown_sequence(positions, keypoints, stem)
            elif not self._dropped(stem):
                yield self._trial(positions, keypoints, sequence)

    def _trial(
        self, positions: PoseFolder, keypoints: PoseFolder | None, sequence: Sequence
    ) -> PlannedTrial | RawDataError:
        stem = sequence.stem
        all_cameras = self.metadata.calibration.cameras[self.subject]
        cameras = tuple(camera for camera in all_cameras if not self._camera_dropped(stem, camera))
        frame_of = None if positions.kind == "D3_Positions" else all_cameras
        wanted = [None] if frame_of is None else [camera.name for camera in frame_of]
        missing = _missing(positions, stem, wanted)
        if missing is None and keypoints is not None:
            missing = _missing(keypoints, stem, [camera.name for camera in cameras])
        if missing is not None:
            return missing
        shift = _S9_SHIFT_MM if self._shifted(stem) else (0.0, 0.0, 0.0)
        # Moved positions no longer match the released 2D, which is displaced with them.
        annotated = keypoints is not None and not self._shifted(stem)
        files = TrialFiles(
            key=TrialKey(self.subject, canonical_stem(stem)),
            action=_action(stem),
            subaction=str(sequence.subaction),
            cameras=cameras,
            positions=PositionsFile(
                positions.files[stem][wanted[0]],
                None if frame_of is None else frame_of[0],
                "universal" if positions.kind == "D3_Positions_mono_universal" else "annotated",
            ),
            keypoints=tuple(keypoints.files[stem][camera.name] for camera in cameras)
            if keypoints is not None and annotated
            else (),
            rows=sequence.rows,
            rows_from=self.metadata.source,
            video_frames=min(sequence.video_frames),
            shift_world_mm=shift,
            options={
                **self.options.model_dump(),
                "stem": stem,
                "positions": positions.kind,
                "keypoints": "D2_Positions" if annotated else "projected",
                "calibration": self.metadata.source,
            },
        )
        metadata = () if self.tree.metadata is None else (self.tree.metadata,)
        return PlannedTrial(
            key=files.key,
            sources=(files.positions.path, *files.keypoints, *metadata),
            read=partial(read_trial, files),
        )

    def _dropped(self, stem: str) -> bool:
        drifted = self._drifted(stem) and self.options.s9_drift == "drop"
        corrupt = (self.subject, stem) == ("S11", _S11_CORRUPT_STEM) and self.options.s11_directions == "drop"
        return drifted or corrupt

    def _shifted(self, stem: str) -> bool:
        return self._drifted(stem) and self.options.s9_drift == "shift_200mm"

    def _drifted(self, stem: str) -> bool:
        return self.subject == "S9" and stem in _S9_DRIFTED_STEMS

    def _camera_dropped(self, stem: str, camera: Camera) -> bool:
        return (self.subject, stem, camera.name) == (
            "S11",
            _S11_CORRUPT_STEM,
            _S11_CORRUPT_CAMERA,
        ) and self.options.s11_directions == "drop_camera_54138969"

    def _unknown_sequence(
        self, positions: PoseFolder, keypoints: PoseFolder | None, stem: str
    ) -> RawDataError:
        folder = positions if stem in positions.files or keypoints is None else keypoints
        stems = self.metadata.sequences.stems(self.subject)
        return RawDataError(
            next(iter(folder.files[stem].values())),
            found=f"the stem {stem!r}",
            expected=f"one of the stems of {self.subject} ({self.metadata.source}): {', '.join(stems)}",
            remedy="Give the file its name in the release, or move it out of the folder.",
        )


def _missing(folder: PoseFolder, stem: str, cameras: Iterable[str | None]) -> RawDataError | None:
    """Name the files of a trial that a folder lacks."""
    have = folder.files.get(stem, {})
    missing = [pose_filename(stem, camera) for camera in cameras if camera not in have]
    if not missing:
        return None
    return RawDataError(
        folder.path / missing[0],
        found=f"{len(have)} files of {stem!r} in {folder.kind}",
        expected=f"also {', '.join(repr(name) for name in missing)}",
        remedy=f"Unpack Poses_{folder.kind}_{folder.subject}.tgz again, or remove all files of the trial.",
    )


def _action(stem: str) -> str:
    name = parse_stem(pose_filename(stem, None))
    return canonical_action(stem if name is None else name.action)
