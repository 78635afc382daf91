"""What every importer makes of a data set: rows of a label file, counts, and checks that name the rows of mistakes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rajobs.imaging.hand_geometry import POSITION_STUDY
from rajobs.learning.targets import YES
from rajobs.records.anatomy import SCORES
from rajobs.records.errors import BadTable
from rajobs.records.label_consensus import CROP
from rajobs.records.labels.label_files import LabelRow, name_rows
from rajobs.records.labels.vocabulary import LabelTarget, Vocabulary, canonical_value

Joint = tuple[str, str]
"""A score of the method (jsn, erosion) and a site."""


@dataclass(frozen=True, kw_only=True)
class ImportedLabels:
    """The labels of a data set, and what it holds in its own words."""

    rows: Sequence[LabelRow]
    counts: Mapping[str, object]


@dataclass(frozen=True, kw_only=True)
class Limb:
    """A hand or foot of a data set, whose pictures get labels; `image` is a path or file name, as ingest knows it."""

    study: str  # that learns the scores
    reader: str
    patient: str
    side: str | None
    split: str | None = None

    def score(self, image: str, joint: Joint, value: str) -> LabelRow:
        """The label of a joint's score."""
        target, site = joint
        return self._row(image, self.study, target, site, value)

    def crop(self, image: str, site: str) -> LabelRow:
        """The label that says that a picture shows this joint alone."""
        return self._row(image, POSITION_STUDY, CROP, site, YES)

    def _row(self, image: str, study: str, target: str, site: str, value: str) -> LabelRow:
        return {
            "image": image, "side": self.side, "study": study, "target": target, "site": site, "value": value,
            "reader": self.reader, "patient": self.patient, "split": self.split,
        }  # fmt: skip


class Mistakes:
    """The mistakes of a file, each with the numbers of the rows that have it."""

    def __init__(self, uri: str, noun: str = "row") -> None:
        self.uri, self.noun = uri, noun
        self.rows: dict[str, list[int]] = {}

    def note(self, number: int, mistake: str) -> None:
        self.rows.setdefault(mistake, []).append(number)

    def raise_first(self) -> None:
        """BadTable with the first mistake, as one line with the rows that have it."""
        for mistake, numbers in self.rows.items():
            raise BadTable(f"{self.uri}, {name_rows(numbers, self.noun)}: {mistake}")


@dataclass(frozen=True, kw_only=True)
class Scores:
    """What scores of joints may be, by the study that learns them."""

    study: str
    targets: Mapping[str, LabelTarget]

    @classmethod
    def of_vocabulary(cls, vocabulary: Vocabulary) -> "Scores":
        return next(cls(study=name, targets=targets) for name, targets in vocabulary.items() if {*SCORES} <= {*targets})

    def check(self, joint: Joint, cell: str, number: int, column: str, mistakes: Mistakes) -> Iterator[str]:
        """The score of a cell, unless it is none of the method's at this joint, which is a mistake."""
        target, site = joint
        allowed = self.targets[target].sites[site]
        value = canonical_value(cell, allowed)
        if value is None:
            mistakes.note(number, f"{column} is none of {', '.join(allowed)}")
        else:
            yield value
