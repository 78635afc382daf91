"""The closed lists of code strings that may leave a header, and the mapping of header values to them."""

import re

from rajobs.imaging.image import OPTIONAL_MODALITIES
from rajobs.records.tables.schemas import BODY_PARTS, MODALITIES, VIEW_POSITIONS

ULTRASOUND = "US"
RADIOGRAPHS = tuple(code for code in MODALITIES if code != ULTRASOUND)
_MODALITY_NAMES = {"DR": "DX"}

OTHER_MODALITIES = (
    *("AR", "AU", "BDUS", "BI", "BMD", "CFM", "CT", "DMS", "DG", "DOC", "DSS", "ECG", "EEG", "EMG", "EPS", "ES"),
    *("FID", "GM", "HC", "HD", "IO", "IOL", "IVOCT", "IVUS", "KER", "KO", "LEN", "LS", "M3D", "MG", "MR", "NM"),
    *("OAM", "OCT", "OP", "OPM", "OPT", "OPTBSV", "OPTENF", "OPV", "OSS", "OT", "PA", "PLAN", "POS", "PR", "PT"),
    *("PX", "REG", "RESP", "RF", "RTDOSE", "RTIMAGE", "RTPLAN", "RTRECORD", "RTSTRUCT", "RWV", "SEG", "SM", "SMR"),
    *("SR", "SRF", "STAIN", "TEXTUREMAP", "TG", "VA", "XA", "XC"),
)

# Those of them whose objects are not images: reports, plans, measurements, annotations.
NO_IMAGES = (
    *("AR", "AU", "DOC", "ECG", "EEG", "EMG", "EPS", "FID", "HC", "HD", "IOL", "KER", "KO", "LEN", "OAM", "PLAN"),
    *("POS", "PR", "REG", "RESP", "RTDOSE", "RTPLAN", "RTRECORD", "RTSTRUCT", "RWV", "SMR", "SR", "SRF", "STAIN"),
    "VA",
)

_MODALITY_OF_CLASS = {
    "1.2.840.10008.5.1.4.1.1.1": "CR",
    "1.2.840.10008.5.1.4.1.1.1.1": "DX",
    "1.2.840.10008.5.1.4.1.1.1.1.1": "DX",
    "1.2.840.10008.5.1.4.1.1.6": "US",
    "1.2.840.10008.5.1.4.1.1.6.1": "US",
    "1.2.840.10008.5.1.4.1.1.3": "US",
    "1.2.840.10008.5.1.4.1.1.3.1": "US",
}
_SECONDARY_CAPTURES = ("1.2.840.10008.5.1.4.1.1.7", *(f"1.2.840.10008.5.1.4.1.1.7.{number}" for number in range(1, 5)))
DIRECTORY_CLASS = "1.2.840.10008.1.3.10"  # of a DICOMDIR

# Other words that headers use for the schema's codes (PS3.16 annex L and common habits).
_BODY_NAMES = {
    **{"HANDS": "HAND", "CARPUS": "WRIST", "WRISTS": "WRIST", "FINGERS": "FINGER", "FEET": "FOOT", "TOES": "TOE"},
    **{"TARSUS": "FOOT", "TIBIA": "TIBFIB", "FIBULA": "TIBFIB", "TIBIAFIBULA": "TIBFIB", "THIGH": "FEMUR"},
    **{"RADIUS": "FOREARM", "ULNA": "FOREARM", "RADIUSULNA": "FOREARM", "SCAPULA": "SHOULDER", "PATELLA": "KNEE"},
    **{"MANDIBLE": "JAW", "TMJ": "JAW", "THORAX": "CHEST", "CERVICALSPINE": "CSPINE", "LUMBARSPINE": "LSPINE"},
    **{"THORACICSPINE": "TSPINE", "SACRUM": "SSPINE", "SIJOINT": "PELVIS", "EXTREMITIES": "EXTREMITY"},
}
_VIEW_NAMES = {"LATERAL": "LAT", "OBLIQUE": "OBL"}
_SIDE_NAMES = {"LEFT": "L", "RIGHT": "R", "BOTH": "B", "BILATERAL": "B"}

_LATERALITIES = ("L", "R", "B", "U")
_SEXES = ("M", "F", "O")

# The first matching pattern counts: a maker's older and longer names come before its short one.
_MANUFACTURERS = (
    (r"sonosite", "SONOSITE"),
    (r"aloka", "ALOKA"),
    (r"carestream", "CARESTREAM"),
    (r"kodak", "KODAK"),
    (r"fuji", "FUJIFILM"),
    (r"agfa", "AGFA"),
    (r"canon", "CANON"),
    (r"toshiba", "TOSHIBA"),
    (r"philips|\bmarconi|\batl\b", "PHILIPS"),
    (r"siemens|acuson", "SIEMENS"),
    (r"samsung|medison", "SAMSUNG"),
    (r"konica|minolta", "KONICA MINOLTA"),
    (r"esaote|biosound", "ESAOTE"),
    (r"mindray|zonare", "MINDRAY"),
    (r"hitachi", "HITACHI"),
    (r"shimadzu", "SHIMADZU"),
    (r"hologic|lorad", "HOLOGIC"),
    (r"supersonic", "SUPERSONIC"),
    (r"swissray", "SWISSRAY"),
    (r"\bdel medical", "DEL MEDICAL"),
    (r"\borigin\b", "ORIGIN"),
    (r"vidar", "VIDAR"),
    (r"ziehm", "ZIEHM"),
    (r"b-?k[ -]medical", "BK"),
    (r"^g\.?\s?e\.?\b|\bge\b|general electric", "GE"),
)


def to_modality(text: str | None, sop_class: str | None) -> str | None:
    """The modality's code, whether it is in a list or not; by the SOP class where the header has none."""
    code = (text or "").strip().upper()
    return _MODALITY_NAMES.get(code, code) if code else _MODALITY_OF_CLASS.get(sop_class or "")


def optional_modality(code: str | None, sop_class: str | None) -> str | None:
    """The name by which `--modalities` takes an object in, or None: one that is named NM must be a CR or DX image."""
    if code is None:
        return "SC" if sop_class in _SECONDARY_CAPTURES else None
    if code == "NM":
        return code if _MODALITY_OF_CLASS.get(sop_class or "") in RADIOGRAPHS else None
    return code if code in OPTIONAL_MODALITIES else None


def modality_of_class(sop_class: str | None) -> str:
    """The modality that an object of another name is stored under: that of its SOP class, else a radiograph's."""
    return _MODALITY_OF_CLASS.get(sop_class or "", "RG")


def _find_code(text: str | None, allowed: tuple[str, ...], synonyms: dict[str, str]) -> str | None:
    code = re.sub(r"[ _\-.]", "", text or "").upper()
    code = synonyms.get(code, code)
    return code if code in allowed else None


def to_body_part(text: str | None) -> str | None:
    """A body part of the closed list, or None."""
    return _find_code(text, BODY_PARTS, _BODY_NAMES)


def to_view_position(text: str | None) -> str | None:
    """A view of the closed list, or None."""
    return _find_code(text, VIEW_POSITIONS, _VIEW_NAMES)


def to_laterality(text: str | None) -> str | None:
    """L, R, B, U or None."""
    return _find_code(text, _LATERALITIES, _SIDE_NAMES)


def to_sex(text: str | None) -> str | None:
    """M, F, O or None."""
    return _find_code(text, _SEXES, {})


def to_manufacturer(text: str | None) -> str | None:
    """A manufacturer of the closed list, whatever its legal form or city, or None."""
    lowercase = (text or "").strip().lower()
    return next((name for pattern, name in _MANUFACTURERS if re.search(pattern, lowercase)), None)
