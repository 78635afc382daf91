"""Every table of the contract: its columns with their units and closed lists, and its key.

Raise `SCHEMA_VERSION` whenever a column changes: outputs of another schema are refused, not mixed. A column can be
added as `later` (table_schema.Column) without a new version if no table can have parts with it and parts without it:
because its job writes the table whole, or writes the parts that lack it again (parquet_parts.lacks_columns), as score
does; or if null is a right answer, as for `places`.
"""

from collections.abc import Iterator
from dataclasses import replace

import pyarrow as pa

from rajobs.records import anatomy
from rajobs.records.errors import IGNORE_REASONS, REJECT_REASONS, REJECT_STAGES
from rajobs.records.tables.table_schema import Column, TableSchema
from rajobs.records.tables.table_schema import column as _column

SCHEMA_VERSION = 2

TEXT, WHOLE, REAL, BYTES, DAY, FLAG = pa.string(), pa.int32(), pa.float32(), pa.binary(), pa.date32(), pa.bool_()
REALS, WHOLES, TEXTS = pa.list_(pa.float32()), pa.list_(pa.int32()), pa.list_(pa.string())

MODALITIES = ("CR", "DX", "RG", "US")
SPLITS = ("train", "validation", "test")
SPACING_PLANES = ("detector", "patient")
VIEW_POSITIONS = ("AP", "PA", "LL", "RL", "LLD", "RLD", "LLO", "RLO", "LAT", "OBL")
VIEWS = ("unilateral", "both", "foot", "other")
SIDES, PARTS, SITES, BODY_PARTS = anatomy.SIDES, anatomy.PARTS, tuple(anatomy.SITES), anatomy.BODY_PARTS
EXTREMITIES_OF_A_PATIENT = tuple(f"{side}_{part}" for part in PARTS for side in SIDES)

IMAGE_ID = _column("image_id", TEXT, "keyed hash of SOP instance UID, or of the bytes, and the frame", required=True)
PATIENT = _column("patient", TEXT, "keyed pseudonym", required=True)

IMAGES = TableSchema(
    name="images",
    key=("image_id",),
    columns=(
        IMAGE_ID,
        PATIENT,
        _column("exam", TEXT, "keyed pseudonym of the DICOM study"),
        _column("series", TEXT, "keyed pseudonym of the DICOM series"),
        _column("derived_from", TEXT, "image_id that a variant or drawing was made from"),
        _column("visit_date", DAY, "date of the exam, shifted by a number of days fixed per patient"),
        _column("sex", TEXT, "patient's sex", values=("F", "M", "O")),
        _column("age_years", WHOLE, "age at the exam in years, 90 and over as 90"),
        _column("modality", TEXT, "DICOM modality", required=True, values=MODALITIES),
        _column("body_part", TEXT, "body part examined, by the header", values=BODY_PARTS),
        _column("view_position", TEXT, "view position, by the header", values=VIEW_POSITIONS),
        _column("laterality", TEXT, "side, by the header", values=(*SIDES, "B", "U")),
        _column("manufacturer", TEXT, "maker of the machine, from a closed list"),
        _column("centre", TEXT, "where the image comes from, in the user's own word (`ingest --centre`)"),
        _column("rows", WHOLE, "pixels", required=True),
        _column("columns", WHOLE, "pixels", required=True),
        _column("bits", WHOLE, "bits of a stored sample", required=True),
        _column("spacing_mm", REAL, "millimetres between pixel centres"),
        _column("spacing_plane", TEXT, "measured at the detector, or in the patient", values=SPACING_PLANES),
        _column("window_centre", REAL, "stored values"),
        _column("window_width", REAL, "stored values"),
        _column("frame", WHOLE, "number of the frame, from 0", required=True),
        _column("doppler", FLAG, "colour signal present", required=True),
        _column("preview", BYTES, "PNG, longest side 256, 8 bit", required=True),
        _column("pixels", BYTES, "all pixels at full depth, losslessly coded", required=True),
    ),
)

LABELS = TableSchema(
    name="labels",
    key=(),
    columns=(
        IMAGE_ID,
        _column("side", TEXT, "side of the body", values=SIDES),
        _column("study", TEXT, "study the label is for", required=True),
        _column("target", TEXT, "what is labelled", required=True),
        _column("site", TEXT, "scored site, or the joint of a scan; from a closed list"),
        _column("value", TEXT, "class, score or pixel coordinate", required=True),
        _column("reader", TEXT, "who read it, a keyed pseudonym, or truth, consensus or adjudicated", required=True),
        _column("split", TEXT, "part of the split that the user has chosen; it wins", values=SPLITS),
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
        _column("visit_date", DAY, "shifted like the images' dates", required=True),
        _column("reader", TEXT, "who examined, a keyed pseudonym"),
        *(_column(name, REAL, unit) for name, unit in CLINIC_NUMBERS),
        _column("sex", TEXT, "patient's sex", values=("F", "M", "O")),
        _column("skin", REAL, "skin abnormality, 0 or 1"),
        _column("temperature", REAL, "degrees Celsius"),
        _column("trunk_pain", REAL, "0 or 1"),
        _column("patient_vas", REAL, "mm, 0 to 100"),
        _column("doctor_vas", REAL, "mm, 0 to 100"),
        *(
            _column(f"{side}_{joint}_{finding}", REAL, "0 or 1; 0 to 3 for gs and pd")
            for side in SIDES
            for joint in anatomy.CLINIC_JOINTS
            for finding in FINDINGS
        ),
        _column("ra_clinical", REAL, "therapy begun within two months, 0 or 1"),
        _column("derived_from", TEXT, "patient that a variant was made from"),
    ),
)

REJECTS = TableSchema(
    name="rejects",
    key=("source",),
    columns=(
        _column("source", TEXT, "keyed pseudonym of the object's place", required=True),
        _column("bytes", pa.int64(), "size of the object", required=True),
        _column("stage", TEXT, "where it failed", required=True, values=REJECT_STAGES),
        _column("reason", TEXT, "why", required=True, values=REJECT_REASONS),
        _column("detail", TEXT, "numbers and fixed words, never header text", required=True),
    ),
)

IGNORED = TableSchema(
    name="ignored",
    key=("source",),
    columns=(*REJECTS.columns[:2], _column("reason", TEXT, "why", required=True, values=IGNORE_REASONS)),
)

# Where each image object came from, in pseudonyms. Ingest looks up here what labels name by path, and duplicates.
OBJECT_PLACES = TableSchema(
    name="places",
    key=("source",),
    columns=(
        _column("source", TEXT, "keyed pseudonym of the object's place in its archive", required=True),
        _column("path", TEXT, "keyed pseudonym of its path alone, as labels name it", required=True),
        Column(name="name", type=TEXT, meaning="keyed pseudonym of its file name, as labels may name it", later=True),
        _column("bytes", pa.int64(), "size of the object", required=True),
        _column("image_id", TEXT, "image_id of its first frame", required=True),
        _column("frames", WHOLE, "frames kept", required=True),
        Column(name="blanked", type=WHOLE, meaning="boxes of burned-in text blanked in its pixels", later=True),
    ),
)

# Written to --ledger only, because it names patients.
CROSSWALK = TableSchema(
    name="crosswalk",
    key=("source",),
    columns=(
        _column("source", TEXT, "keyed pseudonym of the object's place", required=True),
        _column("path", TEXT, "the object's place", required=True),
        _column("image_ids", TEXTS, "image_ids of its frames, empty if it is no image", required=True),
        _column("patient", TEXT, "keyed pseudonym"),
        _column("patient_id", TEXT, "original; 1234^^^HOSPITAL where the header names the issuer of the ID"),
        _column("sop_uid", TEXT, "original"),
        _column("exam_uid", TEXT, "original"),
        _column("series_uid", TEXT, "original"),
        _column("exam_date", DAY, "original"),
    ),
)

_READER = _column("reader", TEXT, "keyed pseudonym, as in labels and clinic", required=True)  # staff: in --ledger only
READERS = TableSchema(name="readers", key=(), columns=(_READER, _column("name", TEXT, "original", required=True)))

# Written to --ledger only, because it may name anybody.
_NOTE = _column("note", TEXT, "free text that stood beside a label", required=True)
NOTES = TableSchema(name="notes", key=(), columns=(IMAGE_ID, _READER, _NOTE))

DISSENT = "share of the models' members whose own answer is another one, 0 to 1; null if there is one member"
APART = "largest difference between two models' expected scores, as a share of their range; null for a single model"
BUNDLES = _column("bundles", TEXTS, "hashes of the bundles that answered; see the manifest of score", required=True)
EXTREMITY = _column("extremity", WHOLE, "number of the hand or foot in the film, from 0, left to right", required=True)
MEASURES = {"jsn": "JSN", "erosion": "erosion", "svdh": "JSN and erosion"}
"""The totals of the Sharp/van der Heijde method."""


def _totals(of: str = "") -> tuple[Column, ...]:
    """Sums of scores with coverage and bounds; `of` begins the columns' names."""
    return (
        *(_column(f"{of}{name}_total", WHOLE, f"{what}: sum over the scored sites") for name, what in MEASURES.items()),
        _column(f"{of}coverage", REAL, "share of the method's sites that were scored, 0 to 1"),
        _column(f"{of}svdh_lowest", WHOLE, "total with every missing or not assessable site at 0"),
        _column(f"{of}svdh_highest", WHOLE, "total with every missing or not assessable site at its maximum"),
    )


def _expected_totals() -> Iterator[Column]:
    for name, what in MEASURES.items():
        yield _column(f"{name}_expected", REAL, f"{what}: expected total of the scored sites")
        yield _column(f"{name}_expected_low", REAL, "lower end of its 90 % interval")
        yield _column(f"{name}_expected_high", REAL, "upper end of its 90 % interval")


FILMS = TableSchema(
    name="films",
    key=("image_id",),
    columns=(
        IMAGE_ID,
        PATIENT,
        _column("visit_date", DAY, "shifted date of the exam"),
        _column("view", TEXT, "what the film shows", values=VIEWS),
        *(_column(f"{view}_p", REAL, "probability, 0 to 1") for view in VIEWS),
        _column("kind", TEXT, "what a film of view other seems to be; null where unsure", values=anatomy.KINDS),
        _column("disagreement", REAL, "largest difference between the models' probabilities, 0 to 1"),
        _column("fate", TEXT, "what became of it", required=True, values=("kept", "no-hand", "no-model")),
        BUNDLES,
    ),
)

EXTREMITIES = TableSchema(
    name="extremities",
    key=("image_id", "extremity"),
    columns=(
        IMAGE_ID,
        EXTREMITY,
        PATIENT,
        _column("visit_date", DAY, "shifted date of the exam"),
        _column("part", TEXT, "what it is", required=True, values=PARTS),
        _column("side", TEXT, "null where it cannot be told", values=SIDES),
        _column("box", REALS, "x0, y0, x1, y1 in the film's pixels"),
        _column("ra_p", REAL, "probability, 0 to 1; hands only"),
        _column("stage", WHOLE, "0 to 5; hands only"),
        _column("stage_p", REALS, "probability of each stage"),
        *_totals(),
        *_expected_totals(),
        _column("doubt", REAL, "0 to 1; the report ranks by it"),
        _column("doubt_reasons", TEXTS, "why"),
        BUNDLES,
    ),
)

JOINTS = TableSchema(
    name="joints",
    key=("image_id", "extremity", "site"),
    columns=(
        IMAGE_ID,
        EXTREMITY,
        _column("site", TEXT, "scored site", required=True, values=SITES),
        PATIENT,
        _column("side", TEXT, "null where it cannot be told", values=SIDES),
        _column("x", REAL, "column in the film's pixels; null: not found"),
        _column("y", REAL, "row in the film's pixels; null: not found"),
        _column("box", REALS, "x0, y0, x1, y1 in the film's pixels"),
        _column("confidence", REAL, "calibrated, 0 to 1"),
        _column("assessable_p", REAL, "probability that the joint can be scored, 0 to 1; below a half it has no score"),
        _column("jsn", WHOLE, "0 to 4"),
        _column("jsn_p", REALS, "probability of each score"),
        _column("jsn_set", WHOLES, "conformal set: the scores that hold the true one with 90 % probability"),
        _column("erosion", WHOLE, "0 to 5, feet 0 to 10"),
        _column("erosion_p", REALS, "probability of each score"),
        _column("erosion_set", WHOLES, "conformal set: the scores that hold the true one with 90 % probability"),
        _column("jsw_px", REAL, "mean joint space width in the film's pixels"),
        _column("jsw_mm", REAL, "joint space width in millimetres of spacing_plane; null without spacing_mm"),
        _column("jsw_confidence", REAL, "0 to 1"),
        BUNDLES,
    ),
)

ULTRASOUND = TableSchema(
    name="ultrasound",
    key=("image_id",),
    columns=(
        IMAGE_ID,
        PATIENT,
        _column("visit_date", DAY, "shifted date of the exam"),
        _column("side", TEXT, "from the labels, else null", values=SIDES),
        _column("site", TEXT, "from the labels, else null"),
        _column("frame", WHOLE, "number of the frame, from 0", required=True),
        _column("doppler", FLAG, "colour signal present", required=True),
        _column("grade", WHOLE, "power Doppler, 0 to 3; 0 by rule without a colour signal (records/scan_grades.py)"),
        _column("grade_p", REALS, "probability of each grade; null where the rule decided"),
        _column("grey_grade", WHOLE, "grey scale, 0 to 3; with or without a colour signal"),
        _column("grey_grade_p", REALS, "probability of each grade"),
        BUNDLES,
    ),
)

VISITS = TableSchema(
    name="visits",
    key=("patient", "visit_date"),
    columns=(
        PATIENT,
        _column("visit_date", DAY, "shifted", required=True),
        _column("films", WHOLE, "films of the visit that show hands or feet", required=True),
        *(column for extremity in EXTREMITIES_OF_A_PATIENT for column in _totals(f"{extremity}_")),
        *_totals(),
        *(_column(f"{side}_hand_stage", WHOLE, "0 to 5") for side in SIDES),
        _column("days_since", WHOLE, "days since the last visit with films"),
        _column("doppler_highest", WHOLE, "highest grade of the visit's scans, 0 to 3; a loop has one grade"),
        _column("ra_clinical_p", REAL, "probability, 0 to 1"),
        _column("ra_clinical_dissent", REAL, DISSENT),
        _column("squares_filled", WHOLE, "joints' gs and pd that the clinic left empty and the visit's scans filled"),
        BUNDLES,
    ),
)

CHANGING_PARTS = (*EXTREMITIES_OF_A_PATIENT, "all")
CHANGES = TableSchema(
    name="changes",
    key=("patient", "part", "measure", "since", "visit_date"),
    columns=(
        PATIENT,
        _column("part", TEXT, "a hand, a foot, or all of the patient's", required=True, values=CHANGING_PARTS),
        _column("measure", TEXT, "what changes; jsw is the joint space", required=True, values=(*MEASURES, "jsw")),
        _column("since", TEXT, "visit that it is compared with", required=True, values=("before", "first")),
        _column("visit_date", DAY, "later visit, shifted", required=True),
        _column("since_date", DAY, "earlier visit, shifted", required=True),
        _column("days", WHOLE, "days between the two", required=True),
        _column("sites", WHOLE, "sites that were scored or measured at both", required=True),
        _column("change", REAL, "of the likeliest scores over these sites, summed; of the joint space the mean in mm"),
        _column("expected_change", REAL, "of the expected scores over these sites"),
        _column("expected_change_low", REAL, "lower end of its 90 % interval"),
        _column("expected_change_high", REAL, "upper end of its 90 % interval"),
        _column("change_per_year", REAL, "the change in 365.25 days, of the expected scores where there are some"),
        _column("detectable_change", REAL, "smallest detectable change over these sites"),
        _column("beyond_detectable", FLAG, "whether the change is larger than that, up or down"),
        BUNDLES,
    ),
)

LEDGER = TableSchema(
    name="ledger",
    key=("image_id",),
    columns=(
        IMAGE_ID,
        _column("fate", TEXT, "what became of the image", required=True),
        _column("why", TEXT, "the step and the reason", required=True),
        _column("extremities", WHOLE, "hands and feet found", required=True),
        _column("joints", WHOLE, "joints found", required=True),
    ),
)

_ROW = (
    IMAGE_ID,
    EXTREMITY,
    _column("site", TEXT, "scored site, empty where the row is no joint", required=True),
    _column("side", TEXT, "side of the body; null where it cannot be told", values=SIDES),
    PATIENT,
    _column("derived_from", TEXT, "image_id that a variant or drawing was made from"),
)
ROW_FACTS = ("visit_date", "sex", "age_years", "view_position", "manufacturer", "centre")
"""What the predictions repeat of the images table."""
PREDICTIONS = TableSchema(
    name="predictions",
    key=("image_id", "extremity", "site", "target"),
    columns=(
        *_ROW,
        _column("target", TEXT, "what is predicted", required=True),
        _column("truth", TEXT, "readers' consensus", required=True),
        _column("predicted", TEXT, "the models' answer", required=True),
        _column("p", REALS, "probability of each class"),
        _column("split", TEXT, "part of the split", required=True, values=SPLITS),
        _column("dissent", REAL, DISSENT),
        replace(_column("apart", REAL, APART), later=True),
        BUNDLES,
        *(replace(each, later=True) for each in IMAGES.columns if each.name in ROW_FACTS),
        Column(name="readers", type=TEXTS, meaning="who read the row, as in the labels", later=True),
        Column(name="readings", type=TEXTS, meaning="what each of them says, in the same order", later=True),
    ),
)

END_TO_END = TableSchema(
    name="end_to_end",
    key=("image_id", "side", "site", "target"),
    columns=(
        *(replace(each, null=each.null or each.name in ("extremity", "predicted")) for each in PREDICTIONS.columns),
        _column("confidence", REAL, "of the model in the joint's place, 0 to 1; null where no model placed it"),
        _column("distance", REAL, "from the label's place to the models', in joint widths; null without one of them"),
    ),
)

PREPARED = TableSchema(name="prepared", key=("image_id", "extremity", "site"), columns=_ROW)

SPLIT = TableSchema(
    name="split",
    key=("image_id",),
    columns=(
        IMAGE_ID,
        _column("group", TEXT, "patients that stay in one part: linked by lineage, as a pseudonym", required=True),
        _column("split", TEXT, "part", required=True, values=SPLITS),
    ),
)

HISTORY = TableSchema(
    name="history", key=("member", "epoch"), columns=(
        _column("member", TEXT, "network", required=True),
        _column("epoch", WHOLE, "from 1", required=True),
        _column("loss", REAL, "mean training loss", required=True),
        _column("validation_loss", REAL, "mean loss on the validation part"),
        _column("metric", REAL, "the study's headline metric on the validation part; of another target if it must be"),
        _column("learning_rate", REAL, "at the end of the epoch", required=True),
        replace(_column("accuracy", REAL, "share of right answers to training rows as they were shown"), later=True),
        replace(_column("validation_accuracy", REAL, "share of right answers on the validation part"), later=True),
    ),
)  # fmt: skip

TABLES = {table.name: table for table in (
    IMAGES, LABELS, CLINIC, REJECTS, IGNORED, OBJECT_PLACES, CROSSWALK, READERS, NOTES, FILMS, EXTREMITIES, JOINTS,
    ULTRASOUND, VISITS, CHANGES, LEDGER, PREDICTIONS, END_TO_END, PREPARED, SPLIT, HISTORY,
)}  # fmt: skip
