"""Acclaim files are read and moved as the format says: hand-made skeletons with ends in closed form."""

import math
import re

import numpy as np
import pytest

from poseshift.preprocessing.errors import RawDataError
from poseshift.preprocessing.free_motion import FreeMotionOptions, plan_free_motion
from poseshift.preprocessing.motion.asf_amc import read_amc, read_asf
from poseshift.preprocessing.motion.asf_kinematics import bone_ends
from poseshift.preprocessing.motion.cmu import read_folder
from poseshift.preprocessing.motion.sources import load

UNIT_M = 0.0254 / 0.45

TWO_BONES = """# a comment
:version 1.10
:name HAND
:units
  mass 1.0
  length 0.45
  angle deg
:documentation
   upper points along x; its own x axis is the file's y
:root
   order TX TY TZ RX RY RZ
   axis XYZ
   position 0 0 0
   orientation 0 0 0
:bonedata
  begin
     id 1
     name upper
     direction 1 0 0
     length 2
     axis 0 0 90  XYZ
    dof rx
    limits (-160.0 20.0)
  end
  begin
     id 2
     name lower
     direction 1 0 0
     length 1
     axis 0 0 0  XYZ
    dof rx rz
    limits (-160.0 20.0)
           (-160.0 20.0)
  end
:hierarchy
  begin
    root upper
    upper lower
  end
"""


def frames(*rows, header=":FULLY-SPECIFIED\n:DEGREES\n"):
    """An AMC of (root, upper, lower) rows."""
    text = "#!OML:ASF made by hand\n" + header
    for number, (root, upper, lower) in enumerate(rows, start=1):
        text += f"{number}\nroot {root}\nupper {upper}\nlower {lower}\n"
    return text


@pytest.fixture
def ends(tmp_path):
    def compute(amc, asf=TWO_BONES, from_fps=50.0):
        (tmp_path / "1.asf").write_text(asf)
        (tmp_path / "1_1.amc").write_text(amc)
        skeleton = read_asf(tmp_path / "1.asf")
        return bone_ends(skeleton, read_amc(tmp_path / "1_1.amc", skeleton), from_fps, 50.0)

    return compute


def test_rest_pose_and_scale(ends):
    found = ends(frames(("1 2 3 0 0 0", "0", "0 0")))
    np.testing.assert_allclose(found["root"], [[UNIT_M, 2 * UNIT_M, 3 * UNIT_M]])
    np.testing.assert_allclose(found["lower"], [[4 * UNIT_M, 2 * UNIT_M, 3 * UNIT_M]])


@pytest.mark.parametrize("degrees", [30, -75, 120])
def test_a_bone_turns_about_its_own_axis(ends, degrees):
    # The bone's x axis is the file's y: turning about it takes x to -z.
    found = ends(frames(("0 0 0 0 0 0", f"{degrees}", "0 0")))
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    np.testing.assert_allclose(found["upper"] / UNIT_M, [[2 * cosine, 0, -2 * sine]], atol=1e-12)
    np.testing.assert_allclose(found["lower"] / UNIT_M, [[3 * cosine, 0, -3 * sine]], atol=1e-12)


def test_a_child_turns_in_its_parent_and_x_is_applied_before_z(ends):
    # Lower: about x (which leaves x), then 90 degrees about z: x becomes y. Upper: 90 about y leaves that y.
    found = ends(frames(("0 0 0 0 0 0", "90", "90 90")))
    np.testing.assert_allclose(found["upper"] / UNIT_M, [[0, 0, -2]], atol=1e-12)
    np.testing.assert_allclose(found["lower"] / UNIT_M, [[0, 1, -2]], atol=1e-12)


def test_the_root_turns_everything_x_first(ends):
    # About x leaves x; about y by 90 takes x to -z; about z leaves -z. With z first it would end at +z.
    found = ends(frames(("0 0 0 90 90 90", "0", "0 0")))
    np.testing.assert_allclose(found["lower"] / UNIT_M, [[0, 0, -3]], atol=1e-12)


def test_radians_give_the_same(ends):
    degrees = ends(frames(("0 0 0 10 20 30", "40", "50 60")))
    text = "0 0 0 " + " ".join(repr(math.radians(value)) for value in (10, 20, 30))
    lower = " ".join(repr(math.radians(value)) for value in (50, 60))
    radians = ends(frames((text, repr(math.radians(40)), lower), header=":RADIANS\n"))
    np.testing.assert_allclose(radians["lower"], degrees["lower"], atol=1e-12)


def test_from_120_to_50_hz_turns_evenly_and_keeps_lengths(ends):
    # 2 degrees per frame at 120 Hz are 4.8 per frame at 50 Hz; 25 frames last 0.2 s, so 11 frames come out.
    found = ends(frames(*((f"{i} 0 0 0 0 0", f"{2 * i}", "0 0") for i in range(25))), from_fps=120.0)
    at = np.radians(4.8 * np.arange(11))
    root = found["root"]
    np.testing.assert_allclose(root[:, 0] / UNIT_M, 2.4 * np.arange(11), atol=1e-9)
    expected = np.stack([3 * np.cos(at), 0 * at, -3 * np.sin(at)], axis=-1)
    np.testing.assert_allclose((found["lower"] - root) / UNIT_M, expected, atol=1e-9)


@pytest.mark.parametrize(
    ("pattern", "replacement", "says"),
    [
        ("length 0.45", "length x", "length unit 'x'"),
        ("angle deg", "angle gon", "angle unit 'gon'"),
        ("TX TY TZ RX RY RZ", "TX TY TZ", "root order"),
        ("direction 1 0 0", "direction 1 0", "three numbers"),
        ("length 2", "", "length"),
        ("axis 0 0 90  XYZ", "axis 0 0 90  XYY", "axis order"),
        ("axis XYZ", "axis XYW", "root: axis order"),
        ("length 0.45", "length nan", "length unit 'nan'"),
        ("length 2", "length 1e999", "length"),
        ("axis 0 0 90", "axis 0 0 inf", "three numbers"),
        ("dof rx\n", "dof rx l\n", "rotations"),
        ("name lower", "name other", "outside the hierarchy"),
        ("    upper lower\n", "    wing lower\n", "'wing' before its parent"),
        ("    upper lower\n", "    upper lower upper\n", "twice"),
        (r":hierarchy[\s\S]*", "", "no :hierarchy"),
    ],
)
def test_damaged_skeletons_are_named(tmp_path, pattern, replacement, says):
    path = tmp_path / "1.asf"
    text = re.sub(pattern, replacement, TWO_BONES, count=1)
    assert text != TWO_BONES
    path.write_text(text)
    with pytest.raises(RawDataError, match=says) as caught:
        read_asf(path)
    assert caught.value.path == path


@pytest.mark.parametrize(
    ("amc", "says"),
    [
        (":DEGREES\n", "no frames"),
        (":DEGREES\n1\nroot 0 0 0 0 0 0\nupper 0\n", "'lower'"),
        (":DEGREES\n1\nroot 0 0 0 0 0 0\nupper 0\nlower 0 0\nlower 0 0\n", "'lower' 2 times"),
        (":DEGREES\n1\nroot 0 0 0 0 0 0\nupper 0 0\nlower 0 0\n", "line 4"),
        (":DEGREES\n1\nroot 0 0 0 0 0 zero\nupper 0\nlower 0 0\n", "line 3"),
        (":DEGREES\n1\nroot 0 0 0 0 0 nan\nupper 0\nlower 0 0\n", "line 3"),
        (":DEGREES\n1\nroot 0 0 0 0 0 0\nwing 0\nlower 0 0\n", "no such bone"),
        (":DEGREES\nroot 0 0 0 0 0 0\n", "line 2"),
    ],
)
def test_damaged_motions_are_named(tmp_path, amc, says):
    (tmp_path / "1.asf").write_text(TWO_BONES)
    path = tmp_path / "1_1.amc"
    path.write_text(amc)
    with pytest.raises(RawDataError, match=says):
        read_amc(path, read_asf(tmp_path / "1.asf"))


def stick_figure():
    """CMU's bone names with ends at whole units: side, height and depth say which bone it is."""
    tree = {
        "lhipjoint": ("root", (1, -1, 0)),
        "lfemur": ("lhipjoint", (0, -7, 0)),
        "ltibia": ("lfemur", (0, -7, 0)),
        "rhipjoint": ("root", (-1, -1, 0)),
        "rfemur": ("rhipjoint", (0, -7, 0)),
        "rtibia": ("rfemur", (0, -7, 0)),
        "lowerback": ("root", (0, 2, 0)),
        "upperback": ("lowerback", (0, 2, 0)),
        "thorax": ("upperback", (0, 2, 0)),
        "lowerneck": ("thorax", (0, 2, 0)),
        "upperneck": ("lowerneck", (0, 2, 1)),
        "head": ("upperneck", (0, 2, 0)),
        "lclavicle": ("thorax", (3, 0, 0)),
        "lhumerus": ("lclavicle", (5, 0, 0)),
        "lradius": ("lhumerus", (4, 0, 0)),
        "lwrist": ("lradius", (2, 0, 0)),
        "rclavicle": ("thorax", (-3, 0, 0)),
        "rhumerus": ("rclavicle", (-5, 0, 0)),
        "rradius": ("rhumerus", (-4, 0, 0)),
        "rwrist": ("rradius", (-2, 0, 0)),
    }
    data, hierarchy = "", ""
    for name, (parent, offset) in tree.items():
        length = math.dist((0, 0, 0), offset)
        direction = " ".join(repr(part / length) for part in offset)
        data += f"begin\nname {name}\ndirection {direction}\nlength {length!r}\naxis 0 0 0 XYZ\ndof rx\nend\n"
        hierarchy += f"{parent} {name}\n"
    asf = (
        ":units\nlength 0.45\nangle deg\n:root\norder TX TY TZ RX RY RZ\naxis XYZ\nposition 0 0 0\n"
        f"orientation 0 0 0\n:bonedata\n{data}:hierarchy\nbegin\n{hierarchy}end\n"
    )
    still = "".join(f"{name} 0\n" for name in tree)
    amc = ":DEGREES\n" + "".join(f"{i}\nroot 0 15 4 0 0 0\n{still}" for i in range(1, 26))
    return asf, amc


@pytest.fixture
def folder(tmp_path):
    asf, amc = stick_figure()
    home = tmp_path / "subjects" / "07"
    home.mkdir(parents=True)
    (home / "07.asf").write_text(asf)
    (home / "07_01.amc").write_text(amc)
    return tmp_path


def test_cmu_bones_become_the_joints_of_human36m(folder):
    (folder / "descriptions.json").write_text('{"07_01": "stand_still"}')
    (motion,) = load(folder)
    assert (motion.name, motion.subject, motion.fps) == ("07/stand_still/07_01", "07", 50.0)
    assert motion.frames == 11
    # x is CMU's x, y is minus CMU's z (the root is at 4), z is CMU's y (the root is at 15).
    expected = np.array(
        [
            *((0, -4, 14), (-1, -4, 14), (-1, -4, 7), (-1, -4, 0), (1, -4, 14), (1, -4, 7), (1, -4, 0)),
            *((0, -4, 17), (0, -4, 22), (0, -5, 25), (0, -5, 27)),
            *((3, -4, 21), (8, -4, 21), (14, -4, 21), (-3, -4, 21), (-8, -4, 21), (-14, -4, 21)),
        ]
    )
    np.testing.assert_allclose(motion.positions / UNIT_M, np.broadcast_to(expected, (11, 17, 3)), atol=1e-4)


def test_folders_without_what_they_need_are_named(folder):
    empty = folder / "empty"
    empty.mkdir()
    with pytest.raises(RawDataError, match=r"no \.amc file"):
        read_folder(empty)
    asf = folder / "subjects" / "07" / "07.asf"
    text = asf.read_text()
    asf.write_text(text.replace("rwrist", "rpaw"))
    with pytest.raises(RawDataError, match="rwrist"):
        read_folder(folder)
    asf.unlink()
    with pytest.raises(RawDataError, match=r"07\.asf"):
        read_folder(folder)


def test_droppings_are_no_motion_and_other_spellings_are_named(folder):
    home = folder / "subjects" / "07"
    before = plan_free_motion(folder, FreeMotionOptions())
    for name in ("._07_01.amc", "07_02.amc:Zone.Identifier", "Thumbs.db", ".DS_Store"):
        (home / name).write_text("no motion")
    (folder / "__MACOSX").mkdir()
    (folder / "__MACOSX" / "07_03.amc").write_text("no motion")
    after = plan_free_motion(folder, FreeMotionOptions())
    assert [trial.sources for trial in after.trials] == [trial.sources for trial in before.trials]
    assert after.unread == ()
    for name in ("07_04.AMC", "walk.bvh", "more.zip", "08.asf.part"):
        (home / name).write_text("")
    named = {one.path.name for one in plan_free_motion(folder, FreeMotionOptions()).unread}
    assert named == {"07_04.AMC", "walk.bvh", "more.zip", "08.asf.part"}
