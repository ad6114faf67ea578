"""Applying a trained lifter to a data set's poses: every row answered once.

A lifter that answers for the middle of a clip sees a clip about every row, padded at the ends of recordings
by their first and last frames (seq2frame: stride 1). One that answers for all frames sees windows that do not
overlap, of which the last of a recording ends with it; a recording shorter than a window is padded by its
last frame (seq2seq). A lifter of clips is shown motion at the frame rate that it has learned, never at
another: where rows come at another rate, clips are cut at its own.

Where a lifter answers with one body, all frames of a view get the same bones at the end, mirrored pass and
scales or not (:mod:`poseshift.training.one_body`).

Prediction knows nothing of protocols but the mirrored pass.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from poseshift.geometry.skeleton import skeleton
from poseshift.storage.columns import CameraPoses
from poseshift.storage.frame_rates import sampling_hz
from poseshift.storage.gaps import interpolated, with_people_filled
from poseshift.storage.schema import Float32
from poseshift.training.answer import Answer, RaysOff
from poseshift.training.batches import Batch, DevicePoses
from poseshift.training.checkpoint import TrainedLifter
from poseshift.training.evaluation.protocols import TestTime
from poseshift.training.flip import lift, lift_flip_averaged
from poseshift.training.one_body import Seen, with_one_body

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Clips:
    """Some rows to lift, with the poses around them: all that another process needs to know.

    Attributes
    ----------
    poses : DevicePoses
        The rows and their neighbours.
    rows : torch.Tensor
        (n,) int64, the rows of ``poses`` that are asked for: the middle frames of clips, or the first frames
        of windows.
    whole : bool
        Whether they are windows, to be answered for as a whole.
    """

    poses: DevicePoses
    rows: Tensor
    whole: bool


Lift = Callable[[Clips], Float32]
"""From n clips to their middle poses, (n, 1, joints, 3) metres, or to all, (n, frames, joints, 3)."""

Mapper = Callable[[Lift, Iterable[Clips]], Iterable[Float32]]
"""Applies a function to each of many parts and gives the answers in their order, as :func:`map` does."""


def predict(
    trained: TrainedLifter,
    poses: CameraPoses,
    *,
    test_time: TestTime = "plain",
    batch_size: int = 4096,
    over: Mapper = map,
) -> Float32:
    """Lift every row's keypoints, on the device where the lifter lies.

    A lifter of clips sees the rows around each row, inside its sequence; see the module. Only keypoints and
    intrinsics reach the lifter. Keypoints that were not detected (NaN) are interpolated in time before, see
    :func:`poseshift.storage.gaps.interpolated`; an encoding that tells of gaps is shown them, but for frames
    in which next to nothing was seen.

    Parameters
    ----------
    trained : TrainedLifter
        From :func:`poseshift.training.checkpoint.load_lifter` or a training run.
    poses : CameraPoses
        N rows, on the skeleton of the lifter.
    test_time : TestTime
        ``flip`` averages with the answer to the mirrored keypoints.
    batch_size : int
        Frames answered for at once.
    over : Mapper
        How the batches are worked on: one after the other, or by the workers of a cluster, which get the same
        batches and so give the same answers.

    Returns
    -------
    array (n, joints, 3), metres, root-relative, camera axes.

    Raises
    ------
    ValueError
        When poses and lifter have different skeletons.
    poseshift.storage.gaps.NeverDetectedError
        When a joint was detected in no frame of a view.
    """
    answers = (trained.answer,)
    return predict_each(trained, poses, answers, test_time=test_time, batch_size=batch_size, over=over)[0]


def predict_each(
    trained: TrainedLifter,
    poses: CameraPoses,
    answers: Sequence[Answer],
    *,
    rows: NDArray[np.intp] | None = None,
    test_time: TestTime = "plain",
    batch_size: int = 4096,
    over: Mapper = map,
) -> tuple[Float32, ...]:
    """Lift once, and answer in several ways.

    Parameters
    ----------
    trained, poses, test_time, batch_size, over
        As in :func:`predict`.
    answers : Sequence[Answer]
        What is done to the lifter's output, in place of its own answer.
    rows : array of int64 or None
        (n,) rows of ``poses`` that are answered for, rising: clips hold the rows around them, and one body is
        found from them alone. None for all.

    Returns
    -------
    For each of the answers, (n, joints, 3) as from :func:`predict`.

    Raises
    ------
    ValueError, poseshift.storage.gaps.NeverDetectedError
        As :func:`predict`.
    """
    how = partial(_lift, trained, tuple(answers), test_time)
    lifted = _each_row(trained, poses, how, rows, batch_size, over)
    asked = poses if rows is None else poses.take(rows)
    return tuple(
        _of_one_body(answer, part, asked, _device(trained))
        for answer, part in zip(answers, np.split(lifted, len(answers), axis=-1), strict=True)
    )


def lift_rows(
    trained: TrainedLifter,
    poses: CameraPoses,
    how: Lift,
    *,
    batch_size: int = 4096,
    over: Mapper = map,
) -> Float32:
    """Apply any way of lifting clips to every row, as :func:`predict` does with its own.

    Parameters
    ----------
    trained, poses, batch_size, over
        As in :func:`predict`; the lifter is in evaluation mode meanwhile.
    how : Lift
        It travels to the workers of a cluster.

    Returns
    -------
    array (n, joints, ...), as ``how`` gives it.

    Raises
    ------
    ValueError, poseshift.storage.gaps.NeverDetectedError
        As :func:`predict`.
    """
    answers = _each_row(trained, poses, how, None, batch_size, over)
    return _of_one_body(trained.answer, answers, poses, _device(trained))


def _each_row(
    trained: TrainedLifter,
    poses: CameraPoses,
    how: Lift,
    rows: NDArray[np.intp] | None,
    batch_size: int,
    over: Mapper,
) -> Float32:
    """Lift each of the rows, or all of them, by itself: the frames of a view may differ in their bodies."""
    lifter = trained.lifter
    if poses.skeleton != lifter.skeleton:
        raise ValueError(f"the lifter expects {lifter.skeleton} keypoints, the poses are {poses.skeleton}")
    shown = with_people_filled(poses) if trained.encoding.sees_gaps else interpolated(poses)
    columns = DevicePoses.from_columns(shown, _device(trained), lifter.frames, trained.clip_hz)
    _tell_rate(trained, columns, poses)
    # Windows have answers at their own frames alone, which are not rows where rates differ.
    whole = lifter.output == "all" and lifter.frames > 1 and columns.spacing == 1.0
    was_training = lifter.training
    lifter.eval()
    try:
        if not whole:
            asked = torch.arange(len(columns)) if rows is None else torch.as_tensor(rows)
            answers = np.concatenate(list(over(how, _clips(columns, asked, batch_size))))[:, 0]
        else:
            starts = window_starts(columns)
            count = max(1, batch_size // lifter.frames)
            answers = _rows_of(columns, starts, list(over(how, _windows(columns, starts, count))))
            answers = answers if rows is None else answers[rows]
    finally:
        lifter.train(was_training)
    return answers


def _device(trained: TrainedLifter) -> torch.device:
    return next(trained.lifter.parameters()).device


def _of_one_body(answer: Answer, answers: Float32, poses: CameraPoses, device: torch.device) -> Float32:
    """Give the frames of each view one body where that is the answer, (n, joints, 3 or more)."""
    rays = answer.rays
    if isinstance(rays, RaysOff) or rays.body == "frame":
        return answers
    intrinsics = poses.intrinsics.map(lambda f: torch.as_tensor(f, dtype=torch.float64, device=device))
    seen = Seen(
        keypoints_px=torch.as_tensor(poses.keypoints_px, device=device),
        intrinsics=intrinsics[torch.as_tensor(poses.camera, dtype=torch.int64, device=device)],
        confidence=None if poses.confidence is None else torch.as_tensor(poses.confidence, device=device),
    )
    relative = torch.as_tensor(answers[..., :3], device=device)
    found = with_one_body(relative, seen, poses.view_rows, skeleton(poses.skeleton), rays)
    return np.concatenate([found.cpu().numpy().astype(np.float32), answers[..., 3:]], axis=-1)


def window_starts(poses: DevicePoses) -> Tensor:
    """First rows of the windows that hold every row, (windows,) int64 rising, on the device of the poses.

    Windows of one run follow each other without overlap; the last ends with the run, or begins with it where
    the run is shorter than a window.
    """
    row = torch.arange(len(poses), device=poses.device)
    first, last = poses.run_first, poses.run_last
    begins = (row - first) % poses.frames == 0
    starts: Tensor = torch.minimum(row, torch.maximum(last - poses.frames + 1, first))[begins]
    return starts


def _rows_of(poses: DevicePoses, starts: Tensor, answers: list[Float32]) -> Float32:
    """Take each row's answer (n, joints, 3) from the first window that holds it."""
    first = starts.cpu().numpy()
    frames = first[:, None] + np.arange(poses.frames)
    inside = frames <= poses.run_last.cpu().numpy()[first][:, None]
    _, place = np.unique(frames[inside], return_index=True)
    return np.asarray(np.concatenate(answers)[inside][place])


def _clips(columns: DevicePoses, rows: Tensor, batch_size: int) -> Iterator[Clips]:
    for chosen in torch.split(rows, batch_size):
        first, last = int(chosen[0]), int(chosen[-1]) + 1
        here = (chosen - max(0, first - columns.reach)).to(columns.device)
        yield Clips(columns.part(first, last), here, whole=False)


def _windows(columns: DevicePoses, starts: Tensor, count: int) -> Iterator[Clips]:
    for begin_at in range(0, len(starts), count):
        chosen = starts[begin_at : begin_at + count]
        first, last = int(chosen[0]), min(int(chosen[-1]) + columns.frames, len(columns))
        begin = max(0, first - columns.reach)
        yield Clips(columns.part(first, last), chosen - begin, whole=True)


def clips_of(clips: Clips) -> Batch:
    """Cut out the clips, or windows."""
    return clips.poses.windows(clips.rows) if clips.whole else clips.poses.batch(clips.rows)


def asked_for(trained: TrainedLifter, values: Tensor, clips: Clips) -> Tensor:
    """Take of the frames answered for, (n, frames, ...), those asked for: all, or the middle ones."""
    lifter = trained.lifter
    if clips.whole or lifter.output == "centre":
        return values
    return values[:, lifter.frames // 2 : lifter.frames // 2 + 1]


def refined(trained: TrainedLifter, lifted: Tensor, clips: Clips, batch: Batch) -> Tensor:
    """Do to the network's output, for the frames asked for, what is done to a trained lifter's output.

    Parameters
    ----------
    trained : TrainedLifter
        Whose output.
    lifted : Tensor
        (n, frames or 1, joints, 3), metres, camera axes.
    clips : Clips
        What was lifted.
    batch : Batch
        The same, cut out, from :func:`clips_of`.
    """
    lifter = trained.lifter
    keypoints, rows = batch.keypoints_px, clips.rows[:, None]
    if not clips.whole:
        keypoints = keypoints[:, lifter.frames // 2 : lifter.frames // 2 + 1]
    else:
        rows = rows + torch.arange(lifter.frames, device=rows.device)
        rows = rows.minimum(clips.poses.run_last[clips.rows, None])
    sure = clips.poses.confidence
    seen = None if sure is None else sure[rows]
    shown = asked_for(trained, lifted, clips)
    return trained.answer.refine(shown, keypoints, batch.intrinsics, skeleton(lifter.skeleton), seen)


def _lift(trained: TrainedLifter, answers: tuple[Answer, ...], test_time: TestTime, clips: Clips) -> Float32:
    """Lift once and put the answers side by side, (n, 1 or frames, joints, 3 for each)."""
    with torch.inference_mode():
        batch = clips_of(clips)
        lifted = _lifted(trained, batch, test_time)
        each = [refined(replace(trained, answer=answer), lifted, clips, batch) for answer in answers]
        return np.asarray(torch.cat(each, dim=-1).cpu().numpy(), dtype=np.float32)


def _lifted(trained: TrainedLifter, batch: Batch, test_time: TestTime) -> Tensor:
    seen = (trained.lifter, trained.encoding, batch.keypoints_px, batch.intrinsics)
    if test_time == "flip":
        return lift_flip_averaged(*seen, skeleton(trained.lifter.skeleton))
    return lift(*seen)


def _tell_rate(trained: TrainedLifter, columns: DevicePoses, poses: CameraPoses) -> None:
    """Say at which rate a lifter of clips is shown motion, where that is not plain."""
    frames, learned = trained.lifter.frames, trained.clip_hz
    if frames == 1:
        return
    if learned is None:
        logger.warning(
            "the lifter does not say at which frame rate it has learned clips of %d frames; it is shown "
            "motion at %.4g Hz as it is",
            frames,
            sampling_hz(poses),
        )
    elif columns.spacing != 1.0:
        logger.warning(
            "the lifter has learned clips of %d frames at %.4g Hz: motion at %.4g Hz is shown to it at that "
            "rate, interpolated between frames where need be",
            frames,
            learned,
            sampling_hz(poses),
        )
