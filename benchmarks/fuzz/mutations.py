"""Mutations of bytes and of text: what a bad disk, a cut download or an attacker does to a file.

A mutation is a function of the content and a random generator; the same generator state gives the same file.
Formats with compression or checksums need those of :mod:`benchmarks.fuzz.containers` to get past them.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

Random = np.random.Generator
Mutation = Callable[[bytes, Random], bytes]
ByteOrder = Literal["little", "big"]

NUMBERS = (
    *(b"0", b"-1", b"1", b"-0.0", b"2147483648", b"4294967296", b"99999999999999999999", b"1e308", b"1e999"),
    *(b"nan", b"NaN", b"inf", b"-inf", b"1e-320", b"0x10", b"1_000", b"", b"1.5.2", b"\xd9\xa3", b"\xc2\xb2"),
)
"""Spellings of numbers that readers of text forget; the last two are digits to Python, but not ASCII."""


def flip_bits(content: bytes, random: Random) -> bytes:
    """Flip one to sixteen bits anywhere."""
    changed = bytearray(content)
    for place in random.integers(0, 8 * max(1, len(content)), size=random.integers(1, 17)):
        if content:
            changed[place // 8] ^= 1 << (place % 8)
    return bytes(changed)


def truncate(content: bytes, random: Random) -> bytes:
    """Cut the end off."""
    return content[: _place(content, random)]


def remove_block(content: bytes, random: Random) -> bytes:
    """Leave out up to 512 bytes: all that follows moves."""
    start = _place(content, random)
    return content[:start] + content[start + _length(random) :]


def repeat_block(content: bytes, random: Random) -> bytes:
    """Repeat up to 512 bytes."""
    start = _place(content, random)
    block = content[start : start + _length(random)]
    return content[:start] + block + content[start:]


def swap_blocks(content: bytes, random: Random) -> bytes:
    """Exchange two blocks of equal length."""
    length = min(_length(random), len(content) // 2)
    first, second = sorted(_place(content, random) for _ in range(2))
    second = max(second, first + length)
    changed = bytearray(content)
    changed[first : first + length], changed[second : second + length] = (
        content[second : second + length],
        content[first : first + length],
    )
    return bytes(changed)


def overwrite_block(content: bytes, random: Random) -> bytes:
    """Overwrite up to 512 bytes with zeros, ones or noise."""
    start = _place(content, random)
    length = len(content[start : start + _length(random)])
    fill = (bytes(length), b"\xff" * length, random.bytes(length))[random.integers(3)]
    return content[:start] + fill + content[start + length :]


def append_noise(content: bytes, random: Random) -> bytes:
    """Append up to 512 bytes of noise."""
    return content + random.bytes(_length(random))


BYTES: tuple[Mutation, ...] = (
    *(flip_bits, truncate, remove_block, repeat_block, swap_blocks, overwrite_block, append_noise),
)
"""Mutations that know nothing of the format."""


def any_of(*mutations: Mutation) -> Mutation:
    """Combine mutations into one that picks one of them, and sometimes another on top."""

    def mutate(content: bytes, random: Random) -> bytes:
        content = mutations[random.integers(len(mutations))](content, random)
        if random.random() < 0.25:
            # The first may have damaged the very container that the second wants to open.
            with contextlib.suppress(Exception):
                content = mutations[random.integers(len(mutations))](content, random)
        return content

    return mutate


def absurd_integer(random: Random, width: int, order: ByteOrder, size: int) -> bytes:
    """Make an integer that headers should not hold: extreme, negative, or near the file's ``size``."""
    bits = 8 * width
    candidates = (
        *(0, 1, 2, 3, 255, 256, 2**15, 2**16 - 1, 2**24, 2**31 - 1, 2**31, 2**32 - 1, 2**33, 2**40),
        *(2 ** (bits - 1) - 1, 2 ** (bits - 1), 2**bits - 1, 2**bits - 2, size, size - 1, size + 1, 8 * size),
        *(int(random.integers(0, max(1, size))), int.from_bytes(random.bytes(width), "big")),
    )
    value = candidates[random.integers(len(candidates))] % 2**bits
    return int(value).to_bytes(width, order)


def integers_at(places: Callable[[bytes], Sequence[tuple[int, int]]], order: ByteOrder) -> Mutation:
    """Make the mutation that puts absurd integers into a format's header fields.

    Parameters
    ----------
    places : gives (offset, width in bytes) of the integers of a file.
    order : byte order of the format.
    """

    def mutate(content: bytes, random: Random) -> bytes:
        changed = bytearray(content)
        fields = places(content)
        for _ in range(random.integers(1, 4) if fields else 0):
            offset, width = fields[int(random.integers(len(fields)))]
            changed[offset : offset + width] = absurd_integer(random, width, order, len(content))
        return bytes(changed)

    return mutate


def replace_number(content: bytes, random: Random) -> bytes:
    """Put a strange spelling in the place of one number of a text."""
    found = list(re.finditer(rb"-?\d+(?:\.\d*)?(?:e[-+]?\d+)?", content))
    if not found:
        return content
    number = found[random.integers(len(found))]
    return content[: number.start()] + NUMBERS[random.integers(len(NUMBERS))] + content[number.end() :]


def replace_word(content: bytes, random: Random) -> bytes:
    """Put another word of the text, or none, in the place of a word."""
    found = list(re.finditer(rb"[^\s<>]+", content))
    if not found:
        return content
    word, other = (found[random.integers(len(found))] for _ in range(2))
    new = (other.group(), b"", word.group() * 2, b"\xff\xfe", "\u2028\u00df".encode())[random.integers(5)]
    return content[: word.start()] + new + content[word.end() :]


def change_lines(content: bytes, random: Random) -> bytes:
    """Drop, repeat or exchange lines."""
    lines = content.splitlines(keepends=True)
    if len(lines) < 2:
        return content
    first, second = random.integers(0, len(lines), size=2)
    match random.integers(3):
        case 0:
            del lines[first]
        case 1:
            lines.insert(second, lines[first])
        case _:
            lines[first], lines[second] = lines[second], lines[first]
    return b"".join(lines)


TEXT: tuple[Mutation, ...] = (replace_number, replace_word, change_lines)
"""Mutations that know words, numbers and lines."""


def _place(content: bytes, random: Random) -> int:
    return int(random.integers(0, max(1, len(content))))


def _length(random: Random) -> int:
    """One to 512 bytes, short ones as likely as long ones."""
    return int(2 ** random.uniform(0, 9))
