"""The field of view of a camera by the EXIF data of a picture that it took.

``FocalLengthIn35mmFilm`` compares diagonals, as CIPA's guideline DCG-001 says: the focal length at which
a frame of 24 x 36 mm has the picture's field of view over its diagonal. Where it is missing, the focal
length in millimetres and the resolution of the focal plane say the same. Makers round the former to whole
millimetres.
"""

from __future__ import annotations

import math
from pathlib import Path

from PIL import ExifTags, Image, UnidentifiedImageError

from poseshift.preprocessing.errors import RawDataError

_FILM_DIAGONAL_MM = math.hypot(24.0, 36.0)
_UNITS_MM = {2: 25.4, 3: 10.0, 4: 1.0}
"""EXIF's numbers for inch, centimetre and millimetre."""


def fov_degrees(path: Path) -> float:
    """Find the field of view of a picture's longer side.

    Raises
    ------
    RawDataError
        It is no picture, or does not say its focal length.
    """
    try:
        with Image.open(path) as picture:  # reads the header, no pixels
            long_px, short_px = max(picture.size), min(picture.size)
            said = picture.getexif().get_ifd(ExifTags.IFD.Exif)
            film_mm = _number(said.get(ExifTags.Base.FocalLengthIn35mmFilm))
            focal_mm = _number(said.get(ExifTags.Base.FocalLength))
            per_unit = _number(said.get(ExifTags.Base.FocalPlaneXResolution))
            unit_mm = _UNITS_MM.get(int(_number(said.get(ExifTags.Base.FocalPlaneResolutionUnit, 2))), 0.0)
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError, SyntaxError, ValueError) as error:
        raise _error(path, f"no picture that can be read ({error})") from error
    if film_mm > 0:
        long_mm = _FILM_DIAGONAL_MM * long_px / math.hypot(long_px, short_px)
        return _degrees(path, long_mm / 2 / film_mm)
    if focal_mm > 0 and per_unit > 0 and unit_mm > 0:
        return _degrees(path, long_px / per_unit * unit_mm / 2 / focal_mm)
    raise _error(path, "no focal length")


def _degrees(path: Path, tangent: float) -> float:
    degrees = math.degrees(2 * math.atan(tangent))
    if not 1 < degrees < 179:
        raise _error(path, f"a field of view of {degrees:.1f} degrees")
    return degrees


def _number(value: object) -> float:
    """Read a number of EXIF; 0 where it is missing or divided by nothing."""
    try:
        number = float(value)  # type: ignore[arg-type]  # Pillow's rationals are numbers
    except (TypeError, ValueError, ZeroDivisionError):
        return 0.0
    return number if math.isfinite(number) else 0.0


def _error(path: Path, found: str) -> RawDataError:
    return RawDataError(
        path,
        found=found,
        expected="a picture of the camera with FocalLengthIn35mmFilm, or with focal length and focal plane",
        remedy="Take a picture with the lens and zoom of the video and give the file as it came from the "
        "camera (JPEG, TIFF or PNG), or state --fov.",
    )
