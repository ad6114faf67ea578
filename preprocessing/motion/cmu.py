"""A folder of the CMU motion capture database's own files as motions on the joints of Human3.6M.

CMU's 31 bones become 17 joints: the hip is the mid-point of the hip joints, the thorax the mid-point of the
ends of CMU's thorax and lowerneck, the wrist the end of the wrist bone, the head the end of the head bone,
some 8 to 10 cm under the crown. The database's home page says that its data are free for all uses.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from poseshift.preprocessing.errors import RawDataError
from poseshift.preprocessing.motion.asf_amc import AsfSkeleton, read_amc, read_asf
from poseshift.preprocessing.motion.asf_kinematics import bone_ends
from poseshift.preprocessing.motion.motion import FRAME_RATE_HZ, Motion
from poseshift.preprocessing.unread import files_below
from poseshift.storage.text import read_text

CMU_FPS = 120.0
"""AMC files state no rate; CMU recorded at 120 Hz."""

DESCRIPTIONS = "descriptions.json"
"""Optional file in the folder: trial to description, such as ``{"14_02": "boxing"}``."""

UNDESCRIBED = "motion"

JOINT_ENDS: tuple[tuple[str, ...], ...] = (
    ("lhipjoint", "rhipjoint"),
    *(("rhipjoint",), ("rfemur",), ("rtibia",)),
    *(("lhipjoint",), ("lfemur",), ("ltibia",)),
    *(("lowerback",), ("thorax", "lowerneck"), ("upperneck",), ("head",)),
    *(("lclavicle",), ("lhumerus",), ("lwrist",)),
    *(("rclavicle",), ("rhumerus",), ("rwrist",)),
)
"""Per joint of Human3.6M-17, the bones whose ends it is the mean of."""


def read_folder(folder: Path) -> tuple[Motion, ...]:
    """Read every AMC file in a folder and below it, at 50 Hz.

    Parameters
    ----------
    folder : Path
        ``<subject>.asf`` and ``<subject>_<trial>.amc`` files, flat or in subfolders.

    Returns
    -------
    motions : in order of the paths; the subject is the name of the ASF file.

    Raises
    ------
    RawDataError : no motion, one without its skeleton, a skeleton without CMU's bones, or a damaged file.
    """
    paths = files_below(folder, ".amc")
    if not paths:
        raise RawDataError(
            folder,
            found="no .amc file",
            expected="ASF and AMC files such as 01.asf and 01_01.amc",
            remedy="Give the folder that they were unpacked into.",
        )
    descriptions = _descriptions(folder / DESCRIPTIONS)
    skeletons: dict[Path, AsfSkeleton] = {}
    motions = []
    for path in paths:
        asf = path.with_name(path.stem.partition("_")[0] + ".asf")
        if not asf.is_file():
            raise RawDataError(
                path,
                found=f"no {asf.name} beside it",
                expected="the skeleton of its subject",
                remedy="Put the subject's ASF file into the same folder.",
            )
        if asf not in skeletons:
            skeletons[asf] = _cmu_skeleton(asf)
        motion = read_amc(path, skeletons[asf])
        ends = bone_ends(skeletons[asf], motion, CMU_FPS, FRAME_RATE_HZ)
        description = descriptions.get(path.stem, UNDESCRIBED)
        motions.append(
            Motion(
                f"{asf.stem}/{description}/{path.stem}",
                asf.stem,
                description,
                FRAME_RATE_HZ,
                joints_from_ends(ends).astype(np.float32),
            )
        )
    return tuple(motions)


def joints_from_ends(ends: Mapping[str, npt.NDArray[np.float64]]) -> npt.NDArray[np.float64]:
    """Make (frames, 17, 3) joints, z up, of bone ends in CMU's axes: (x, y, z) becomes (x, -z, y)."""
    joints = np.stack([np.mean([ends[name] for name in names], axis=0) for names in JOINT_ENDS], axis=1)
    x, y, z = np.moveaxis(joints, -1, 0)
    return np.stack([x, -z, y], axis=-1)


def _cmu_skeleton(path: Path) -> AsfSkeleton:
    skeleton = read_asf(path)
    wanted = {name for names in JOINT_ENDS for name in names}
    missing = sorted(wanted - {bone.name for bone in skeleton.bones})
    if missing:
        raise RawDataError(
            path,
            found=f"no bone {missing[0]!r}",
            expected="the bones of CMU's skeletons",
            remedy="Only skeletons with CMU's bone names can be mapped; leave this subject out.",
        )
    return skeleton


def _descriptions(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    try:
        content = json.loads(read_text(path))
    except (OSError, ValueError) as error:
        content = error
    if not isinstance(content, dict) or not all(isinstance(text, str) for text in content.values()):
        raise RawDataError(
            path,
            found=str(content)[:80],
            expected='a JSON object of texts such as {"14_02": "boxing"}',
            remedy="Mend the descriptions or remove them.",
        )
    return content
