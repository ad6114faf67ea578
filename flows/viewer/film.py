"""A clip as an animated GIF or an MP4: the skeleton from aside, and what the lifter was shown.

For slides and letters, where a page cannot go. Colours are those of the page in the light. MP4 is written by
ffmpeg, where it is installed.
"""

from __future__ import annotations

import io
import math
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from poseshift.flows.viewer.clips import Clip, Float64
from poseshift.flows.viewer.written import WrittenFilm
from poseshift.storage.files import write_atomically

FASTEST_FPS = 25.0
"""Frames of faster clips are left out evenly: viewers slow down GIFs that are faster than some rate."""

MOST_FRAMES = 250
"""Ten seconds; longer films are too large to be sent."""

_COLOURS = 64
"""Of the picture; there are five with their shades."""

_ASIDE, _FROM_ABOVE = math.radians(30), math.radians(12)
"""How far the eye stands beside the camera, and above the horizon."""

_INK, _PREDICTED, _TRUTH, _FLOOR = "#59616b", "#1668c4", "#a9b0b9", "#dcdfe3"


def write_film(clip: Clip, path: Path, frames: int | None = None, *, replace: bool = False) -> WrittenFilm:
    """Write the beginning of a clip as a film at the clip's own speed.

    Parameters
    ----------
    clip : Clip
        What to show.
    path : Path
        To write; its ending, ``.gif`` or ``.mp4``, says what.
    frames : int or None
        Frames of the clip to show at most; None for ten seconds.
    replace : bool
        Whether a file there is overwritten.

    Raises
    ------
    ValueError
        The name ends otherwise, a file is there, or an MP4 is asked for and ffmpeg is not installed or fails.
    """
    if path.suffix.lower() not in (".gif", ".mp4"):
        raise ValueError(f"{path}: a film is a GIF or an MP4; give a name that ends in .gif or .mp4")
    if path.exists() and not replace:
        raise ValueError(f"{path} is there already: choose another place, or say --replace")
    ffmpeg = _ffmpeg(path) if path.suffix.lower() == ".mp4" else None
    # Protocols leave out frames, so the time between two is not one over the trial's rate.
    apart = np.diff(clip.frame) / clip.fps if len(clip.frame) > 1 else np.array([1 / clip.fps])
    usual = float(np.median(apart))
    step = max(1, math.ceil(1 / usual / FASTEST_FPS - 1e-6))
    shown = np.arange(len(clip.frame))[: step * MOST_FRAMES if frames is None else frames : step]
    pictures = _pictures(clip, shown)
    begins = (clip.frame[shown] - clip.frame[0]) / clip.fps
    ends = np.append(begins, begins[-1] + step * usual)
    content = _gif(pictures, ends) if ffmpeg is None else _mp4(ffmpeg, pictures, ends, step * usual)
    write_atomically(path, content)
    return WrittenFilm(
        film=str(path),
        trial=clip.trial,
        camera=clip.camera,
        bytes=len(content),
        first_frame=int(clip.frame[shown[0]]),
        last_frame=int(clip.frame[shown[-1]]),
        frames=len(shown),
        frames_in_all=len(clip.frame),
    )


def _pictures(clip: Clip, shown: NDArray[np.intp]) -> list[Image.Image]:
    """Draw rows of a clip."""
    figure = Figure(figsize=(6.4 if clip.keypoints_px is not None else 3.6, 3.6), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    drawing = _Drawing(figure, clip, shown)
    pictures = []
    for row in shown:
        drawing.show(int(row))
        canvas.draw()
        pictures.append(Image.fromarray(np.array(canvas.buffer_rgba())).convert("RGB"))
    return pictures


def _gif(pictures: Sequence[Image.Image], ends: Float64) -> bytes:
    """Encode pictures, of which each begins where the one before it ends; seconds."""
    # GIFs count in hundredths of a second: rounded ends of frames keep the clip's speed over time.
    buffer = io.BytesIO()
    reduced = [one.quantize(_COLOURS) for one in pictures]
    reduced[0].save(
        buffer,
        format="GIF",
        save_all=True,
        append_images=reduced[1:],
        duration=(10 * np.diff(np.rint(100 * ends).astype(int))).tolist(),
        loop=0,
    )
    return buffer.getvalue()


def _ffmpeg(path: Path) -> str:
    found = shutil.which("ffmpeg")
    if found is None:
        raise ValueError(
            f"{path}: an MP4 is written by ffmpeg, which is not on the PATH; install it "
            "(https://ffmpeg.org), or give a name that ends in .gif"
        )
    return found


def _mp4(ffmpeg: str, pictures: Sequence[Image.Image], ends: Float64, usual: float) -> bytes:
    """Encode pictures as H.264 at an even rate; one is shown again where the clip lacks frames."""
    width, height = pictures[0].size
    again = np.maximum(1, np.rint(np.diff(ends) / usual)).astype(int)
    with tempfile.TemporaryDirectory(prefix="poseshift-film-") as folder:
        made = Path(folder) / "film.mp4"
        command = [
            *(ffmpeg, "-loglevel", "error", "-f", "rawvideo", "-pixel_format", "rgb24"),
            *("-video_size", f"{width}x{height}", "-framerate", f"{1 / usual:.6f}", "-i", "pipe:0"),
            # Players want even sides and colours at half the resolution.
            *("-vf", "crop=trunc(iw/2)*2:trunc(ih/2)*2", "-c:v", "libx264", "-pix_fmt", "yuv420p"),
            *("-movflags", "+faststart", str(made)),
        ]
        raw = b"".join(one.tobytes() * int(times) for one, times in zip(pictures, again, strict=True))
        done = subprocess.run(command, input=raw, capture_output=True, check=False)  # noqa: S603 - no shell
        if done.returncode != 0:
            told = done.stderr.decode(errors="replace").strip().splitlines()
            raise ValueError(f"ffmpeg ({ffmpeg}) wrote no film: {told[-1] if told else 'no message'}")
        return made.read_bytes()


def aside(clip: Clip) -> Float64:
    """Directions right and up in the picture of an eye that stands beside the clip's camera; (2, 3)."""
    yaw = -math.pi / 2  # before the scene, as a camera of unknown place stands
    if clip.frustum is not None:
        x, y, _ = clip.frustum[0] - clip.predicted[:, 0].mean(axis=0)
        yaw = math.atan2(y, x)
    yaw, pitch = yaw + _ASIDE, _FROM_ABOVE
    right = (-math.sin(yaw), math.cos(yaw), 0.0)
    up = (-math.sin(pitch) * math.cos(yaw), -math.sin(pitch) * math.sin(yaw), math.cos(pitch))
    return np.array([right, up])


class _Drawing:
    """Axes and lines that are made once and moved for every frame."""

    def __init__(self, figure: Figure, clip: Clip, shown: NDArray[np.intp]) -> None:
        self.clip = clip
        self.bones = np.array(clip.skeleton.bones)
        eye = aside(clip)
        self.predicted = clip.predicted[: shown[-1] + 1].astype(np.float64) @ eye.T
        self.truth = None
        if clip.truth is not None:
            self.truth = clip.truth[: shown[-1] + 1].astype(np.float64) @ eye.T
        axes = figure.subplots(1, 1 if clip.keypoints_px is None else 2, squeeze=False)[0]
        space: Axes = axes[0]
        everything = [one.reshape(-1, 2) for one in (self.predicted, self.truth) if one is not None]
        _frame(space, np.concatenate(everything))
        if clip.on_floor:
            space.add_collection(LineCollection(list(_floor(clip) @ eye.T), colors=_FLOOR, linewidths=0.8))
        self.pale, self.solid = _lines(space, _TRUTH, 5.0), _lines(space, _PREDICTED, 2.2)
        self.space = space
        self.seen: LineCollection | None = None
        if clip.keypoints_px is not None:
            known = clip.keypoints_px[shown].reshape(-1, 2)
            picture: Axes = axes[1]
            _frame(picture, known[np.isfinite(known).all(axis=1)] * [1, -1])
            picture.set_title("keypoints", fontsize=9, color=_INK)
            self.seen = _lines(picture, _INK, 1.8)

    def show(self, row: int) -> None:
        """Draw one frame."""
        clip = self.clip
        self.solid.set_segments(list(self.predicted[row][self.bones]))
        if self.truth is not None:
            self.pale.set_segments(list(self.truth[row][self.bones]))
        if self.seen is not None and clip.keypoints_px is not None:
            lines = clip.keypoints_px[row][self.bones] * [1, -1]
            self.seen.set_segments(list(lines[np.isfinite(lines).all(axis=(1, 2))]))
        told = f"{clip.trial}, {clip.camera}, frame {clip.frame[row]}"
        if clip.errors is not None:
            kind = clip.errors.name if clip.errors.measured else f"{clip.errors.name} (estimate)"
            told += f"\n{kind} {clip.errors.frame_mm[row]:.0f} mm"
        self.space.set_title(told, fontsize=9, color=_INK)


def _lines(axes: Axes, colour: str, width: float) -> LineCollection:
    """Add lines that are set later."""
    lines = LineCollection([], colors=colour, linewidths=width, capstyle="round")
    axes.add_collection(lines)
    return lines


def _frame(axes: Axes, points: Float64) -> None:
    """Fix a picture to what is ever in it."""
    axes.set_aspect("equal")
    axes.axis("off")
    if len(points):
        low, high = points.min(axis=0), points.max(axis=0)
        margin = 0.06 * float((high - low).max() or 1.0)
        axes.set_xlim(low[0] - margin, high[0] + margin)
        axes.set_ylim(low[1] - margin, high[1] + margin)


def _floor(clip: Clip) -> Float64:
    """Lines a metre apart on the floor round where the person is; (lines, 2, 3) metres."""
    root = clip.predicted[:, 0, :2].astype(np.float64)
    low, high = np.floor(root.min(axis=0)) - 1, np.ceil(root.max(axis=0)) + 1
    along = [((x, low[1], 0.0), (x, high[1], 0.0)) for x in np.arange(low[0], high[0] + 1)]
    across = [((low[0], y, 0.0), (high[0], y, 0.0)) for y in np.arange(low[1], high[1] + 1)]
    return np.array([*along, *across])
