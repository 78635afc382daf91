"""What the reference pages say beside the code: what each table holds, and what to do about each reject."""

from collections.abc import Mapping
from types import MappingProxyType

PURPOSES: Mapping[str, str] = MappingProxyType({
    "images": "One row per film, picture or ultrasound frame that was taken in. Written by `ingest`.",
    "labels": "One row per reading: image, side, study, target, site, value, reader. Written by `ingest --labels`.",
    "clinic": "One row per visit and reader. Written by `ingest --clinic`.",
    "rejects": "One row per file that cannot become an image. Written by `ingest`; see [rejects](rejects.md).",
    "ignored": "One row per file that is no image or a copy of one. Written by `ingest`; see [rejects](rejects.md).",
    "places": "One row per image file: where it lay, in pseudonyms. `ingest` finds labels and copies by it.",
    "crosswalk": "One row per file with its original identifiers. Written to `--ledger` only: it names patients.",
    "readers": "One row per reader of labels or of the clinic. Written to `--ledger` only: it names staff.",
    "notes": "One row per note beside labels. Written to `--ledger` only: it may name anybody.",
    "films": "One row per radiograph: what it shows and what became of it. Written by `score`.",
    "extremities": "One row per hand (or foot) on a film: RA, stage, totals, coverage and doubt. Written by `score`.",
    "joints": "One row per extremity and site, always all sites: place, scores and joint space. Written by `score`.",
    "ultrasound": "One row per ultrasound frame: its grades. Written by `score`.",
    "visits": "One row per patient and day: totals and the clinic's answer. Written by `score`.",
    "changes": "One row per patient, part, measure and pair of visits. Written by `score`, still without rows.",
    "ledger": "One row per image: what `score` did with it, and why.",
    "predictions": "One row per answer beside the truth. Written by `evaluate` as `predictions.parquet`.",
    "end_to_end": "One row per label, with the answer where models placed the row, or none. Written by "
    "`evaluate --end-to-end` as `end_to_end.parquet`.",
    "prepared": "One row per array of a study's view. Written by `train` and `tune` below `DATA/prepared/`.",
    "split": "One row per labelled image or visit: its part of the split. Frozen in `DATA/splits/<study>.parquet`.",
    "history": "One row per network and epoch. Written by `train` as `history.parquet`.",
})  # fmt: skip

REJECT_ADVICE: Mapping[str, str] = MappingProxyType({
    "truncated": "Copy or export the file again: it is shorter than it says. An archive that was cut is best packed "
    "again.",
    "corrupt": "Export the file again from its source. `detail` says which part contradicts another.",
    "unsupported-syntax": "Have the PACS export another transfer syntax, such as Explicit VR Little Endian.",
    "unsupported-picture": "Convert to PNG, TIFF, JPEG, BMP, AVI or MP4.",
    "no-pixels": "Nothing to do: the object has a header alone. Check that the export included pixel data.",
    "too-large": "Check the file: it asks for more memory than any film or loop needs. Split an archive or a loop.",
    "too-deep": "Unpack the outer archives and name the inner ones as SRC.",
    "unsafe-path": "Pack the archive again with relative paths that stay inside it.",
    "encrypted": "Decrypt the archive first; no password is asked for.",
    "decoder-crashed": "Convert the file with another tool, or leave it out: reading it was ended.",
    "unreadable": "Give the job's user permission to read it, or copy it again, and ingest again.",
    "not-grey-or-colour": "Have it exported as grey of 8 or 16 bits, or as colour of 8 bits.",
    "burned-in-annotation": "Look at the films. `--keep-burned-in` takes them in where the text names nobody; it "
    "leaves all other text, too.",
    "no-region": "Give `--ultrasound-regions FILE` (a mask for each machine), or `all` where screens name nobody.",
    "no-modality": "Give `--pictures radiograph` or `--pictures ultrasound`, or labels that say what the files show.",
    "not-a-joint-modality": "Nothing to do for CT, MR and the like; `--max-rejects` may have to be higher. `detail` "
    "names what `--modalities` would take in.",
})  # fmt: skip

IGNORE_MEANINGS: Mapping[str, tuple[str, str]] = MappingProxyType({
    "not-an-image": ("text, reports and other files without pixels", "Nothing."),
    "duplicate": ("the same image is there from another file", "Nothing: one of the copies is kept."),
    "directory-record": ("a DICOMDIR", "Nothing: the files it lists are read for themselves."),
    "not-a-file": ("a pipe, a socket, a device or a link that leads nowhere", "Nothing."),
    "outside-link": ("a link that leads out of SRC", "Name what it leads to as another SRC, or give `--follow-links`."),
})  # fmt: skip
"""Meaning and advice."""
