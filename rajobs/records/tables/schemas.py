"""Every table of the contract: its columns with units, its key, and the strict check on writing and reading.

Raise `SCHEMA_VERSION` whenever a column changes: outputs of another schema are refused, not mixed. A column may come
`later` without that where a job writes its table as a whole, or makes the parts without it anew as score does, so that
no table has parts with it and parts without.
"""

from collections.abc import Sequence

import pyarrow as pa

from rajobs.records import anatomy
from rajobs.records.errors import IGNORE_REASONS, REJECT_REASONS, REJECT_STAGES
from rajobs.records.tables.table_schema import Column, TableSchema

SCHEMA_VERSION = 1

TEXT, WHOLE, REAL, BYTES, DAY, FLAG = pa.string(), pa.int32(), pa.float32(), pa.binary(), pa.date32(), pa.bool_()
REALS, TEXTS = pa.list_(pa.float32()), pa.list_(pa.string())


def _c(
    name: str, kind: pa.DataType, meaning: str, *, need: bool = False, values: Sequence[str] = (), later: bool = False
) -> Column:
    return Column(name=name, type=kind, meaning=meaning, null=not need, values=tuple(values) or None, later=later)


MODALITIES = ("CR", "DX", "RG", "US")
BODY_PARTS = (
    "HAND", "WRIST", "FINGER", "THUMB", "FOOT", "TOE", "ANKLE", "ARM", "FOREARM", "ELBOW", "HUMERUS", "SHOULDER",
    "CLAVICLE", "CHEST", "RIB", "STERNUM", "ABDOMEN", "PELVIS", "HIP", "FEMUR", "LEG", "KNEE", "TIBFIB", "CALCANEUS",
    "HEEL", "SKULL", "HEAD", "JAW", "NECK", "CSPINE", "TSPINE", "LSPINE", "SSPINE", "SPINE", "COCCYX", "EXTREMITY",
    "JOINT", "BREAST", "HEART", "WHOLEBODY",
)  # fmt: skip
VIEW_POSITIONS = ("AP", "PA", "LL", "RL", "LLD", "RLD", "LLO", "RLO", "LAT", "OBL")
VIEWS = ("unilateral", "both", "foot", "other")
SIDES, SITES = anatomy.SIDES, tuple(anatomy.SITES)

IMAGE_ID = _c("image_id", TEXT, "keyed hash of the SOP instance UID, or of the bytes, and the frame", need=True)
PATIENT = _c("patient", TEXT, "keyed pseudonym", need=True)

IMAGES = TableSchema(
    name="images",
    key=("image_id",),
    columns=(
        IMAGE_ID,
        PATIENT,
        _c("exam", TEXT, "keyed pseudonym of the DICOM study"),
        _c("series", TEXT, "keyed pseudonym of the DICOM series"),
        _c("derived_from", TEXT, "image_id that a variant or drawing comes from"),
        _c("visit_date", DAY, "date of the exam, shifted by a number of days fixed per patient"),
        _c("sex", TEXT, "patient's sex", values=("F", "M", "O")),
        _c("age_years", WHOLE, "age at the exam in years, 90 and over as 90"),
        _c("modality", TEXT, "DICOM modality", need=True, values=MODALITIES),
        _c("body_part", TEXT, "body part examined, as the header claims", values=BODY_PARTS),
        _c("view_position", TEXT, "view position, as the header claims", values=VIEW_POSITIONS),
        _c("laterality", TEXT, "side, as the header claims", values=(*SIDES, "B", "U")),
        _c("manufacturer", TEXT, "maker of the machine, from a closed list"),
        _c("rows", WHOLE, "pixels", need=True),
        _c("columns", WHOLE, "pixels", need=True),
        _c("bits", WHOLE, "bits of a stored sample", need=True),
        _c("spacing_mm", REAL, "millimetres between pixel centres"),
        _c("window_centre", REAL, "stored values"),
        _c("window_width", REAL, "stored values"),
        _c("frame", WHOLE, "number of the frame, from 0", need=True),
        _c("doppler", FLAG, "colour signal present", need=True),
        _c("preview", BYTES, "PNG, longest side 256, 8 bit", need=True),
        _c("pixels", BYTES, "all pixels at full depth, losslessly coded", need=True),
    ),
)

LABELS = TableSchema(
    name="labels",
    key=(),
    columns=(
        IMAGE_ID,
        _c("side", TEXT, "side of the body", values=SIDES),
        _c("study", TEXT, "study the label is for", need=True),
        _c("target", TEXT, "what is labelled", need=True),
        _c("site", TEXT, "scored site"),
        _c("value", TEXT, "class, score or pixel coordinate", need=True),
        _c("reader", TEXT, "who read it: truth and consensus stand for all", need=True),
        _c("split", TEXT, "the user's own split, which wins", values=("train", "validation", "test")),
    ),
)

FINDINGS = ("symptom", "tender", "swollen", "gs", "pd")
CLINIC_NUMBERS = (
    ("rf", "IU/mL"), ("acpa", "U/mL"), ("esr", "mm/h"), ("onset_days", "days from onset to visit"), ("crp", "mg/dL"),
    ("ana", "titre"), ("mmp3", "ng/mL"), ("wbc", "cells/uL"),
)  # fmt: skip
CLINIC = TableSchema(
    name="clinic",
    key=(),
    columns=(
        PATIENT,
        _c("visit_date", DAY, "shifted like the images'", need=True),
        _c("reader", TEXT, "who examined"),
        *(_c(name, REAL, unit) for name, unit in CLINIC_NUMBERS),
        _c("sex", TEXT, "patient's sex", values=("F", "M", "O")),
        _c("skin", REAL, "skin abnormality, 0 or 1"),
        _c("temperature", REAL, "degrees Celsius"),
        _c("trunk_pain", REAL, "0 or 1"),
        _c("patient_vas", REAL, "mm, 0 to 100"),
        _c("doctor_vas", REAL, "mm, 0 to 100"),
        *(
            _c(f"{side}_{joint}_{finding}", REAL, "0 or 1; 0 to 3 for gs and pd")
            for side in SIDES
            for joint in anatomy.CLINIC_JOINTS
            for finding in FINDINGS
        ),
        _c("ra_clinical", REAL, "therapy begun within two months, 0 or 1"),
        _c("derived_from", TEXT, "patient that a variant comes from"),
    ),
)

REJECTS = TableSchema(
    name="rejects",
    key=("source",),
    columns=(
        _c("source", TEXT, "keyed pseudonym of the object's place", need=True),
        _c("bytes", pa.int64(), "size of the object", need=True),
        _c("stage", TEXT, "where it failed", need=True, values=REJECT_STAGES),
        _c("reason", TEXT, "why", need=True, values=REJECT_REASONS),
        _c("detail", TEXT, "numbers and words of ours, never header text", need=True),
    ),
)

IGNORED = TableSchema(
    name="ignored",
    key=("source",),
    columns=(
        _c("source", TEXT, "keyed pseudonym of the object's place", need=True),
        _c("bytes", pa.int64(), "size of the object", need=True),
        _c("reason", TEXT, "why", need=True, values=IGNORE_REASONS),
    ),
)

OBJECT_PLACES = (
    TableSchema(  # where each image object came from, in pseudonyms: labels by path and duplicates are found by it
        name="places",
        key=("source",),
        columns=(
            _c("source", TEXT, "keyed pseudonym of the object's place in its archive", need=True),
            _c("path", TEXT, "keyed pseudonym of its path alone, as labels name it", need=True),
            _c("bytes", pa.int64(), "size of the object", need=True),
            _c("image_id", TEXT, "of its first frame", need=True),
            _c("frames", WHOLE, "frames kept", need=True),
        ),
    )
)

CROSSWALK = TableSchema(  # written to --ledger only: it names patients
    name="crosswalk",
    key=("source",),
    columns=(
        _c("source", TEXT, "keyed pseudonym of the object's place", need=True),
        _c("path", TEXT, "the object's place", need=True),
        _c("image_ids", TEXTS, "its frames' image_ids, empty when it is no image", need=True),
        _c("patient", TEXT, "keyed pseudonym"),
        _c("patient_id", TEXT, "original"),
        _c("sop_uid", TEXT, "original"),
        _c("exam_uid", TEXT, "original"),
        _c("series_uid", TEXT, "original"),
        _c("exam_date", DAY, "original"),
    ),
)

DISSENT = "share of the models' members whose own answer is another one, 0 to 1; null where only one answers"
BUNDLES = _c("bundles", TEXTS, "hashes of the model bundles that answered", need=True)
HAND = _c("hand", WHOLE, "number of the hand in the film, from 0, left to right", need=True)

FILMS = TableSchema(
    name="films",
    key=("image_id",),
    columns=(
        IMAGE_ID,
        PATIENT,
        _c("visit_date", DAY, "shifted date of the exam"),
        _c("view", TEXT, "what the film shows", values=VIEWS),
        *(_c(f"{view}_p", REAL, "probability, 0 to 1") for view in VIEWS),
        _c("disagreement", REAL, "largest difference between the models' probabilities, 0 to 1"),
        _c("fate", TEXT, "what became of it", need=True, values=("kept", "no-hand", "unreadable", "no-model")),
        BUNDLES,
    ),
)

HANDS = TableSchema(
    name="hands",
    key=("image_id", "hand"),
    columns=(
        IMAGE_ID,
        HAND,
        PATIENT,
        _c("visit_date", DAY, "shifted date of the exam"),
        _c("side", TEXT, "null where it cannot be told", values=SIDES),
        _c("box", REALS, "x0, y0, x1, y1 in the film's pixels"),
        _c("ra_p", REAL, "probability, 0 to 1"),
        _c("stage", WHOLE, "0 to 5"),
        _c("stage_p", REALS, "probability of each stage"),
        _c("jsn_total", WHOLE, "sum over the scored sites of the method"),
        _c("erosion_total", WHOLE, "sum over the scored sites of the method"),
        _c("svdh_total", WHOLE, "JSN and erosion"),
        _c("coverage", REAL, "sites scored of sites in the method, 0 to 1"),
        _c("svdh_lowest", WHOLE, "total with every missing site at 0"),
        _c("svdh_highest", WHOLE, "total with every missing site at its maximum"),
        _c("doubt", REAL, "0 to 1; the report ranks by it"),
        _c("doubt_reasons", TEXTS, "why"),
        BUNDLES,
    ),
)

JOINTS = TableSchema(
    name="joints",
    key=("image_id", "hand", "site"),
    columns=(
        IMAGE_ID,
        HAND,
        _c("site", TEXT, "scored site", need=True, values=SITES),
        PATIENT,
        _c("side", TEXT, "null where it cannot be told", values=SIDES),
        _c("x", REAL, "column in the film's pixels; null: not found"),
        _c("y", REAL, "row in the film's pixels; null: not found"),
        _c("box", REALS, "x0, y0, x1, y1 in the film's pixels"),
        _c("confidence", REAL, "calibrated, 0 to 1"),
        _c("jsn", WHOLE, "0 to 4"),
        _c("jsn_p", REALS, "probability of each score"),
        _c("erosion", WHOLE, "0 to 5, feet 0 to 10"),
        _c("erosion_p", REALS, "probability of each score"),
        BUNDLES,
    ),
)

ULTRASOUND = TableSchema(
    name="ultrasound",
    key=("image_id",),
    columns=(
        IMAGE_ID,
        PATIENT,
        _c("visit_date", DAY, "shifted date of the exam"),
        _c("side", TEXT, "from the labels, else null", values=SIDES, later=True),
        _c("site", TEXT, "from the labels, else null"),
        _c("frame", WHOLE, "number of the frame, from 0", need=True),
        _c("doppler", FLAG, "colour signal present", need=True),
        _c("grade", WHOLE, "power Doppler, 0 to 3; 0 by rule without a colour signal (records/scan_grades.py)"),
        _c("grade_p", REALS, "probability of each grade; null where the rule gave it"),
        _c("grey_grade", WHOLE, "grey scale, 0 to 3; with colour or without", later=True),
        _c("grey_grade_p", REALS, "probability of each grade", later=True),
        BUNDLES,
    ),
)

VISITS = TableSchema(
    name="visits",
    key=("patient", "visit_date"),
    columns=(
        PATIENT,
        _c("visit_date", DAY, "shifted", need=True),
        _c("films", WHOLE, "hand films of the visit", need=True),
        *(_c(f"{side}_svdh_total", WHOLE, "of the hand") for side in SIDES),
        *(_c(f"{side}_stage", WHOLE, "0 to 5") for side in SIDES),
        _c("svdh_change", WHOLE, "both hands' totals less those of the last visit with films"),
        _c("days_since", WHOLE, "days since the last visit with films"),
        _c(
            "doppler_highest",
            WHOLE,
            "highest grade of the visit's scans, 0 to 3, a loop's being one (records/scan_grades.py)",
        ),
        _c("ra_clinical_p", REAL, "probability, 0 to 1"),
        _c("ra_clinical_dissent", REAL, DISSENT, later=True),
        _c(
            "squares_filled",
            WHOLE,
            "joints' gs and pd that the clinic left empty and the visit's scans told; null where it was not asked",
            later=True,
        ),
        BUNDLES,
    ),
)

LEDGER = TableSchema(
    name="ledger",
    key=("image_id",),
    columns=(
        IMAGE_ID,
        _c("fate", TEXT, "what became of the image", need=True),
        _c("why", TEXT, "the step and the reason", need=True),
        _c("hands", WHOLE, "hands found", need=True),
        _c("joints", WHOLE, "joints found", need=True),
    ),
)

PREDICTIONS = TableSchema(
    name="predictions",
    key=("image_id", "hand", "site", "target"),
    columns=(
        IMAGE_ID,
        HAND,
        _c("site", TEXT, "scored site, empty where the row is no joint", need=True),
        _c("side", TEXT, "side of the body; null where it is not known", values=SIDES),
        PATIENT,
        _c("derived_from", TEXT, "image_id that a variant or drawing comes from"),
        _c("target", TEXT, "what is answered", need=True),
        _c("truth", TEXT, "readers' consensus", need=True),
        _c("predicted", TEXT, "the models' answer", need=True),
        _c("p", REALS, "probability of each class"),
        _c("split", TEXT, "part of the split", need=True, values=("train", "validation", "test")),
        _c("dissent", REAL, DISSENT, later=True),
        BUNDLES,
    ),
)

PREPARED = TableSchema(
    name="prepared",
    key=("image_id", "hand", "site"),
    columns=(
        IMAGE_ID,
        HAND,
        _c("site", TEXT, "scored site, empty where the row is no joint", need=True),
        _c("side", TEXT, "null where it cannot be told", values=SIDES),
        PATIENT,
        _c("derived_from", TEXT, "image_id that a variant or drawing comes from"),
    ),
)

SPLIT = TableSchema(
    name="split",
    key=("image_id",),
    columns=(
        IMAGE_ID,
        _c("group", TEXT, "what never crosses a split: patient and lineage, as a pseudonym", need=True),
        _c("split", TEXT, "part", need=True, values=("train", "validation", "test")),
    ),
)

HISTORY = TableSchema(
    name="history",
    key=("member", "epoch"),
    columns=(
        _c("member", TEXT, "network", need=True),
        _c("epoch", WHOLE, "from 1", need=True),
        _c("loss", REAL, "mean training loss", need=True),
        _c("validation_loss", REAL, "mean loss on the validation part"),
        _c("metric", REAL, "the study's headline metric on the validation part"),
        _c("learning_rate", REAL, "at the end of the epoch", need=True),
    ),
)

TABLES = {table.name: table for table in (
    IMAGES, LABELS, CLINIC, REJECTS, IGNORED, OBJECT_PLACES, CROSSWALK, FILMS, HANDS, JOINTS, ULTRASOUND, VISITS,
    LEDGER, PREDICTIONS, PREPARED, SPLIT, HISTORY,
)}  # fmt: skip
