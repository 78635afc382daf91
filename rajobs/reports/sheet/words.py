"""What a reader is shown in words: what a study asks for, what its scores mean, what parts and views are called."""

from collections.abc import Mapping
from types import MappingProxyType

TARGET_WORDS: Mapping[str, str] = MappingProxyType({
    "jsn": "Joint space (JSN)",
    "erosion": "Erosion",
    "stage": "Stage",
    "ra": "Rheumatoid arthritis",
    "view": "What the film shows",
    "kind": "Which part (may be left open)",
    "grade": "Power Doppler",
    "grey_grade": "Grey scale",
    "present": "Place of the joint",
})  # fmt: skip

CLASS_WORDS: Mapping[str, tuple[str, ...]] = MappingProxyType({
    "jsn": (
        "normal", "focal, or doubtful", "general, more than half left", "less than half left, or subluxation",
        "ankylosis, or luxation",
    ),
    "erosion": (
        "none", "discrete", "larger, or two discrete", "over the middle of the bone, or a sum", "sum of its bones",
        "collapse, or a sum", "sum of its bones", "sum of its bones", "sum of its bones", "sum of its bones",
        "both bones collapsed",
    ),
    "stage": ("none", "slight", "definite", "marked", "severe", "mutilating"),
    "ra": ("no", "yes"),
    "view": ("one hand", "both hands", "foot or feet", "something else"),
    "grade": ("no flow", "single spots", "less than half of the synovium", "more than half of the synovium"),
    "grey_grade": ("none", "slight thickening", "to the bones' surface", "beyond the bones' surface"),
    "present": ("not there", "box is right"),
})  # fmt: skip
"""By target, in the order of its classes: after van der Heijde, Larsen (stages) and OMERACT (grades), in short."""

SITE_WORDS: Mapping[str, str] = MappingProxyType({
    "IP": "Thumb IP",
    "RC": "Radiocarpal (RC)",
    "CNL": "Capitate-scaphoid-lunate (CNL)",
    "STT": "Trapezium-scaphoid (STT)",
    "IP1": "Great toe IP",
})  # fmt: skip

PART_WORDS: Mapping[tuple[str, str | None], str] = MappingProxyType({
    ("hand", "L"): "left hand",
    ("hand", "R"): "right hand",
    ("hand", None): "hand, side unknown",
    ("foot", "L"): "left foot",
    ("foot", "R"): "right foot",
    ("foot", None): "foot, side unknown",
})  # fmt: skip


def target_words(target: str) -> str:
    """A target as a reader knows it."""
    return TARGET_WORDS.get(target, target.replace("_", " "))


def class_words(target: str, classes: tuple[str, ...]) -> list[str]:
    """What each class means; a class that speaks for itself, as a kind of film, in its own words."""
    words = CLASS_WORDS.get(target, ())
    return [words[at] if at < len(words) else name.replace("_", " ") for at, name in enumerate(classes)]


def site_words(site: str) -> str:
    """A site's name as a reader knows it."""
    name = SITE_WORDS.get(site, site)
    return name[:1].upper() + name[1:]
