"""The bundle reader takes the documented npz and says what is wrong with any other."""

import json

import numpy as np
import pytest

from poseshift.preprocessing.errors import RawDataError
from poseshift.preprocessing.motion import sources
from poseshift.preprocessing.motion.bundle import read_bundle


@pytest.fixture
def joints():
    return np.random.default_rng(0).normal(size=(5, 17, 3)).astype(np.float32)


def test_reads_keys_rate_and_title(tmp_path, joints):
    path = tmp_path / "set.npz"
    np.savez(path, **{"cmu14/boxing/14_02": joints, "cmu02/walk/02_01": joints + 1})
    path.with_suffix(".json").write_text(json.dumps({"fps": 25, "title": "A set"}))
    first, second = sources.load(path)
    assert (first.name, first.subject, first.description, first.fps) == (
        "cmu14/boxing/14_02",
        "cmu14",
        "boxing",
        25.0,
    )
    np.testing.assert_array_equal(second.positions, joints + 1)
    assert sources.title(path) == "A set"


def test_without_a_description_the_rate_is_50(tmp_path, joints):
    path = tmp_path / "set.npz"
    np.savez(path, **{"a/b/c": joints.astype(np.float64)})
    (clip,) = read_bundle(path)
    assert clip.fps == 50.0
    assert clip.positions.dtype == np.float32


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"noslash": np.zeros((2, 17, 3))}, "noslash"),
        ({"a/b/c": np.zeros((2, 16, 3))}, r"\(2, 16, 3\)"),
        ({"a/b/c": np.full((2, 17, 3), np.nan)}, "NaN"),
        ({"a/b/c": np.zeros((2, 17, 3), np.int32)}, "int32"),
        ({"a/b/c": np.array([{"code": 1}], dtype=object)}, "holds Python objects"),
        ({}, "no arrays"),
    ],
)
def test_refuses_what_is_no_bundle(tmp_path, arrays, says):
    path = tmp_path / "bad.npz"
    np.savez(path, **arrays)
    with pytest.raises(RawDataError, match=says) as caught:
        read_bundle(path)
    assert caught.value.path == path


def test_refuses_text_and_missing_files_and_broken_descriptions(tmp_path, joints):
    text = tmp_path / "text.npz"
    text.write_text("not an archive")
    with pytest.raises(RawDataError, match="npz archive"):
        read_bundle(text)
    with pytest.raises(RawDataError, match="nothing"):
        sources.load(tmp_path / "absent")
    good = tmp_path / "good.npz"
    np.savez(good, **{"a/b/c": joints})
    good.with_suffix(".json").write_text('{"fps": "fast"}')
    with pytest.raises(RawDataError, match="fast"):
        read_bundle(good)
    good.with_suffix(".json").write_text("[1, 2]")
    with pytest.raises(RawDataError, match="JSON object"):
        read_bundle(good)
