"""Smoothing of motion in time: a Savitzky-Golay filter, the One Euro filter, or none.

The Savitzky-Golay filter fits a polynomial to a window around each frame: it sees the future and delays
nothing. The One Euro filter (Casiez, Roussel and Vogel, CHI 2012) sees the past alone, as a live program
must, and lags behind fast motion. Neither knows about bones or joints.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.signal import savgol_filter

from poseshift.storage.model import FrozenModel

Float64 = NDArray[np.float64]
SmoothingName = Literal["savgol", "one-euro", "none"]


class NoSmoothing(FrozenModel):
    """Motion as the lifter answers it, frame by frame."""

    kind: Literal["none"] = "none"

    def apply(self, values: Float64, fps: float) -> Float64:
        """Return the values as they are."""
        del fps
        return values


class SavitzkyGolay(FrozenModel):
    """A polynomial fitted to a window around each frame."""

    kind: Literal["savgol"] = "savgol"
    window_s: float = Field(default=0.3, gt=0)
    """Length of the window, seconds; at the rate of the motion it is rounded to an odd number of frames."""
    degree: int = Field(default=2, ge=0)
    """Degree of the polynomial."""

    def frames(self, fps: float, available: int) -> int:
        """Count the frames of the window: odd, and no more than there are."""
        wanted = 2 * round(self.window_s * fps / 2 - 0.5) + 1
        longest = available if available % 2 else available - 1
        return max(1, min(wanted, longest))

    def apply(self, values: Float64, fps: float) -> Float64:
        """Smooth along the first axis; motion too short for the polynomial stays as it is."""
        window = self.frames(fps, len(values))
        if window <= self.degree:
            return values
        return np.asarray(savgol_filter(values, window, self.degree, axis=0), dtype=np.float64)


class OneEuro(FrozenModel):
    """A first-order low-pass filter whose cut-off rises with speed."""

    kind: Literal["one-euro"] = "one-euro"
    lowest_cutoff_hz: float = Field(default=2.0, gt=0)
    """Cut-off at rest."""
    speed_share: float = Field(default=3.0, ge=0)
    """How much the cut-off rises, Hz per m/s: the filter's beta."""
    speed_cutoff_hz: float = Field(default=1.0, gt=0)
    """Cut-off of the low-pass filter of the speed."""

    def apply(self, values: Float64, fps: float) -> Float64:
        """Filter along the first axis, forwards in time."""
        smoothed = values.copy()
        speed = np.zeros_like(values[0])
        steady = _share(np.asarray(self.speed_cutoff_hz), fps)
        for now in range(1, len(values)):
            speed += steady * ((values[now] - values[now - 1]) * fps - speed)
            share = _share(self.lowest_cutoff_hz + self.speed_share * np.abs(speed), fps)
            smoothed[now] = smoothed[now - 1] + share * (values[now] - smoothed[now - 1])
        return smoothed


Smoothing = Annotated[NoSmoothing | SavitzkyGolay | OneEuro, Field(discriminator="kind")]
"""What may be done to a motion in time."""


def smoothing_named(name: SmoothingName) -> Smoothing:
    """Give the smoothing of a name, with its defaults."""
    kinds: dict[SmoothingName, Smoothing] = {
        "savgol": SavitzkyGolay(),
        "one-euro": OneEuro(),
        "none": NoSmoothing(),
    }
    return kinds[name]


def _share(cutoff_hz: Float64, fps: float) -> Float64:
    """Share of a new value that a first-order low-pass filter takes."""
    step = 2 * math.pi * cutoff_hz / fps
    return np.asarray(step / (step + 1))
