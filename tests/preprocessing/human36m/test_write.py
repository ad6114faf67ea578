from __future__ import annotations

import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pycdfpp
import pytest
from numpy.typing import NDArray

from poseshift.preprocessing.human36m.layout import CAMERA_IDS
from poseshift.preprocessing.human36m.write import pack_subject, write_trial

Person = Callable[[int], NDArray[np.float64]]


def test_a_trial_has_every_file_of_the_release(tmp_path: Path, person: Person) -> None:
    write_trial(tmp_path, "S7", "Walking 2", person(5))
    found = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.cdf")}
    per_camera = {
        f"S7/MyPoseFeatures/{kind}/Walking 2.{camera}.cdf"
        for kind in ("D2_Positions", "D3_Positions_mono", "D3_Positions_mono_universal")
        for camera in CAMERA_IDS
    }
    assert found == per_camera | {"S7/MyPoseFeatures/D3_Positions/Walking 2.cdf"}


def test_mono_and_2d_agree_by_the_toolkits_formula(tmp_path: Path, person: Person) -> None:
    """The projection as the toolkit writes it, with the printed intrinsics of camera 60457274."""
    write_trial(tmp_path, "S5", "Photo 2", person(6))
    place = tmp_path / "S5" / "MyPoseFeatures"
    mono = np.asarray(pycdfpp.load(str(place / "D3_Positions_mono" / "Photo 2.60457274.cdf"))["Pose"].values)
    image = np.asarray(pycdfpp.load(str(place / "D2_Positions" / "Photo 2.60457274.cdf"))["Pose"].values)
    X, Y, Z = np.moveaxis(mono.astype(float).reshape(6, 32, 3), -1, 0)
    k, p = (
        (-0.198384093827848, 0.218323676298049, -0.00894780704152122),
        (-0.00181336200488089, -0.000587205583421232),
    )
    x, y = X / Z, Y / Z
    r2 = x**2 + y**2
    both = 1 + k[0] * r2 + k[1] * r2**2 + k[2] * r2**3 + p[0] * y + p[1] * x
    u = 1145.51133842318 * (x * both + p[1] * r2) + 514.968197319863
    v = 1144.77392807652 * (y * both + p[0] * r2) + 501.882018537695
    np.testing.assert_allclose(image.reshape(6, 32, 2), np.stack([u, v], axis=-1), atol=1e-3)
    assert (Z > 2000).all()


def test_only_the_kinds_that_are_asked_for(tmp_path: Path, person: Person) -> None:
    write_trial(tmp_path, "S1", "Eating", person(3), frozenset({"D3_Positions"}))
    assert [path.parent.name for path in tmp_path.rglob("*.cdf")] == ["D3_Positions"]


def test_positions_that_the_release_could_not_hold(tmp_path: Path, person: Person) -> None:
    with pytest.raises(ValueError, match="no trial 'Photo' of S1"):
        write_trial(tmp_path, "S1", "Photo", person(3))
    with pytest.raises(ValueError, match="shape"):
        write_trial(tmp_path, "S1", "Eating", person(3)[:, :17])
    apart = person(3)
    apart[:, 24] += 1
    with pytest.raises(ValueError, match="joints 13 and 24"):
        write_trial(tmp_path, "S1", "Eating", apart)
    with pytest.raises(ValueError, match="behind camera"):
        write_trial(tmp_path, "S1", "Eating", person(3) + np.array([0, 9000, 0]))
    with pytest.raises(ValueError, match="NaN"):
        write_trial(tmp_path, "S1", "Eating", np.full((3, 32, 3), np.nan))


def test_archives_have_the_releases_names_and_paths(tree: Path, tmp_path: Path) -> None:
    archives = pack_subject(tree, "S9", tmp_path / "downloads", frozenset({"D3_Positions", "D2_Positions"}))
    assert [archive.name for archive in archives] == [
        "Poses_D2_Positions_S9.tgz",
        "Poses_D3_Positions_S9.tgz",
    ]
    with tarfile.open(archives[1]) as tar:
        assert tar.getnames() == ["S9/MyPoseFeatures/D3_Positions/Greeting.cdf"]
