"""True calibrations, as printed in the data sets' own calibration files."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from poseshift.geometry.camera import Camera

# fx fy cx cy k1 k2 k3 p1 p2, one camera per line pair.
W0_INTRINSICS = """
    1145.04940458804 1143.78109572365 512.541504956548 515.4514869776
    -0.207098910824901 0.247775183068982 -0.00307515035078854 -0.00142447157470321 -0.000975698859470499
    1149.67569986785 1147.59161666764 508.848621645943 508.064917088557
    -0.194213629607385 0.240408539138292 0.00681997559022603 -0.0027408943961907 -0.001619026613787
    1149.14071676148 1148.7989685676 519.815837182153 501.402658888552
    -0.208338188251856 0.255488007488945 -0.00246049749891915 -0.000759999321030303 0.00148438698385668
    1145.51133842318 1144.77392807652 514.968197319863 501.882018537695
    -0.198384093827848 0.218323676298049 -0.00894780704152122 -0.00181336200488089 -0.000587205583421232
"""

# rx ry rz (rad) Tx Ty Tz (mm) of S1's cameras 1 and 2 and of S11's camera 4, by (camera, subject) index.
W0_EXTRINSICS = {
    (0, 0): "-1.38382776045614 -3.16734304390158 0.413636308164621 "
    "1841.10702774543 4955.28462344526 1563.4453958977",
    (1, 0): "-1.35517119070383 3.13934427144743 2.76026318023792 "
    "1761.27853428116 -5078.00659454077 1606.2649598335",
    (3, 10): "-1.3052820100275 -3.20681865219712 -2.73759301328735 "
    "-1590.73799072229 -3854.16900368964 1578.01760714384",
}


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def w0() -> np.ndarray:
    """Human3.6M's calibration vector with the true intrinsics and three true (camera, subject) extrinsics."""
    values = np.zeros(300)
    values[264:] = [float(number) for number in W0_INTRINSICS.split()]
    for (camera, subject), extrinsics in W0_EXTRINSICS.items():
        start = 6 * (11 * camera + subject)
        values[start : start + 6] = [float(number) for number in extrinsics.split()]
    return values


@pytest.fixture(scope="session")
def cameras_3dhp() -> tuple[Camera, Camera]:
    """Cameras 0 and 1 of MPI-INF-3DHP's ``camera.calibration``, translations in metres."""
    return (
        Camera(
            name="0",
            size_px=(2048, 2048),
            focal_px=(1497.693, 1497.103),
            centre_px=(1024.704, 1051.394),
            rotation=(
                (0.9650164, 0.00488022, 0.262144),
                (-0.004488356, -0.9993728, 0.0351275),
                (0.262151, -0.03507521, -0.9643893),
            ),
            translation=(-0.5628666, 1.398138, 3.852623),
        ),
        Camera(
            name="1",
            size_px=(2048, 2048),
            focal_px=(1495.217, 1495.52),
            centre_px=(1030.519, 1052.626),
            rotation=(
                (0.6050639, -0.02184232, 0.7958773),
                (-0.22647, -0.9630526, 0.1457429),
                (0.7632883, -0.2684261, -0.587655),
            ),
            translation=(-1.429856, 0.7381779, 4.897966),
        ),
    )
