"""The layouts of trajectories that come with the project; importing this adds them to their list."""

from __future__ import annotations

from pathlib import Path

from poseshift.preprocessing.domain.trajectories.colmap import COLMAP
from poseshift.preprocessing.domain.trajectories.formats import TRAJECTORY_FORMATS, Trajectory
from poseshift.preprocessing.domain.trajectories.matrices import MATRICES
from poseshift.preprocessing.domain.trajectories.tum import TUM
from poseshift.preprocessing.errors import RawDataError

for _layout in (TUM, COLMAP, MATRICES):
    TRAJECTORY_FORMATS.add(_layout.name, _layout)


def read_trajectory(path: Path, camera: str) -> Trajectory:
    """Read the poses of a camera from a file of any known layout.

    Raises
    ------
    RawDataError
        No layout, or more than one, fits; or the file is not what it looks like.
    """
    known = "; ".join(f"{one.name}: {one.description}" for one in TRAJECTORY_FORMATS.values())
    if not path.is_file():
        raise RawDataError(path, found="no file", expected="a trajectory", remedy="Correct the path.")
    fitting = [one for one in TRAJECTORY_FORMATS.values() if one.recognises(path)]
    if len(fitting) != 1:
        raise RawDataError(
            path,
            found="no layout of trajectories that is known",
            expected=f"one of these: {known}",
            remedy="Write it as one of these; `evo_traj` makes TUM's of EuRoC's, KITTI's and ROS's.",
        )
    return fitting[0].read(path, camera)
