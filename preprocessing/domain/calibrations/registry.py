"""The layouts of calibrations that come with the project; importing this adds them to their list."""

from __future__ import annotations

from poseshift.preprocessing.domain.calibrations.anipose import ANIPOSE
from poseshift.preprocessing.domain.calibrations.caliscope import CALISCOPE
from poseshift.preprocessing.domain.calibrations.kalibr import KALIBR
from poseshift.preprocessing.domain.calibrations.opencv import OPENCV
from poseshift.preprocessing.domain.calibrations.qualisys import QUALISYS
from poseshift.preprocessing.domain.calibrations.ros import ROS
from poseshift.preprocessing.domain.rig import CALIBRATION_FORMATS as CALIBRATION_FORMATS
from poseshift.preprocessing.domain.rig import read_rig as read_rig

for _layout in (QUALISYS, OPENCV, ANIPOSE, CALISCOPE, ROS, KALIBR):
    CALIBRATION_FORMATS.add(_layout.name, _layout)
