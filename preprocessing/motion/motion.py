"""What a piece of motion is, whatever it came from: joint positions in the world with a subject's name.

Three sources give motions (:mod:`.procedural`, :mod:`.bundle`, :mod:`.cmu`) and one place uses them
(:mod:`.restage`). Nothing here knows about cameras or about the data sets' layouts.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from poseshift.preprocessing.errors import RawDataError

FRAME_RATE_HZ = 50.0
"""The rate that Human3.6M publishes its poses at; every source gives it."""

PROCEDURAL = "procedural"
"""The source name of motion that needs no file."""


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
    positions : npt.array of float32
        (frames, 17, 3) float32 metres, Human3.6M-17 joint order, right-handed world with z up.
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


def load(source: str | Path, *, seed: int = 0) -> tuple[Motion, ...]:
    """Read or make the motions of a source.

    Parameters
    ----------
    source : str | Path
        ``"procedural"``, the path of an ``.npz`` bundle, or a folder with ASF and AMC files.
    seed : int
        Seed of the procedural motion; files do not need it.

    Returns
    -------
    motions : in a fixed order that depends on the source alone.

    Raises
    ------
    RawDataError : when the path is none of the three or its files cannot be read.
    """
    # Each source builds Motions, so it imports this module; the imports the other way wait until here.
    from poseshift.preprocessing.motion import bundle, cmu, procedural

    if source == PROCEDURAL:
        return procedural.generate(seed)
    path = Path(source)
    if path.is_dir():
        return cmu.read_folder(path)
    if path.suffix == ".npz":
        return bundle.read_bundle(path)
    raise RawDataError(
        path,
        found="neither a folder nor a file that ends in .npz" if path.exists() else "nothing",
        expected="'procedural', an .npz bundle or a folder with ASF and AMC files",
        remedy="Check the spelling of the motion's path.",
    )


def title(source: str | Path, *, seed: int = 0) -> str:
    """Name a source in one line, as restaged data sets carry it in their label."""
    from poseshift.preprocessing.motion import bundle

    if source == PROCEDURAL:
        return f"procedural motion, seed {seed}"
    path = Path(source)
    return bundle.title(path) if path.suffix == ".npz" else f"ASF/AMC motion from {path.name}"
