"""What a reader types about a hand, a film or a scan: the fields of a study, in the method's order."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from rajobs.learning.study import Study
from rajobs.learning.targets import NO, YES
from rajobs.records.anatomy import SCORES, SITES
from rajobs.records.label_consensus import PRESENT

MOST_KEYS = 11
"""Values that have a key each: 0 to 9, and X for ten."""


@dataclass(frozen=True, kw_only=True)
class Field:
    """One thing that a reader types."""

    target: str
    values: tuple[str, ...]
    site: str = ""
    keys: tuple[str, ...] = ()  # for each value; without keys, the mouse chooses
    usual: str | None = None  # what most joints have, for the key that fills a hand
    where: Mapping[str, str] = field(default_factory=dict)  # target -> the value that makes this field appear

    @property
    def column(self) -> str:
        """Its name in a wide table."""
        return f"{self.target}_{self.site}" if self.site else self.target


def fields_of(study: Study, part: str) -> tuple[Field, ...]:
    """The fields of a hand or a foot (`part`), or of a film or a scan if it is empty."""
    if not study.targets:  # a study of places
        return tuple(_field(study, PRESENT, (NO, YES), site.name) for site in SITES.values() if site.part == part)
    targets = [target for target in study.targets if target.name != study.assessable]
    if not study.rows.labels_name_site or not study.rows.cut_by_positions:
        return tuple(_field(study, target.name, target.classes) for target in targets)
    return tuple(
        _field(study, target.name, values, name)
        for name, site in SITES.items()
        if site.part == part
        for target in targets
        if (values := _values_at(target.name, target.classes, name))
    )


def _values_at(target: str, classes: tuple[str, ...], site: str) -> tuple[str, ...]:
    """The scores that the method has at a site: the thumb's IP has no JSN in it."""
    if target not in SCORES:
        return classes
    highest = SITES[site].highest(target)
    in_method = target != SCORES[0] or SITES[site].jsn_counts
    return classes[: highest + 1] if highest is not None and in_method else ()


def _field(study: Study, target: str, values: tuple[str, ...], site: str = "") -> Field:
    columns = study.scores.columns if study.scores is not None else ()
    where = next((each.where for each in columns if each.target == target), {})
    digits = all(value.isdecimal() for value in values)
    keys = [("x" if value == "10" else value) if digits else str(at + 1) for at, value in enumerate(values)]
    usual = YES if target == PRESENT else NO
    return Field(
        target=target, values=values, site=site, where=where,
        keys=tuple(keys) if len(values) <= MOST_KEYS and not where else (),
        usual=usual if site and usual in values else None,
    )  # fmt: skip
