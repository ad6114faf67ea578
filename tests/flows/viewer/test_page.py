"""How clips are cut, packed and written: sizes, roundings, and that what is left out is told."""

import base64
import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from poseshift.flows.viewer.clips import Clip, Errors, Motions
from poseshift.flows.viewer.cut import LEAST_FRAMES, MOST_CLIPS, choose, shares
from poseshift.flows.viewer.packed import GAP, pack_array
from poseshift.flows.viewer.page import LARGEST_PAGE_BYTES, in_script, write_motions
from poseshift.geometry.skeleton import HUMAN36M_17


def clip_of(frames: int, number: int = 0) -> Clip:
    """A clip of noise, which nothing can pack more tightly than poses."""
    random = np.random.default_rng(number)
    positions = random.normal(size=(frames, 17, 3)).astype(np.float32)
    joints_mm = random.uniform(0, 300, size=(frames, 17))
    return Clip(
        trial=f"S1/trial {number}",
        camera="54138969",
        fps=50.0,
        skeleton=HUMAN36M_17,
        frame=np.arange(frames, dtype=np.int32) + 100_000,
        on_floor=True,
        predicted=positions,
        truth=positions,
        keypoints_px=random.uniform(0, 1000, size=(frames, 17, 2)).astype(np.float32),
        size_px=(1000, 1000),
        frustum=random.normal(size=(5, 3)),
        errors=Errors("MPJPE", True, joints_mm.mean(axis=1), joints_mm),
    )


@pytest.mark.parametrize(
    "lengths", [(40_000,), (5000, 30, 4000), (3000,) * 40, (60,) * 400, (1,) * 3000], ids=str
)
def test_no_page_is_too_large_and_what_is_left_out_is_told(lengths: tuple[int, ...], tmp_path: Path) -> None:
    clips = tuple(clip_of(length, number) for number, length in enumerate(lengths))
    path = tmp_path / "page.html"
    written = write_motions(Motions("title", "lead", (), (), clips), path)
    assert path.stat().st_size == written.bytes <= LARGEST_PAGE_BYTES
    assert written.frames + written.frames_left_out == sum(lengths)
    assert written.clips + written.clips_left_out == len(lengths)
    text = path.read_text()
    assert f"{written.frames:,} of {sum(lengths):,} frames" in text
    assert (f"{written.clips_left_out:,} of {len(lengths):,} clips" in text) == (written.clips_left_out > 0)


def test_a_long_clip_is_shown_round_its_worst_frame_with_the_best_and_the_median() -> None:
    clip = clip_of(1000)
    assert clip.errors is not None
    (shown,) = choose([clip], 100).shown
    jumps, found = shown.jumps, shown.clip.errors
    assert jumps is not None
    assert found is not None
    assert len(shown.clip.frame) <= 100
    assert found.frame_mm[jumps.worst] == clip.errors.frame_mm.max()
    assert found.frame_mm[jumps.best] == clip.errors.frame_mm.min()
    assert found.frame_mm[jumps.median] == np.sort(clip.errors.frame_mm)[499]
    assert shown.mean_mm == pytest.approx(clip.errors.frame_mm.mean())
    rows = shown.clip.frame - clip.frame[0]
    np.testing.assert_array_equal(shown.clip.predicted, clip.predicted[rows])
    worst = int(clip.errors.frame_mm.argmax())
    assert set(range(max(worst - 40, 0), min(worst + 40, 1000))) <= set(rows.tolist())


def test_too_little_room_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 50"):
        choose([clip_of(60)], LEAST_FRAMES - 1)


@given(st.lists(st.integers(1, 5000), min_size=1, max_size=MOST_CLIPS), st.integers(0, 20_000))
def test_room_is_shared_and_used(lengths: list[int], room: int) -> None:
    given_frames = shares(lengths, room)
    assert all(part <= length for part, length in zip(given_frames, lengths, strict=True))
    assert sum(given_frames) == min(room, sum(lengths)) or sum(given_frames) > room - len(lengths)
    cut = [part for part, length in zip(given_frames, lengths, strict=True) if part < length]
    assert not cut or max(cut) - min(cut) <= 1 or min(cut) >= room // len(lengths)


@given(
    arrays(np.float64, (4, 3), elements=st.floats(-1e6, 1e6) | st.just(np.nan)),
    st.sampled_from([0.1, 0.25, 1.0]),
)
def test_numbers_are_rounded_to_their_unit_and_gaps_stay_gaps(array: np.ndarray, unit: float) -> None:
    packed = pack_array(array, unit)
    numbers = np.frombuffer(base64.b64decode(packed.data), dtype="<i2").reshape(array.shape)
    np.testing.assert_array_equal(numbers == GAP, np.isnan(array))
    known = ~np.isnan(array)
    assert np.abs(numbers[known] * packed.unit - array[known]).max(initial=0.0) <= packed.unit * 0.5000001
    within = np.abs(array[known]).max(initial=0.0) <= 32767 * unit
    assert (packed.unit == unit) == within


@given(st.text() | st.sampled_from(["</script>", "<!--", "\u2028", "]]>"]))
def test_json_in_a_script_cannot_end_it(text: str) -> None:
    escaped = in_script(json.dumps({"name": text}, ensure_ascii=False))
    assert not re.search("[<>&\u2028\u2029]", escaped)
    assert json.loads(escaped) == {"name": text}
