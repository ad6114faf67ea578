"""Text files from any editor: UTF-8 with or without a mark, UTF-16 and UTF-32."""

from __future__ import annotations

import codecs
from pathlib import Path

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class TextEncodingError(ValueError):
    """A file that is no text in an encoding that is understood."""


def read_text(path: Path, otherwise: str = "utf-8") -> str:
    """Read a text file in the encoding that its first bytes tell.

    Parameters
    ----------
    path : Path
        The file.
    otherwise : str
        Encoding of files whose first bytes tell none.

    Raises
    ------
    TextEncodingError
        When it is in another encoding, or no text.
    OSError
        When it cannot be read.
    """
    return decode(path.read_bytes(), path, otherwise)


def decode(content: bytes, path: Path, otherwise: str = "utf-8") -> str:
    """Decode the content of a text file; ``path`` is named in errors."""
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), None)
    if encoding is None:  # without a mark, the zero bytes of ASCII letters tell UTF-16
        encoding = {b"\0": "utf-16-be"}.get(content[:1], otherwise)
        if content[1:2] == b"\0":
            encoding = "utf-16-le"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise TextEncodingError(
            f"{path}: is not text in {encoding.removesuffix('-sig').upper()} (from byte {error.start} on); "
            "save it as UTF-8"
        ) from error
