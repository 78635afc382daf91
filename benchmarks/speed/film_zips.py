"""Makes zips of drawn films: a few distinct films are drawn, then copied under many names and patients."""

import io
import json
import multiprocessing
import shutil
import time
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
import pydicom
from pydicom.uid import generate_uid

from rajobs.phantoms.packaging.dicom_files import dicom_bytes
from rajobs.phantoms.radiographs.films import sample_film

SYNTAXES = ("explicit", "jpeg-lossless", "explicit", "jpeg-lossless", "implicit",
            "explicit", "jpeg-lossless", "explicit", "jpeg-lossless", "rle")  # fmt: skip
NATIVE = ("explicit", "implicit")
KINDS = ("unilateral", "both", "foot", "other")
DISTINCT = 60  # drawn films; the others are copies of them


def make_archives(work: Path, films: int, size: str | tuple[int, int], films_per_zip: int) -> Path:
    """Folder of zips with this many films in all; a folder from an earlier start is used again."""
    name = size if isinstance(size, str) else "x".join(map(str, size))
    place = work / f"films-{name}-{films}"
    if (place / "made.json").exists():
        return place / "source"
    shutil.rmtree(place, ignore_errors=True)
    for folder in ("drawn", "source"):
        (place / folder).mkdir(parents=True)
    start = time.monotonic()
    with multiprocessing.get_context("fork").Pool() as pool:
        pool.map(partial(draw, place / "drawn", size), range(min(DISTINCT, films)), chunksize=1)
        pool.map(partial(pack, place, films, films_per_zip), range(-(-films // films_per_zip)), chunksize=1)
    (place / "made.json").write_text(json.dumps({"films": films}))
    print(f"made {films} films of {name} in {time.monotonic() - start:.0f} s")
    return place / "source"


def draw(folder: Path, size: str | tuple[int, int], number: int) -> None:
    """Draw one film as a file to copy from."""
    picture = sample_film(np.random.default_rng(number), kind=KINDS[number % len(KINDS)], size=size)
    syntax = SYNTAXES[number % len(SYNTAXES)]
    (folder / f"{number:03d}-{syntax}.dcm").write_bytes(dicom_bytes(picture, seed=0, serial=str(number), syntax=syntax))


def pack(place: Path, films: int, films_per_zip: int, number: int) -> None:
    """Write one zip of copies, each with its own instance and with patients of its own."""
    drawn = [(file.stem[4:], file.read_bytes()) for file in sorted((place / "drawn").iterdir())]
    with zipfile.ZipFile(place / "source" / f"{number:05d}.zip", "w") as archive:
        for film in range(number * films_per_zip, min(films, (number + 1) * films_per_zip)):
            syntax, data = drawn[film % len(drawn)]
            packing = zipfile.ZIP_DEFLATED if syntax in NATIVE else zipfile.ZIP_STORED
            archive.writestr(f"P{film // 8:06d}/IM{film:07d}", renamed(data, film), packing, 1)


def renamed(data: bytes, film: int) -> bytes:
    """A copy of the film under another instance and patient."""
    dataset = pydicom.dcmread(io.BytesIO(data))
    dataset.PatientID = f"P{film // 8:06d}"
    for name, what in (("StudyInstanceUID", film // 4), ("SeriesInstanceUID", film), ("SOPInstanceUID", film)):
        setattr(dataset, name, generate_uid(entropy_srcs=[name, str(what)]))
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    out = io.BytesIO()
    pydicom.dcmwrite(out, dataset)
    return out.getvalue()
