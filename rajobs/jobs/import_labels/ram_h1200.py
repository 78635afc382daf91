"""RAM-H1200: crops of joints in a folder a hand, and their scores in one JSON file a split (Yang et al. 2026)."""

import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rajobs.jobs.import_labels.imported import ImportedLabels, Joint, Limb, Mistakes, Scores
from rajobs.records.errors import BadTable, StoreError
from rajobs.records.labels.label_files import LabelRow
from rajobs.records.store import Entry, Store

NAME = "ram-h1200"
LICENCE = "RAM-H1200 is under CC BY 4.0: name its authors where you publish what you made of it"
SPLITS = {"train": "train", "val": "validation", "test": "test"}
"""Folder of a split -> the part that it is here."""

_FINGERS = {"T": "1", "I": "2", "M": "3", "R": "4", "S": "5"}  # thumb, index, middle, ring, small
_FINGER_JOINTS = {
    **{f"MCP-{letter}": f"MCP{number}" for letter, number in _FINGERS.items()},
    **{f"PIP-{letter}": f"PIP{number}" for letter, number in _FINGERS.items() if letter != "T"},
}
JOINTS: Mapping[str, Mapping[str, Joint]] = {
    "BE": {
        stem: ("erosion", site)
        for stem, site in {
            **_FINGER_JOINTS, "IP": "IP", "CMC-T": "CMC1", "Tm": "trapezium", "S": "scaphoid", "L": "lunate",
            "R": "radius", "U": "ulna",
        }.items()
    },
    "JSN": {
        stem: ("jsn", site)
        for stem, site in {
            **_FINGER_JOINTS, "CMC-M": "CMC3", "CMC-R": "CMC4", "CMC-S": "CMC5", "STT": "STT", "SC": "CNL", "SR": "RC",
        }.items()
    },
}  # fmt: skip
"""The layout: kind of score -> name of a crop, without its ending -> the score and site. BE is bone erosion."""
_SCORES_FILE = re.compile(
    r"(?P<folder>(?:.*/)?SvdH_(?P<kind>BE|JSN)_Scoring/(?P<split>[^/]+))/_annotation_(?:be|jsn)_scores\.json"
)
_CROP = re.compile(r"(?:.*/)?SvdH_(?:BE|JSN)_Scoring/[^/]+/[^/]+/[^/]+\.bmp")
_HAND = re.compile(r"(?P<patient>.+)_(?P<side>[LR])")
"""A hand's folder: the case, which is one patient's, and the side."""


@dataclass(frozen=True, kw_only=True)
class _ScoresFile:
    """The scores of one kind and split, and where their crops lie."""

    key: str
    folder: str
    kind: str  # BE | JSN
    split: str


def read_ram_h1200(store: Store, scores: Scores) -> ImportedLabels:
    """The labels of the data set below a place; each crop is a row of joints, in the part that the data set has."""
    entries = {entry.key: entry for entry in store.list()}
    files = _find_files(store, entries)
    labels: list[LabelRow] = []
    crops: dict[tuple[str, str, str], str] = {}  # the first crop of a split's hand and site
    hands: dict[str, set[str]] = {file.split: set() for file in files}
    used: set[str] = set()
    for file in files:
        mistakes = Mistakes(f"{store.uri}/{file.key}", noun="image")
        for number, (image, by_joint) in enumerate(_read_scores(store, file.key).items(), 1):
            hand = image.rpartition(".")[0] or image
            hands[file.split].add(hand)
            limb = _limb(scores.study, hand, file.split)
            for stem, joint, value in _scores_of_hand(by_joint, file.kind, number, scores, mistakes):
                key = f"{file.folder}/{hand}/{stem}.bmp"
                if key not in entries:
                    mistakes.note(number, f"there is no crop {stem}.bmp in the folder of this image")
                    continue
                used.add(key)
                first = crops.setdefault((file.split, hand, joint[1]), key)
                labels += _labels_of_crop(store, entries[first], entries[key], limb, joint, value)
        mistakes.raise_first()
    return ImportedLabels(rows=labels, counts=_count(labels, used, hands, entries))


def _find_files(store: Store, keys: Iterable[str]) -> list[_ScoresFile]:
    matches = [match for key in keys if (match := _SCORES_FILE.fullmatch(key))]
    if not matches:
        raise StoreError(
            f"{store.uri} holds no SvdH_BE_Scoring or SvdH_JSN_Scoring with scores of RAM-H1200; name the folder that "
            "has them, such as SvdH_Scoring"
        )
    for match in matches:
        if match["split"] not in SPLITS:
            raise BadTable(f"{store.uri}/{match[0]} lies in no folder of a split: {', '.join(SPLITS)}")
    return [_ScoresFile(key=m[0], folder=m["folder"], kind=m["kind"], split=m["split"]) for m in matches]


def _read_scores(store: Store, key: str) -> Mapping[str, Any]:
    try:
        scores = json.loads(store.get(key))
    except ValueError:
        scores = None
    if not isinstance(scores, dict) or not all(isinstance(of_hand, dict) for of_hand in scores.values()):
        raise BadTable(f"{store.uri}/{key} is no JSON of images with their scores by joint")
    return scores


def _scores_of_hand(
    by_joint: Mapping[str, Any], kind: str, number: int, scores: Scores, mistakes: Mistakes
) -> Iterator[tuple[str, Joint, str]]:
    """The crop, joint and score of each entry of one hand."""
    for name, score in by_joint.items():
        stem = name.removeprefix(f"{kind}_")
        joint = JOINTS[kind].get(stem) if stem != name else None
        if joint is None:
            mistakes.note(number, f"a joint that is none of {', '.join(f'{kind}_{each}' for each in JOINTS[kind])}")
        elif score is not None:
            for value in scores.check(joint, str(score), number, name, mistakes):
                yield stem, joint, value


def _labels_of_crop(store: Store, first: Entry, crop: Entry, limb: Limb, joint: Joint, value: str) -> list[LabelRow]:
    """A score, and that its picture is a crop. Ingest keeps one of two equal files, the first, and it gets both."""
    if first.key != crop.key and first.size == crop.size and store.get(first.key) == store.get(crop.key):
        return [limb.score(first.key, joint, value)]
    return [limb.score(crop.key, joint, value), limb.crop(crop.key, joint[1])]


def _limb(study: str, hand: str, split: str) -> Limb:
    match = _HAND.fullmatch(hand)
    patient, side = (match["patient"], match["side"]) if match else (hand, None)
    return Limb(study=study, reader=NAME, patient=patient, side=side, split=SPLITS[split])


def _count(
    labels: Collection[LabelRow], crops: Collection[str], hands: Mapping[str, Collection[str]], keys: Iterable[str]
) -> dict[str, object]:
    scores = Counter(label["target"] for label in labels)
    files = {key for key in keys if _CROP.fullmatch(key)}
    return {
        **{f"hands of {split}": len(hands[split]) for split in SPLITS if split in hands},
        "patients": len({label["patient"] for label in labels}), "crops": len(crops),
        "erosion scores": scores["erosion"], "narrowing scores": scores["jsn"],
        "crops without a score": len(files - set(crops)),
    }  # fmt: skip
