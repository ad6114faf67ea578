"""What a piece of motion is, whatever it came from: joint positions in the world with a subject's name.

Three sources give motions, see :mod:`.sources`. Nothing here knows about cameras or data sets' layouts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FRAME_RATE_HZ = 50.0
"""The rate that Human3.6M publishes its poses at; every source gives it."""


@dataclass(frozen=True)
class Motion:
    """One clip of one subject.

    Attributes
    ----------
    name : str
        Unique name of the clip, such as ``"cmu14/boxing/14_02"``.
    subject : str
        Who moves; two clips of one subject never end on both sides of a split.
    description : str
        What is done, words joined by underscores, such as ``"soccer_kick_ball"``.
    fps : float
        Frames per second.
    positions : array of float32, shape (frames, 17, 3)
        Metres, Human3.6M-17 joint order, right-handed world with z up.
    """

    name: str
    subject: str
    description: str
    fps: float
    positions: npt.NDArray[np.float32]

    def __post_init__(self) -> None:
        """Refuse arrays that no later step could use."""
        if self.positions.ndim != 3 or self.positions.shape[1:] != (17, 3) or not len(self.positions):
            raise ValueError(
                f"motion {self.name}: positions of shape {self.positions.shape}, expected (frames, 17, 3)"
            )
        if not np.isfinite(self.positions).all():
            raise ValueError(f"motion {self.name}: positions hold NaN or infinity")
        if self.fps <= 0:
            raise ValueError(f"motion {self.name}: fps {self.fps}, expected a positive rate")

    @property
    def frames(self) -> int:
        """Number of frames."""
        return len(self.positions)
