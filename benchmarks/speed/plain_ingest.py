"""Plain ingest script, as one would write it for flawless archives: a process pool, pydicom and pyarrow.

    python benchmarks/speed/plain_ingest.py SRC OUT

Writes one part per zip into OUT/images, with the columns of `rajobs ingest`. Decoder, coding and preview are those of
the product, called in process; coded values are spelled as in the header. There is no inventory, limit, reject,
duplicate check, resume or ledger; every failure is a traceback.
"""

import io
import multiprocessing
import sys
import zipfile
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pydicom

from rajobs.imaging.coding import encode, preview
from rajobs.imaging.formats import reader
from rajobs.imaging.image import ReadOptions
from rajobs.records.identity import Key, patient_name
from rajobs.records.tables.schemas import IMAGES

BLOBS = ("pixels", "preview")
OTHERS = [name for name in IMAGES.names if name not in BLOBS]


def row(data: bytes, key: Key) -> dict[str, Any]:
    """One film's row."""
    head = pydicom.dcmread(io.BytesIO(data), stop_before_pixels=True)
    image = reader.read_file(data, ReadOptions())[0]
    centre, width = image.window or (None, None)
    spacing = head.get("PixelSpacing") or head.get("ImagerPixelSpacing")
    age = head.get("PatientAge")
    patient = patient_name(head.PatientID, head.get("IssuerOfPatientID"))
    return {
        "image_id": key.pseudonym("image", head.SOPInstanceUID),
        "patient": key.pseudonym("patient", patient),
        "exam": key.pseudonym("uid", head.StudyInstanceUID),
        "series": key.pseudonym("uid", head.SeriesInstanceUID),
        "visit_date": key.shift(patient, datetime.strptime(head.StudyDate, "%Y%m%d").date()),
        "sex": head.get("PatientSex"),
        "age_years": int(age[:3]) if age else None,
        "modality": head.Modality,
        "body_part": head.get("BodyPartExamined"),
        "view_position": head.get("ViewPosition"),
        "laterality": head.get("ImageLaterality"),
        "manufacturer": head.get("Manufacturer"),
        "rows": head.Rows,
        "columns": head.Columns,
        "bits": image.bits,
        "spacing_mm": float(spacing[0]) if spacing else None,
        "window_centre": centre,
        "window_width": width,
        "frame": 0,
        "doppler": False,
        "preview": preview(image.pixels, image.window),
        "pixels": encode(image.pixels),
    }


def convert(archive: Path, out: Path, key: Key) -> int:
    """Convert one zip to one part and return its number of films."""
    with zipfile.ZipFile(archive) as file:
        rows = [row(file.read(name), key) for name in file.namelist()]
    table = pa.Table.from_pylist(rows, schema=IMAGES.arrow)
    compression = {name: "none" if name in BLOBS else "zstd" for name in IMAGES.names}
    place = out / f"{archive.stem}.parquet"
    pq.write_table(table, place, row_group_size=16, compression=compression, use_dictionary=OTHERS,
                   write_statistics=OTHERS)  # fmt: skip
    return len(rows)


def ingest(source: str, out: str) -> int:
    """Convert all zips of a folder, one per core at a time, and return the number of films."""
    images = Path(out) / "images"
    images.mkdir(parents=True)
    work = partial(convert, out=images, key=Key.from_environment())
    with multiprocessing.get_context("fork").Pool() as pool:
        return sum(pool.imap_unordered(work, sorted(Path(source).glob("*.zip"))))


if __name__ == "__main__":
    print(ingest(*sys.argv[1:]))
