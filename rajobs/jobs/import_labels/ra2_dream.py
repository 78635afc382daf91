"""RA2-DREAM: a row of scores a patient in training.csv, and a picture of each hand and foot (Sun et al. 2022)."""

from collections.abc import Mapping, Sequence

from rajobs.jobs.import_labels.imported import ImportedLabels, Joint, Limb, Mistakes, Scores
from rajobs.records.anatomy import TOE_IP
from rajobs.records.errors import BadTable, StoreError
from rajobs.records.labels.label_files import LabelRow
from rajobs.records.labels.vocabulary import canonical_value
from rajobs.records.store import Store
from rajobs.records.user_tables import check_header, read_text_table

NAME = "ra2-dream"
LICENCE = (
    "RA2-DREAM is given out on Synapse (syn20545111) under its own conditions of use, which bind whoever downloads it"
)
SCORES_FILE = "training.csv"
PATIENT = "Patient_ID"
TOTALS: Mapping[str, tuple[str, ...]] = {
    "Overall_Tol": ("erosion", "jsn"), "Overall_erosion": ("erosion",), "Overall_narrowing": ("jsn",),
}  # fmt: skip
"""Column -> the scores that it is the sum of."""
EMPTY = ("", "NA")

_FINGERS = ("1", "2", "3", "4", "5")
HAND: Mapping[str, Joint] = {
    **{f"mcp_E__{number}": ("erosion", f"MCP{number}") for number in _FINGERS},
    "mcp_E__ip": ("erosion", "IP"),
    **{f"pip_E__{number}": ("erosion", f"PIP{number}") for number in _FINGERS[1:]},
    "wrist_E__mc1": ("erosion", "CMC1"),
    "wrist_E__mul": ("erosion", "trapezium"),
    "wrist_E__nav": ("erosion", "scaphoid"),
    "wrist_E__lunate": ("erosion", "lunate"),
    "wrist_E__radius": ("erosion", "radius"),
    "wrist_E__ulna": ("erosion", "ulna"),
    **{f"mcp_J__{number}": ("jsn", f"MCP{number}") for number in _FINGERS},
    **{f"pip_J__{number}": ("jsn", f"PIP{number}") for number in _FINGERS[1:]},
    "wrist_J__cmc3": ("jsn", "CMC3"),
    "wrist_J__cmc4": ("jsn", "CMC4"),
    "wrist_J__cmc5": ("jsn", "CMC5"),
    "wrist_J__mna": ("jsn", "STT"),
    "wrist_J__capnlun": ("jsn", "CNL"),
    "wrist_J__radcar": ("jsn", "RC"),
}
FOOT: Mapping[str, Joint] = {
    f"mtp_{letter}__{toe}": (target, TOE_IP if toe == "ip" else f"MTP{toe}")
    for letter, target in (("E", "erosion"), ("J", "jsn"))
    for toe in ("ip", *_FINGERS)
}
LIMBS = {"LH": HAND, "RH": HAND, "LF": FOOT, "RF": FOOT}
"""Letters of a limb, side first -> its columns, without these letters."""
COLUMNS: Mapping[str, tuple[str, Joint]] = {
    f"{limb}_{column}": (limb, joint) for limb, columns in LIMBS.items() for column, joint in columns.items()
}
"""The layout: column of training.csv -> the limb, and the score and site."""


def read_ra2_dream(store: Store, scores: Scores) -> ImportedLabels:
    """The labels of the data set below a place; pictures may lie in any folder there, since their names differ."""
    keys = [entry.key for entry in store.list()]
    uri = f"{store.uri}/{_find_scores(store, keys)}"
    table, numbers = read_text_table(uri, "RA2-DREAM")
    _check_columns(uri, table.column_names)
    pictures = {key.rpartition("/")[2] for key in keys}
    mistakes = Mistakes(uri)
    labels: list[LabelRow] = []
    patients: set[str] = set()
    used: set[str] = set()
    right_totals = 0
    for number, row in zip(numbers, table.to_pylist(), strict=True):
        cells = {name: (value or "").strip() for name, value in row.items()}
        patient = cells[PATIENT]
        if not patient or patient in patients:
            mistakes.note(number, f"{PATIENT} is {'that of another row' if patient else 'empty'}")
        patients.add(patient)
        of_row = _labels_of_row(cells, number, scores, mistakes)
        for image in dict.fromkeys(str(label["image"]) for label in of_row):
            if image not in pictures:
                mistakes.note(number, f"there is no picture <{PATIENT}>{image.removeprefix(patient)} in {store.uri}")
            used.add(image)
        labels += of_row
        right_totals += _totals_fit(cells, of_row)
    mistakes.raise_first()
    return ImportedLabels(rows=labels, counts=_count(labels, len(patients), len(used), right_totals))


def _find_scores(store: Store, keys: Sequence[str]) -> str:
    tables = [key for key in keys if key.rpartition("/")[2] == SCORES_FILE]
    if len(tables) != 1:
        raise StoreError(
            f"{store.uri} holds {len(tables) or 'no'} {SCORES_FILE}{'s' if tables else ''}; name the folder with the "
            f"{SCORES_FILE} and the pictures of RA2-DREAM"
        )
    return tables[0]


def _check_columns(uri: str, header: Sequence[str]) -> None:
    check_header(f"the RA2-DREAM file {uri}", header, (PATIENT,), (*TOTALS, *COLUMNS))
    missing = [name for name in (*TOTALS, *COLUMNS) if name not in header]
    if missing:
        more = f" and {len(missing) - 3} more columns" if len(missing) > 3 else ""
        raise BadTable(f"the RA2-DREAM file {uri} lacks {', '.join(missing[:3])}{more}; bring the file as it was given")


def _labels_of_row(cells: Mapping[str, str], number: int, scores: Scores, mistakes: Mistakes) -> list[LabelRow]:
    patient = cells[PATIENT]
    limbs = {name: Limb(study=scores.study, reader=NAME, patient=patient, side=name[0]) for name in LIMBS}
    return [
        limbs[name].score(f"{patient}-{name}.jpg", joint, value)
        for column, (name, joint) in COLUMNS.items()
        if cells[column] not in EMPTY
        for value in scores.check(joint, cells[column], number, column, mistakes)
    ]


def _totals_fit(cells: Mapping[str, str], labels: Sequence[LabelRow]) -> bool:
    """Whether the row's own totals are the sums of its scores."""
    for column, targets in TOTALS.items():
        total = sum(int(label["value"] or 0) for label in labels if label["target"] in targets)
        if canonical_value(cells[column], (str(total),)) is None:
            return False
    return True


def _count(labels: Sequence[LabelRow], patients: int, pictures: int, right_totals: int) -> dict[str, object]:
    erosions = sum(label["target"] == "erosion" for label in labels)
    return {
        "patients": patients, "pictures": pictures, "erosion scores": erosions,
        "narrowing scores": len(labels) - erosions, "empty scores": patients * len(COLUMNS) - len(labels),
        "patients whose totals are the sums of their scores": right_totals,
    }  # fmt: skip
