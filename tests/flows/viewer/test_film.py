"""The film of a clip: speed, length, what is drawn, and that nothing is overwritten unasked."""

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence

from poseshift.flows.viewer.clips import Clip, Errors
from poseshift.flows.viewer.film import aside, write_film
from poseshift.geometry.skeleton import HUMAN36M_17


@pytest.fixture
def clip() -> Clip:
    """A stiff person who walks along x for a second, seen by a camera at y = -4."""
    body = np.random.default_rng(0).normal(size=(17, 3)) * 0.3 + [0, 0, 1]
    body[0] = 0, 0, 1
    walked = body + np.linspace(0, 1.5, 50)[:, None, None] * [1, 0, 0]
    return Clip(
        trial="S1/walk",
        camera="front",
        fps=50.0,
        skeleton=HUMAN36M_17,
        frame=np.arange(50, dtype=np.int32),
        on_floor=True,
        predicted=walked.astype(np.float32),
        truth=walked.astype(np.float32),
        keypoints_px=(walked[..., [0, 2]] * [100, -100]).astype(np.float32),
        size_px=(1000, 1000),
        frustum=np.array([[0.75, -4.0, 1.5]] * 5),
        errors=Errors("MPJPE", True, np.zeros(50), np.zeros((50, 17))),
    )


def test_a_gif_runs_at_the_clips_speed(clip: Clip, tmp_path: Path) -> None:
    path = tmp_path / "walk.gif"
    written = write_film(clip, path)
    assert (written.frames, written.first_frame, written.last_frame) == (25, 0, 48)
    with Image.open(path) as film:
        frames = [np.asarray(one.convert("L"), dtype=float) for one in ImageSequence.Iterator(film)]
        assert film.n_frames == 25
        assert film.info["duration"] == 40, "every other of 50 frames a second"
        assert film.info["loop"] == 0
    assert np.abs(frames[0] - frames[-1]).max() > 50, "something moves"
    fifth = replace(clip, frame=5 * clip.frame)
    write_film(fifth, path, replace=True)
    with Image.open(path) as film:
        assert (film.n_frames, film.info["duration"]) == (50, 100), "every fifth of 50 frames a second"
    with pytest.raises(ValueError, match="--replace"):
        write_film(clip, path)
    assert write_film(replace(clip, keypoints_px=None, truth=None), path, 4, replace=True).frames == 2


def test_the_eye_stands_beside_the_camera_and_up_is_up(clip: Clip) -> None:
    right, up = aside(clip)
    assert up[2] > 0.9
    assert right @ up == pytest.approx(0)
    # From 30 degrees beside a camera that looks along y, x still points to the right.
    assert right[0] == pytest.approx(np.cos(np.radians(30)))
    np.testing.assert_allclose(aside(replace(clip, frustum=None)), [right, up], atol=1e-6)


@pytest.mark.skipif(
    shutil.which("ffprobe") is None, reason="ffmpeg is no dependency; it writes and reads MP4"
)
def test_an_mp4_runs_at_the_clips_speed(clip: Clip, tmp_path: Path) -> None:
    path = tmp_path / "walk.mp4"
    lacking = replace(clip, frame=np.where(np.arange(50) < 25, clip.frame, clip.frame + 10))
    written = write_film(lacking, path)
    assert (written.frames, written.bytes) == (25, path.stat().st_size)
    asked = ["ffprobe", "-v", "error", "-count_frames", "-show_streams", "-of", "json", str(path)]
    (stream,) = json.loads(subprocess.run(asked, capture_output=True, check=True).stdout)["streams"]
    assert (stream["codec_name"], stream["pix_fmt"]) == ("h264", "yuv420p")
    assert stream["r_frame_rate"] == "25/1"
    assert int(stream["nb_read_frames"]) == 30, "a fifth of a second is lacking, in which the picture stays"


def test_ffmpeg_is_given_every_picture_at_the_clips_rate(
    clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program in its place keeps what it was asked and shown, so that no encoder is needed."""
    keeping = tmp_path / "ffmpeg"
    keeping.write_text(
        '#!/bin/sh\necho "$@" > "$(dirname "$0")/asked"\nfor last; do :; done\ncat > "$last"\n'
    )
    keeping.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    path = tmp_path / "walk.mp4"
    lacking = replace(clip, frame=np.where(np.arange(50) < 25, clip.frame, clip.frame + 10))
    written = write_film(lacking, path)
    asked = (tmp_path / "asked").read_text().split()
    width, height = map(int, asked[asked.index("-video_size") + 1].split("x"))
    assert float(asked[asked.index("-framerate") + 1]) == 25
    shown = np.frombuffer(path.read_bytes(), np.uint8).reshape(-1, height, width, 3)
    assert (written.frames, len(shown)) == (25, 30), "a fifth of a second is lacking: the picture stays"
    same = (shown[1:] == shown[:-1]).all(axis=(1, 2, 3))
    assert same.sum() == 5
    assert np.diff(np.flatnonzero(same)).tolist() == [1, 1, 1, 1]


def test_an_mp4_without_ffmpeg_is_refused(
    clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ValueError, match=r"ffmpeg, which is not on the PATH.*\.gif"):
        write_film(clip, tmp_path / "walk.mp4")
    with pytest.raises(ValueError, match=r"ends in \.gif or \.mp4"):
        write_film(clip, tmp_path / "walk.avi")
    assert not list(tmp_path.iterdir())


def test_what_ffmpeg_complains_of_is_told(
    clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = tmp_path / "ffmpeg"
    failing.write_text("#!/bin/sh\ncat > /dev/null\necho 'Unknown encoder libx264' >&2\nexit 1\n")
    failing.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(ValueError, match="wrote no film: Unknown encoder libx264"):
        write_film(clip, tmp_path / "walk.mp4")
