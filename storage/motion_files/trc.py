"""TRC, the marker files of OpenSim: millimetres, y up, one marker per joint.

Follows OpenSim's documentation of the format: a header of three lines, two lines of column names, an empty
line, then one line per frame; everything parted by tabs.
"""

from __future__ import annotations

from poseshift.storage.motion_files.motion import Motion


def encode(motion: Motion) -> bytes:
    """Write a motion as TRC."""
    names = motion.skeleton.joint_names
    frames, rate = len(motion.frame), f"{motion.fps:.6f}"
    first = int(motion.frame[0]) + 1
    lines = [
        f"PathFileType\t4\t(X/Y/Z)\t{motion.camera}.trc",
        "DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\tOrigDataStartFrame\tOrigNumFrames",
        f"{rate}\t{rate}\t{frames}\t{len(names)}\tmm\t{rate}\t{first}\t{frames}",
        "Frame#\tTime\t" + "\t".join(f"{name}\t\t" for name in names),
        "\t\t" + "\t".join(f"X{n}\tY{n}\tZ{n}" for n in range(1, len(names) + 1)),
        "",
    ]
    values_mm = 1000 * motion.positions_y_up.reshape(frames, -1)
    for number, seconds, row in zip(motion.frame, motion.seconds, values_mm, strict=True):
        lines.append(f"{number + 1}\t{seconds:.6f}\t" + "\t".join(f"{value:.4f}" for value in row))
    return ("\n".join(lines) + "\n").encode()
