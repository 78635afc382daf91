"""What the runs of a paper's protocol left behind, read back from OUT for its page."""

import io
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rajobs.learning.bundle_description import BundleDescription, find_bundles, read_description
from rajobs.learning.judging.predictions import answers_of
from rajobs.learning.study import Study
from rajobs.papers.protocols import APART, CLEAN, MISSING, PUBLISHED, PaperRun, read_protocol
from rajobs.records.metrics import Answers
from rajobs.records.store import Store
from rajobs.records.tables.parquet_parts import read_file
from rajobs.records.tables.schemas import HISTORY

METRICS, PREDICTIONS, FIGURES, REPORT = "metrics.json", "predictions.parquet", "figures", "report.html"
Measure = Mapping[str, float]
"""A figure's `value`, `low` and `high`; NaN where one is unknown."""


@dataclass(frozen=True, kw_only=True)
class StudyRun:
    """One evaluation: a run of a paper's protocol in one mode."""

    run: PaperRun
    mode: str
    store: Store
    metrics: Mapping[str, Any]  # the content of metrics.json

    @property
    def study(self) -> Study:
        """The study as the recipe answers it; in published mode with the paper's classes."""
        study = self.run.declared_study
        return study.with_printed_classes() if self.mode == PUBLISHED else study

    @property
    def place(self) -> str:
        return f"{self.run.place}/{self.mode}"

    @property
    def budget(self) -> float:
        return float(self.metrics["budget"])

    @property
    def is_whole(self) -> bool:
        """Whether it was trained with the whole budget, so that its figures may stand beside printed ones."""
        return self.budget >= 1

    def figure(self, metric: str) -> Measure | None:
        """A figure of the answers together, by "<target>.<metric id>"."""
        return known_figure(self.metrics["figures"].get(metric))

    def members(self, target: str | None = None) -> list[Mapping[str, Any]]:
        """The networks of the recipe, each alone: member, figures, matrix, classes, validated, by_class."""
        return [each for each in self.metrics["members"] if target in (None, each["target"])]

    def member_figure(self, member: str, metric: str) -> Measure | None:
        """A figure of one network alone, by "<target>.<metric id>"."""
        target, _, name = metric.partition(".")
        same = (each for each in self.members(target) if each["member"] == member)
        return next((known_figure(each["figures"].get(name)) for each in same), None)

    def by_class(self, target: str) -> Mapping[str, Mapping[str, float]]:
        """By class, its statistics against the rest."""
        of_target: Mapping[str, Mapping[str, float]] = self.metrics["classes"].get(target, {})
        return of_target

    def answers(self, target: str) -> Answers | None:
        """The answers to the rows that judge."""
        test = self.predictions.filter(pc.equal(self.predictions.column("split"), "test"))
        return answers_of(self.study.target(target), test)

    @cached_property
    def predictions(self) -> pa.Table:
        """A row for each judged row and target."""
        return pq.read_table(io.BytesIO(self.store.get(f"{self.place}/{PREDICTIONS}")))

    @cached_property
    def _folder(self) -> str:
        """Where the model lies that answered."""
        folders = find_bundles(self.store, f"{self.run.place}/models/{self.run.study}")
        return next(each for each in folders if read_description(self.store, each).hash in self.metrics["bundles"])

    @property
    def bundle(self) -> BundleDescription:
        """The model that answered: its parameters, shape, rows, figures in validation."""
        return read_description(self.store, self._folder)

    @property
    def history(self) -> pa.Table:
        """The curves of its training: a row for each network and epoch."""
        return read_file(self.store, f"{self._folder}/history.parquet", HISTORY)

    @cached_property
    def pictures(self) -> Mapping[str, bytes]:
        """The figures of evaluate's page as PNG, by file name."""
        entries = self.store.list(f"{self.place}/{FIGURES}/")
        return {entry.key.rpartition("/")[2]: self.store.get(entry.key) for entry in entries}


@dataclass(frozen=True, kw_only=True)
class PaperRuns:
    """All runs of a paper: those that are judged, and why others are not."""

    paper: str
    protocol: tuple[PaperRun, ...]
    judged: Mapping[tuple[str, str], StudyRun]  # by run and mode
    missing: Mapping[tuple[str, str], str]  # by run and mode, why the data do not allow it
    apart: Mapping[str, Mapping[str, Any]]  # by run, the content of metrics.json of both modes side by side

    def get(self, name: str, mode: str = PUBLISHED) -> StudyRun | None:
        """The evaluation of a run in a mode, if there is one."""
        return self.judged.get((name, mode))

    def both(self, name: str) -> tuple[StudyRun | None, StudyRun | None]:
        """A run in published and in clean mode."""
        return self.get(name, PUBLISHED), self.get(name, CLEAN)

    @property
    def is_begun(self) -> bool:
        return bool(self.judged or self.missing)

    def leak_worth(self, name: str, metric: str) -> Measure | None:
        """By how much the published model is ahead of the clean one on equal rows, paired; None if not compared."""
        pairs = self.apart.get(name, {}).get("modes", ())
        measured = (each for pair in pairs for each in pair["measured"])
        same = (each for each in measured if f"{each['target']}.{each['metric']}" == metric)
        return next((known_figure(each["lead"][1]) for each in same), None)


def known_figure(figure: Mapping[str, float | None] | None) -> Measure | None:
    """A figure of metrics.json, in which NaN is null."""
    return None if figure is None else {name: math.nan if value is None else value for name, value in figure.items()}


def read_runs(store: Store, paper: str) -> PaperRuns:
    """What lies at OUT of a paper's protocol."""
    protocol = read_protocol(paper)
    judged: dict[tuple[str, str], StudyRun] = {}
    missing: dict[tuple[str, str], str] = {}
    apart: dict[str, Mapping[str, Any]] = {}
    for run in protocol:
        for check in run.checks:
            if store.stat(f"{run.place}/{check}/{REPORT}") is None:
                continue
            content = json.loads(store.get(f"{run.place}/{check}/{METRICS}"))
            if check == APART:
                apart[run.name] = content
            else:
                judged[run.name, check] = StudyRun(run=run, mode=check, store=store, metrics=content)
        if store.stat(f"{run.place}/{MISSING}"):
            reasons = json.loads(store.get(f"{run.place}/{MISSING}"))
            missing |= {(run.name, mode): text for mode, text in reasons.items() if (run.name, mode) not in judged}
    return PaperRuns(paper=paper, protocol=protocol, judged=judged, missing=missing, apart=apart)
