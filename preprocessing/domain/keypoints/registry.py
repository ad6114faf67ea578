"""The layouts of keypoints that come with the project; importing this adds them to their list."""

from __future__ import annotations

from poseshift.preprocessing.domain.keypoints.coco import COCO
from poseshift.preprocessing.domain.keypoints.deeplabcut import DEEPLABCUT
from poseshift.preprocessing.domain.keypoints.formats import KEYPOINT_FORMATS as KEYPOINT_FORMATS
from poseshift.preprocessing.domain.keypoints.formats import recognise as recognise
from poseshift.preprocessing.domain.keypoints.mediapipe import MEDIAPIPE
from poseshift.preprocessing.domain.keypoints.mmpose import MMPOSE
from poseshift.preprocessing.domain.keypoints.movement import MOVEMENT
from poseshift.preprocessing.domain.keypoints.openpose import OPENPOSE
from poseshift.preprocessing.domain.keypoints.sleap import SLEAP
from poseshift.preprocessing.domain.keypoints.videopose3d import VIDEOPOSE3D

for _layout in (MEDIAPIPE, COCO, OPENPOSE, MMPOSE, DEEPLABCUT, SLEAP, VIDEOPOSE3D, MOVEMENT):
    KEYPOINT_FORMATS.add(_layout.name, _layout)
