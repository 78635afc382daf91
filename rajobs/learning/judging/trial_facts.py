"""What a trial asks of a model beyond its agreement: changes that can be detected, each reader's totals, and strata."""

from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa

from rajobs.learning.judging.calibration import Calibration
from rajobs.learning.judging.progression import Progression, patients_changes
from rajobs.learning.judging.readers.totals import HandReading, Totals, compare_totals, hand_readings
from rajobs.learning.judging.repeats import DetectableChanges, judge_detectable
from rajobs.learning.judging.strata import Strata, judge_strata
from rajobs.learning.study import Study


@dataclass(frozen=True, kw_only=True)
class TrialFacts:
    """All of it follows from the rows that judge and the calibration."""

    detectable: DetectableChanges | None = None  # of studies whose scores add up to totals
    progressions: tuple[Progression, ...] = ()
    readings: tuple[HandReading, ...] = ()  # drawn, not written
    totals: tuple[Totals, ...] = ()
    strata: Strata = field(default_factory=Strata)

    def to_dict(self) -> dict[str, Any]:
        return {
            "detectable": [each.to_dict() for each in self.detectable.checks] if self.detectable else [],
            "changes": [each.to_dict() for each in self.progressions],
            "reader_totals": [each.to_dict() for each in self.totals],
            "strata": self.strata.to_dict(),
        }


def judge_for_trials(study: Study, predictions: pa.Table, calibration: Calibration) -> TrialFacts:
    """The facts of rows that judge."""
    detectable = judge_detectable(calibration.detectable, predictions) if study.summed else None
    precision = replace(calibration, detectable=detectable.entries if detectable else {}).precision
    readings = hand_readings(predictions)
    return TrialFacts(
        detectable=detectable, progressions=tuple(patients_changes(predictions, precision)), readings=tuple(readings),
        totals=tuple(compare_totals(readings)), strata=judge_strata(study, predictions),
    )  # fmt: skip
