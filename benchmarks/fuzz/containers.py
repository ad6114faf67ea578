"""Mutations that know a format: its header fields, and what lies behind its compression and checksums.

A flipped bit in deflated data stops at the checksum and tests nothing else; so these unpack, mutate, and pack
again with checksums that are right.
"""

from __future__ import annotations

import gzip
import io
import re
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence

from benchmarks.fuzz.mutations import ByteOrder, Mutation, Random, absurd_integer

_BLOCK = 512


def inside_zip(mutation: Mutation) -> Mutation:
    """Mutate one member of a zip file (such as an npz), stored anew with its right checksum."""

    def mutate(content: bytes, random: Random) -> bytes:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        chosen = list(members)[random.integers(len(members))]
        members[chosen] = mutation(members[chosen], random)
        return zipped(members)

    return mutate


def zipped(members: Mapping[str, bytes]) -> bytes:
    """Make a zip file that depends on its members alone, not on the clock."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, member in members.items():
            archive.writestr(zipfile.ZipInfo(name), member, zipfile.ZIP_DEFLATED, 1)
    return packed.getvalue()


def npy_header(content: bytes, random: Random) -> bytes:
    """Change type, order or shape in the header of an npy file, at the header's old length."""
    (length,) = struct.unpack_from("<H", content, 8)
    header, body = content[10 : 10 + length], content[10 + length :]
    shapes = (b"(99999999999,)", b"(-1,)", b"(2, 2)", b"()", b"(0,)", b"(9999, 9999, 9999)", b"(1.5,)")
    types = (b"'|O'", b"'<f8'", b"'|V0'", b"'<U999999999'", b"'<M8[s]'", b"[('a', '<f4')]", b"'>i2'", b"'x'")
    match random.integers(3):
        case 0:
            start, end = header.rfind(b"("), header.rfind(b")") + 1
            header = header[:start] + shapes[random.integers(len(shapes))] + header[end:]
        case 1:
            start = header.find(b":") + 2
            header = header[:start] + types[random.integers(len(types))] + header[header.find(b",", start) :]
        case _:
            header = b"(" * int(random.integers(1, 5000)) + header
    return content[:8] + struct.pack("<H", len(header) % 2**16) + header + body


def inside_gzip(mutation: Mutation) -> Mutation:
    """Mutate what a gzip file holds."""

    def mutate(content: bytes, random: Random) -> bytes:
        return gzip.compress(mutation(gzip.decompress(content), random), compresslevel=1, mtime=0)

    return mutate


def tar_headers(content: bytes, random: Random) -> bytes:
    """Change one field of one tar header (name, size, type, link), and mend the header's checksum."""
    headers = [
        offset
        for offset in range(0, len(content) - _BLOCK + 1, _BLOCK)
        if content[offset + 257 : offset + 262] == b"ustar"
    ]
    if not headers:
        return content
    start = headers[random.integers(len(headers))]
    header = bytearray(content[start : start + _BLOCK])
    names = (
        *(
            b"../../escape",
            b"/tmp/escape",
            b"S1/MyPoseFeatures/../../../../escape",
            b"C:\\escape",
            b"\xff\xfe",
        ),
        *(b"", b".", b"/", b"..", b"a\0b", b"S1", b"S1/MyPoseFeatures/D3_Positions", b"a/" * 49),
    )
    sizes = (
        b"77777777777\0",
        b"00000000000\0",
        b"\x80" + b"\x7f" * 11,
        b"\xff" * 12,
        b"-1\0",
        b"x" * 12,
        b"",
    )
    match random.integers(5):
        case 0:
            header[0:100] = names[random.integers(len(names))].ljust(100, b"\0")
        case 1:
            header[124:136] = sizes[random.integers(len(sizes))].ljust(12, b"\0")
        case 2:
            header[156:157] = b"0123456789xgLKSDVNA\0"[(place := random.integers(20)) : place + 1]
        case 3:
            header[156:157] = b"12"[(place := random.integers(2)) : place + 1]
            header[157:257] = names[random.integers(len(names))].ljust(100, b"\0")
        case _:
            header[100:108] = (b"0007777\0", b"0004755\0", b"zzzzzzz\0")[random.integers(3)]
    header[148:156] = b" " * 8
    header[148:156] = f"{sum(header):06o}\0 ".encode()
    return content[:start] + bytes(header) + content[start + _BLOCK :]


def extra_member(content: bytes, random: Random) -> bytes:
    """Append a hostile member to a tar file: links, devices, the same name twice, a sparse file."""
    whole = io.BytesIO(content.rstrip(b"\0"))
    whole.seek(0, io.SEEK_END)
    whole.write(bytes(-whole.tell() % _BLOCK))
    kinds = (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.REGTYPE)
    targets = ("/etc/passwd", "../../outside", "S1", ".")
    member = tarfile.TarInfo(("S1/MyPoseFeatures/D3_Positions/Directions.cdf", "S1", "x")[random.integers(3)])
    member.type = kinds[random.integers(len(kinds))]
    member.linkname = targets[random.integers(len(targets))]
    member.size = 3 if member.isreg() else 0
    whole.write(member.tobuf(tarfile.PAX_FORMAT))
    whole.write(b"abc".ljust(_BLOCK, b"\0") if member.isreg() else b"")
    return whole.getvalue() + bytes(2 * _BLOCK)


def inside_mat5(mutation: Mutation) -> Mutation:
    """Mutate one compressed element of a MATLAB v5 file and compress it again."""

    def mutate(content: bytes, random: Random) -> bytes:
        elements = [(start, end) for start, end, kind in _mat5_elements(content) if kind == _MI_COMPRESSED]
        start, end = elements[random.integers(len(elements))]
        inflated = mutation(zlib.decompress(content[start + 8 : end]), random)
        deflated = zlib.compress(inflated, 1)
        return content[:start] + struct.pack("<II", _MI_COMPRESSED, len(deflated)) + deflated + content[end:]

    return mutate


_MI_COMPRESSED = 15


def _mat5_elements(content: bytes) -> Iterator[tuple[int, int, int]]:
    """(start, end, type) of the top elements of a little-endian MATLAB v5 file."""
    start = 128
    while start + 8 <= len(content):
        kind, length = struct.unpack_from("<II", content, start)
        yield start, start + 8 + length, kind
        start += 8 + length


def mat5_fields(inflated: bytes) -> Sequence[tuple[int, int]]:
    """Places of the tags, flags and dimensions of an inflated element: every word that is a small number."""
    return [(offset, 4) for offset in range(0, min(len(inflated) - 3, 4096), 4) if _small(inflated, offset)]


def _small(content: bytes, offset: int) -> bool:
    return int.from_bytes(content[offset : offset + 4], "little") < 2**16


def cdf_fields(content: bytes) -> Sequence[tuple[int, int]]:
    """Places of the integers in the records of a CDF 3 file, found by following its records one by one."""
    places: list[tuple[int, int]] = []
    offset = 8
    while offset + 12 <= len(content):
        size, kind = struct.unpack_from(">qi", content, offset)
        places += [(offset, 8), (offset + 8, 4)]
        layout = {
            1: (8, 4, 4, 4, 4),
            2: (8, 8, 8, 8, 4, 4, 4, 4, 4, 8),
            6: (8, 4, 4),
            8: (8, 4, 4, 8, 8, 4, 4),
        }
        place = offset + 12
        for width in layout.get(kind, ()):
            places.append((place, width))
            place += width
        if kind == 6:
            places += [(where, 4) for where in range(place, min(offset + size, place + 64), 4)]
        if kind == 8:
            places += [(where, 4) for where in range(offset + 64, offset + 84, 4)]
            places += [(where, 4) for where in range(offset + 340, offset + 360, 4)]
        if size <= 0:
            break
        offset += size
    return [(place, width) for place, width in places if place + width <= len(content)]


def hdf5_metadata(mutation: Mutation) -> Mutation:
    """Mutate one of HDF5's metadata blocks: superblock, object headers, B-trees, heaps, symbol nodes."""

    def mutate(content: bytes, random: Random) -> bytes:
        starts = [found.start() for found in _HDF5_MARKS.finditer(content)]
        start = starts[random.integers(len(starts))]
        length = 2 ** int(random.integers(5, 11))
        return content[:start] + mutation(content[start : start + length], random) + content[start + length :]

    return mutate


_HDF5_MARKS = re.compile(
    rb"\x89HDF\r\n\x1a\n|TREE|HEAP|SNOD|GCOL|\x01\x00[\x01-\x20]\x00\x01\x00\x00\x00", flags=re.DOTALL
)
"""Signatures of HDF5's structures; the last is the prefix of a version 1 object header."""


def hdf5_integers(content: bytes, random: Random) -> bytes:
    """Put an absurd integer at an even place of a metadata block, without moving what follows."""
    changed = bytearray(content)
    order: ByteOrder = "little"
    for _ in range(random.integers(1, 4)):
        width = int(2 ** random.integers(0, 4))
        offset = int(random.integers(0, max(1, len(content) // width))) * width
        integer = absurd_integer(random, width, order, len(content))
        changed[offset : offset + width] = integer[: max(0, len(content) - offset)]
    return bytes(changed)


def xml_attack(content: bytes, random: Random) -> bytes:
    """Put one of the known attacks on XML parsers into a document."""
    laughs = b"".join(b'<!ENTITY l%d "%s">' % (n, b"&l%d;" % (n - 1) * 10) for n in range(1, 10))
    start = content.find(b"<metadata>")
    body = content[start:]
    first = body.find(b"<row>")
    match random.integers(7):
        case 0:
            text = body[:first] + b"&l9;" + body[first:]
            return b'<!DOCTYPE metadata [<!ENTITY l0 "ha">' + laughs + b"]>" + text
        case 1:
            secret = b'<!DOCTYPE metadata [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
            return secret + body[:first] + b"&x;" + body[first:]
        case 2:
            return b'<!DOCTYPE metadata [<!ENTITY % x SYSTEM "http://localhost:1/x.dtd"> %x;]>' + body
        case 3:
            return body[:first] + b"<a>" * int(random.integers(1, 200_000)) + body[first:]
        case 4:
            return body[:10] + b"<a " + b'b="c" ' * int(random.integers(1, 20_000)) + b"/>" + body[10:]
        case 5:
            return content.decode().encode(("utf-16", "utf-32", "utf-8-sig", "utf-7")[random.integers(4)])
        case _:
            return body[:first] + b"<![CDATA[" + b"]" * int(random.integers(1, 9999)) + b"]]>" + body[first:]


def pickle_opcodes(content: bytes, random: Random) -> bytes:
    """Put opcodes, among them calls of code, into the pickle inside an npy file."""
    header = 10 + struct.unpack_from("<H", content, 8)[0]
    place = int(random.integers(header + 2, max(header + 3, len(content))))
    opcodes = (
        *(
            b"cos\nsystem\n(S'touch was-run'\ntR",
            b"cbuiltins\neval\n(S'1/0'\ntR",
            b"\x8c\x02os\x8c\x06system\x93",
        ),
        *(b"cnumpy\nndarray\n", b"cnumpy\ndtype\n", b"cnumpy._core.multiarray\nscalar\n", b"cnumpy\nload\n"),
        *(
            b"\x8d\xff\xff\xff\xff\xff\xff\xff\x7f",
            b"\x8e\xff\xff\xff\xff\x00\x00\x00\x00",
            b"\x8b\xff\xff\xff\x7f",
        ),
        *(
            b"r\xff\xff\xff\x7f",
            b"j\xff\xff\xff\x0f",
            b"(" * 1000,
            b"]" * 2000,
            b"}" * 9,
            b"a",
            b"s",
            b"R",
            b"b",
        ),
        *(
            b"\x81",
            b"\x92",
            b"t",
            b"0",
            b"1",
            b"2",
            b"N",
            b"u",
            b"e",
            b"I99999999999999999999\n",
            b"q\x00",
            b"h\x00",
        ),
    )
    chosen = opcodes[random.integers(len(opcodes))]
    replaced = int(random.integers(0, 2)) * len(chosen)
    return content[:place] + chosen + content[place + replaced :]
