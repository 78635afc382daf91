"""Archives that lie about sizes, hide members, end early or late, or cost more time than they should."""

import bz2
import gzip
import io
import lzma
import struct
import tarfile
import zipfile
from collections.abc import Mapping

from tests.imaging.attacks.attack import CORRUPT, IMAGE, NO_IMAGE, TOO_LARGE, Attack, one_file
from tests.imaging.dicom_files import dicom, film

MIB, BLOCK = 1 << 20, 512


def a_film(number: int) -> bytes:
    return dicom(film(seed=number), SOPInstanceUID=f"1.2.3.{number}")


# ---- Tars


def header(name: str, size: int, kind: bytes = b"0", field: bytes | None = None, fill: bytes = b"") -> bytes:
    """A tar header with a right sum, whatever its size field says."""
    info = tarfile.TarInfo(name)
    info.type = kind
    block = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    block[124:136] = b"%011o\0" % size if field is None else field
    block[386 : 386 + len(fill)] = fill
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % BLOCK)


def member(name: str, data: bytes, kind: bytes = b"0") -> bytes:
    return header(name, len(data), kind) + padded(data)


def pax(**records: str) -> bytes:
    return member("pax", b"".join(pax_record(key.replace("__", "."), value) for key, value in records.items()), b"x")


def pax_record(key: str, value: str) -> bytes:
    body = f" {key}={value}\n".encode()
    length = len(body) + 1
    while len(str(length)) + len(body) != length:
        length += 1
    return str(length).encode() + body


END = bytes(2 * BLOCK)


def tar(*numbers: int) -> bytes:
    return b"".join(member(f"IM{number}", a_film(number)) for number in numbers) + END


def sparse_film() -> bytes:
    """A film whose private element of zeros is left out of a sparse file."""
    plain = a_film(7)
    at = plain.index(b"\x10\x00\x20\x00LO")
    element = b"\x09\x00\x01\x10OB\0\0" + (8192).to_bytes(4, "little")
    head = plain[:at] + element
    return head + bytes(8192) + plain[at:]


def parts_of_sparse_film() -> tuple[list[tuple[int, int]], bytes, int]:
    whole = sparse_film()
    at = whole.index(b"\x09\x00\x01\x10OB") + 12
    stored = whole[:at] + whole[at + 8192 :]
    return [(0, at), (at + 8192, len(whole) - at - 8192)], stored, len(whole)


def gnu_sparse(extended: bool = False) -> bytes:
    parts, stored, whole = parts_of_sparse_film()
    if extended:  # as many parts as need a block of their own
        cut = [(offset + n * 10, 10) for offset, _ in parts[:1] for n in range(10)]
        parts = [*cut, (100, parts[0][1] - 100), parts[1]]
    entries = [b"%011o\0%011o\0" % part for part in parts]
    fill = b"".join(entries[:4]).ljust(96, b"\0") + (b"\1" if extended else b"\0") + b"%011o\0" % whole
    more = b"".join(entries[4:]).ljust(BLOCK, b"\0") if extended else b""
    return header("IM7", len(stored), b"S", fill=fill) + more + padded(stored)


def pax_sparse(version: str) -> bytes:
    parts, stored, whole = parts_of_sparse_film()
    numbers = [number for part in parts for number in part]
    if version == "1.0":
        listed = "".join(f"{number}\n" for number in (len(parts), *numbers)).encode()
        records = pax(GNU__sparse__major="1", GNU__sparse__minor="0", GNU__sparse__name="IM7",
                      GNU__sparse__realsize=str(whole))  # fmt: skip
        return records + member("./GNUSparseFile.1/IM7", padded(listed) + stored)
    if version == "0.1":
        return pax(GNU__sparse__map=",".join(map(str, numbers)), GNU__sparse__name="IM7",
                   GNU__sparse__size=str(whole)) + member("./GNUSparseFile.1/IM7", stored)  # fmt: skip
    body = pax_record("GNU.sparse.size", str(whole))
    for offset, length in parts:
        body += pax_record("GNU.sparse.offset", str(offset)) + pax_record("GNU.sparse.numbytes", str(length))
    return member("pax", body, b"x") + member("IM7", stored)


def sparse_bomb() -> bytes:
    fill = (b"%011o\0%011o\0" % ((1 << 30) - 8, 8)).ljust(96, b"\0") + b"\0" + b"%011o\0" % (1 << 30)
    return header("bomb", 8, b"S", fill=fill) + padded(b"12345678")


def in_tar(name: str, *numbers: int, **others: str) -> Mapping[str, str]:
    return {f"{name}!/IM{number}": IMAGE for number in numbers} | {
        f"{name}!/{member}" if member else name: fate for member, fate in others.items()
    }


# ---- Zips


def zip_of(*numbers: int, comment: bytes = b"", method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for number in numbers:
            archive.writestr(f"IM{number}", a_film(number))
        archive.comment = comment
    return buffer.getvalue()


def zip_with_liar(offset: int | None = None, size: int | None = None, compressed: int | None = None) -> bytes:
    """A zip of two films; the first one's zip64 field states impossible numbers."""
    data = bytearray(zip_of(1, 2))
    at = data.index(b"PK\x01\x02")
    stated = [(24, size), (20, compressed), (42, offset)]
    extra = b""
    for where, value in stated:
        if value is not None:
            data[at + where : at + where + 4] = b"\xff" * 4
            extra += struct.pack("<Q", value)
    extra = struct.pack("<HH", 1, len(extra)) + extra
    name, old, _ = struct.unpack_from("<HHH", data, at + 28)
    struct.pack_into("<H", data, at + 30, old + len(extra))
    end = at + 46 + name + old
    data[end:end] = extra
    record = data.rindex(b"PK\x05\x06")
    (length,) = struct.unpack_from("<L", data, record + 12)
    struct.pack_into("<L", data, record + 12, length + len(extra))
    return bytes(data)


def zip_with_hidden_member() -> bytes:
    """The directory leaves out the second of three films."""
    data = bytearray(zip_of(1, 2, 3))
    first = data.index(b"PK\x01\x02")
    second = data.index(b"PK\x01\x02", first + 4)
    third = data.index(b"PK\x01\x02", second + 4)
    del data[second:third]
    record = data.rindex(b"PK\x05\x06")
    counts = struct.unpack_from("<HHL", data, record + 8)
    struct.pack_into("<HHL", data, record + 8, 2, 2, counts[2] - (third - second))
    return bytes(data)


def empty_end_record() -> bytes:
    return b"PK\x05\x06" + bytes(18)


# ---- Time


def tiny_pax_records() -> bytes:
    return member("pax", b"5 a=\n" * (MIB // 5), b"x") + tar(1)


def many_pax_headers() -> bytes:
    return gzip.compress(member("pax", b"5 a=\n" * (MIB // 5), b"x") * 30 + tar(1), 1)


def empty_streams() -> bytes:
    return gzip.compress(gzip.compress(b"", mtime=0) * 4_000_000, 1)


def stored_zeros_in_tar() -> bytes:
    return gzip.compress(tar(1) + bytes(64 * MIB), 1)


def many_folders() -> bytes:
    return gzip.compress(b"".join(header(f"{n}/", 0, b"5") for n in range(5_000)) + tar(1), 1)


ATTACKS: tuple[Attack, ...] = (
    one_file("pax-size.tar", lambda: member("IM1", a_film(1)) + pax(size=str(10**30)) + tar(2),
             in_tar("pax-size.tar", 1) | {"pax-size.tar": CORRUPT}),
    one_file("base-256.tar", lambda: member("IM1", a_film(1)) + header("IM2", 0, field=b"\x80" + (1 << 80).to_bytes(11))
             + a_film(2), in_tar("base-256.tar", 1) | {"base-256.tar": CORRUPT}),
    one_file("beyond.tar", lambda: member("IM1", a_film(1)) + header("IM2", 0, field=b"\x80" + (1 << 40).to_bytes(11))
             + a_film(2), in_tar("beyond.tar", 1) | {"beyond.tar!/IM2": TOO_LARGE, "beyond.tar": "reject:truncated"}),
    one_file("negative.tar", lambda: member("IM1", a_film(1)) + header("IM2", 0, field=b"\xff" * 12) + a_film(2),
             in_tar("negative.tar", 1) | {"negative.tar": CORRUPT}),
    one_file("twice.tar", lambda: tar(1, 2) + tar(3), in_tar("twice.tar", 1, 2, 3)),
    one_file("thrice.tar", lambda: tar(1) + bytes(40 * BLOCK) + tar(2) + tar(3) + bytes(20 * BLOCK),
             in_tar("thrice.tar", 1, 2, 3)),
    one_file("twice.tgz", lambda: gzip.compress(tar(1)) + gzip.compress(tar(2)), in_tar("twice.tgz", 1, 2)),
    one_file("rest.tar", lambda: tar(1) + b"what is this?" * 100, in_tar("rest.tar", 1) | {"rest.tar": CORRUPT}),
    one_file("rest.tgz", lambda: gzip.compress(tar(1)) + b"what is this?" * 100,
             in_tar("rest.tgz", 1) | {"rest.tgz": CORRUPT}),
    one_file("rest.txz", lambda: lzma.compress(tar(1)) + b"what is this?" * 100,
             in_tar("rest.txz", 1) | {"rest.txz": CORRUPT}),
    one_file("rest.tbz", lambda: bz2.compress(tar(1)) + bytes(400_000) + b"what is this?" * 100,
             in_tar("rest.tbz", 1) | {"rest.tbz": CORRUPT}),
    one_file("wrong-sum.tgz", lambda: gzip.compress(tar(1))[:-8] + bytes(8), CORRUPT),
    *(
        one_file(f"sparse-{name}.tar", make, in_tar(f"sparse-{name}.tar", 7, 1, 2))
        for name, make in (
            ("gnu", lambda: gnu_sparse() + tar(1, 2)), ("gnu-extended", lambda: gnu_sparse(extended=True) + tar(1, 2)),
            ("0.0", lambda: pax_sparse("0.0") + tar(1, 2)), ("0.1", lambda: pax_sparse("0.1") + tar(1, 2)),
            ("1.0", lambda: pax_sparse("1.0") + tar(1, 2)),
        )
    ),
    one_file("sparse-bomb.tar", lambda: sparse_bomb() + tar(1),
             in_tar("sparse-bomb.tar", 1) | {"sparse-bomb.tar!/bomb": TOO_LARGE}),
    one_file("names.tar", lambda: member("same", a_film(1)) + pax(path="same\x002") + tar(2) + pax(path="same")
             + tar(3), {"names.tar!/same": IMAGE, "names.tar!/same#2": IMAGE, "names.tar!/same#3": IMAGE}),
    one_file("size.zip", lambda: zip_with_liar(size=2**64 - 1), {"size.zip!/IM1": TOO_LARGE, "size.zip!/IM2": IMAGE}),
    one_file("offset.zip", lambda: zip_with_liar(offset=2**64 - 1),
             {"offset.zip!/IM1": CORRUPT, "offset.zip!/IM2": IMAGE, "offset.zip": CORRUPT}),
    one_file("all.zip", lambda: zip_with_liar(2**64 - 1, 2**64 - 1, 2**64 - 1),
             {"all.zip!/IM1": f"{TOO_LARGE}|{CORRUPT}", "all.zip!/IM2": IMAGE, "all.zip": CORRUPT}),
    one_file("comment.zip", lambda: zip_of(1, 2, comment=empty_end_record()), in_tar("comment.zip", 1, 2)),
    one_file("comments.zip", lambda: zip_of(1, 2, comment=b"PK\x05\x06 and " + empty_end_record() * 3 + b"PK\x05\x06"),
             in_tar("comments.zip", 1, 2)),
    one_file("zip-in-comment.zip", lambda: zip_of(1, comment=zip_of(2)),
             in_tar("zip-in-comment.zip", 2) | {"zip-in-comment.zip": CORRUPT}),
    one_file("hidden.zip", zip_with_hidden_member, in_tar("hidden.zip", 1, 3) | {"hidden.zip": CORRUPT}),
    one_file("behind.zip", lambda: zip_of(1) + zip_of(2), in_tar("behind.zip", 2) | {"behind.zip": CORRUPT}),
    one_file("rest.zip", lambda: zip_of(1) + b"what is this?" * 100, in_tar("rest.zip", 1) | {"rest.zip": CORRUPT}),
    one_file("nested.zip", lambda: nested(behind=zip_of(1) + zip_of(2), whole=zip_of(3), tar=tar(4) + tar(5)), {
        "nested.zip!/behind!/IM2": IMAGE, "nested.zip!/behind": CORRUPT, "nested.zip!/whole!/IM3": IMAGE,
        "nested.zip!/tar!/IM4": IMAGE, "nested.zip!/tar!/IM5": IMAGE,
    }),
    one_file("pax-records.tar", tiny_pax_records, in_tar("pax-records.tar", 1)),
    one_file("pax-headers.tgz", many_pax_headers, TOO_LARGE),
    one_file("streams.gz", empty_streams, {"streams.gz!/streams": TOO_LARGE}),
    one_file("zeros.tgz", stored_zeros_in_tar, in_tar("zeros.tgz", 1), long=True),
    one_file("folders.tgz", many_folders, in_tar("folders.tgz", 1)),
    one_file("nest-of-time.zip", lambda: nested(a=empty_streams(), b=a_film(1)), {
        "nest-of-time.zip!/a!/a": TOO_LARGE, "nest-of-time.zip!/b": IMAGE,
    }),
    one_file("many.zip", lambda: many_members(100_000), {f"many.zip!/{n}": NO_IMAGE for n in range(100_000)},
             seconds=120.0, long=True),
)  # fmt: skip


def nested(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def many_members(count: int) -> bytes:
    return nested(**{str(n): b"x" for n in range(count)})
