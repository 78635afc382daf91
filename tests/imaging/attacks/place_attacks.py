"""Folders with what is no file, may not be read, or has a name that is no text."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

from tests.imaging.attacks.attack import IMAGE, Attack
from tests.imaging.dicom_files import dicom, film

NOT_A_FILE, OUTSIDE = "ignored:not-a-file", "ignored:outside-link"


def a_film(path: Path, number: int = 1) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(dicom(film(seed=number), bits=12, SOPInstanceUID=f"1.2.3.{number}"))


def with_a_film(make: Callable[[Path], None]) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        a_film(folder / "IM1")
        make(folder)

    return write


def pipe(folder: Path) -> None:
    os.mkfifo(folder / "pipe")


def listening(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        before = Path.cwd()
        os.chdir(folder)  # a socket's path must be short
        try:
            server.bind("socket")
        finally:
            os.chdir(before)


def links(folder: Path) -> None:
    outside = folder.parent / "outside"
    a_film(outside / "IM2", 2)
    (folder / "file").symlink_to(outside / "IM2")
    (folder / "folder").symlink_to(outside)
    (folder / "device").symlink_to("/dev/zero")
    (folder / "nowhere").symlink_to("gone")
    (folder / "circle").symlink_to("circle")
    (folder / "back").symlink_to(folder)
    (folder / "again").symlink_to("IM1")


def folders_in_circles(folder: Path) -> None:
    """Each of forty folders has two links to the next: a million million paths."""
    for number in range(40):
        (folder / f"{number}").mkdir()
        for name in "ab":
            (folder / f"{number}" / name).symlink_to(f"../{number + 1}")


def deep(folder: Path) -> None:
    """Folders in folders, more than Python may call functions in functions."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        for _ in range(1100):
            os.mkdir("d")  # noqa: PTH102 - the path is longer than paths may be
            os.chdir("d")
        Path("x").write_bytes(b"text")
    finally:
        os.chdir(before)


def latin(folder: Path) -> None:
    name = b"M\xfcller".decode(errors="surrogateescape")
    a_film(folder / name / "IM2", 2)
    (folder / name / "IM3").write_bytes(dicom(film(seed=3), bits=12, SOPInstanceUID="1.2.3.3", PatientID=None))


ATTACKS: tuple[Attack, ...] = (
    Attack(name="pipe", make=with_a_film(pipe), fates={"IM1": IMAGE, "pipe": NOT_A_FILE}),
    Attack(name="socket", make=with_a_film(listening), fates={"IM1": IMAGE, "socket": NOT_A_FILE}),
    Attack(name="links", make=with_a_film(links), fates={
        "IM1": f"{IMAGE}|ignored:duplicate", "again": f"{IMAGE}|ignored:duplicate", "file": OUTSIDE, "folder": OUTSIDE,
        "device": NOT_A_FILE, "nowhere": NOT_A_FILE, "circle": NOT_A_FILE,
    }),
    Attack(name="circles", make=with_a_film(folders_in_circles), fates={"IM1": IMAGE, "39/a": NOT_A_FILE,
                                                                       "39/b": NOT_A_FILE}),
    Attack(name="deep", make=with_a_film(deep), fates={"IM1": IMAGE, f"{'d/' * 1100}x": "ignored:not-an-image"}),
    Attack(name="latin", make=with_a_film(latin), fates={"IM1": IMAGE, "M\ufffdller/IM2": IMAGE,
                                                         "M\ufffdller/IM3": IMAGE}),
)  # fmt: skip
