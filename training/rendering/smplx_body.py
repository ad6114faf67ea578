"""SMPL-X as a body model: the user brings the licensed file and the package that skins it.

Neither is part of this project. The model is free for research alone, after registration at
https://smpl-x.is.tue.mpg.de; ``pip install 'poseshift[smplx]'`` brings the package, under the same terms.
"""

from __future__ import annotations

from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor

from poseshift.training.rendering.body_model import PARTS, Posed

MODEL_FILE = "SMPLX_NEUTRAL.npz"

_ARRAYS = ("v_template", "shapedirs", "posedirs", "J_regressor", "weights", "kintree_table", "f")
_JOINTS = 55

_BODY = (
    *("torso", "left_upper_leg", "right_upper_leg", "torso", "left_lower_leg", "right_lower_leg", "torso"),
    *("left_lower_leg", "right_lower_leg", "torso", "left_lower_leg", "right_lower_leg", "head"),
    *("torso", "torso", "head", "left_upper_arm", "right_upper_arm", "left_lower_arm", "right_lower_arm"),
    *("left_lower_arm", "right_lower_arm", "head", "head", "head"),
)
PART_OF_JOINT = (*_BODY, *("left_lower_arm",) * 15, *("right_lower_arm",) * 15)
"""The part that each of the model's 55 joints turns: body, jaw and eyes, left and right fingers."""


class SmplxBody:
    """SMPL-X with a neutral shape.

    A face's part is told by the skinning weights of its corners, summed over the joints of each part: the
    skin around an elbow is partly of the upper, partly of the lower arm.

    Parameters
    ----------
    folder : Path
        Holds ``SMPLX_NEUTRAL.npz`` as it was downloaded. Only its arrays of numbers are read; objects in it,
        which could run code, are left alone.
    shape_parameters : int
        How many of the model's directions of shape are used.

    Raises
    ------
    ModuleNotFoundError
        The package is not installed.
    FileNotFoundError
        The folder does not hold the file.
    ValueError
        The file is not the model.
    """

    def __init__(self, folder: Path, shape_parameters: int = 10) -> None:
        try:
            from smplx.lbs import lbs
        except ImportError as error:
            raise ModuleNotFoundError(
                "SMPL-X needs the package smplx, which is not installed: pip install 'poseshift[smplx]' (its "
                "licence is for research alone), or use CapsuleBody, which needs nothing"
            ) from error
        arrays = _read(folder / MODEL_FILE)
        vertices = len(arrays["v_template"])
        self._skin = lbs
        self._template = _tensor(arrays["v_template"])[None]
        self._shapes = _tensor(arrays["shapedirs"])[..., :shape_parameters]
        self._corrections = _tensor(arrays["posedirs"]).reshape(3 * vertices, -1).T
        self._regressor, self._weights = _tensor(arrays["J_regressor"]), _tensor(arrays["weights"])
        parents = arrays["kintree_table"][0].astype(np.int64)
        parents[0] = -1
        self._parents = torch.as_tensor(parents)
        self.faces = torch.as_tensor(arrays["f"].astype(np.int64))
        part = torch.tensor([PARTS.index(name) for name in PART_OF_JOINT])
        of_vertex = self._weights.new_zeros(vertices, len(PARTS)).index_add(1, part, self._weights)
        self.priors = of_vertex[self.faces].mean(dim=1)

    def pose(self, rotations: Tensor, shape: Tensor, translation: Tensor) -> Posed:
        """Pose bodies; see the protocol. Rotations are those of the 55 joints, (batch, 55, 3)."""
        batch = len(rotations)
        vertices, joints = self._skin(
            shape,
            rotations.flatten(1),
            self._template.expand(batch, -1, -1),
            self._shapes,
            self._corrections,
            self._regressor,
            self._parents,
            self._weights,
        )
        return Posed(vertices + translation[:, None], joints + translation[:, None])


def _tensor(values: np.ndarray) -> Tensor:
    return torch.as_tensor(np.asarray(values, dtype=np.float32))


def _read(path: Path) -> dict[str, np.ndarray]:
    """Read the arrays of numbers that are needed."""
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is missing: SMPL-X's neutral model, which may not be passed on. Register at "
            f"https://smpl-x.is.tue.mpg.de, download the models as npz and put {MODEL_FILE} there; or use "
            "CapsuleBody, which needs no file"
        )
    try:
        with np.load(path, allow_pickle=False) as held:
            arrays = {name: held[name] for name in _ARRAYS}
    except (KeyError, ValueError, OSError, BadZipFile) as error:
        raise ValueError(
            f"{path} is not SMPL-X's model as npz (needed: {', '.join(_ARRAYS)}): {error}; download it again"
        ) from error
    if arrays["weights"].shape != (len(arrays["v_template"]), _JOINTS):
        raise ValueError(
            f"{path} skins by weights of shape {arrays['weights'].shape}; expected "
            f"({len(arrays['v_template'])}, {_JOINTS}), SMPL-X's: SMPL and SMPL-H have other joints"
        )
    return arrays
