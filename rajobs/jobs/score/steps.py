"""What score asks, read off the studies' declarations: the filter, the finders of joints, and who fills which table."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import pyarrow as pa

from rajobs import studies
from rajobs.imaging.rows import EXTREMITIES, FILMS, JOINTS, RowKind
from rajobs.learning.judging.calibration import Calibration, combine
from rajobs.learning.study import AnswerColumns, Study
from rajobs.learning.targets import YES
from rajobs.learning.voting import Vote
from rajobs.learning.voting_models import VotingModels
from rajobs.records.tables import schemas
from rajobs.records.tables.table_schema import TableSchema

PART_TABLES = (schemas.FILMS, schemas.EXTREMITIES, schemas.JOINTS, schemas.ULTRASOUND, schemas.LEDGER)
"""The tables that a worker writes for each part, in the order they are put: with the ledger's, the part is done."""

Record = dict[str, Any]
ASSESSABLE = 0.5  # least probability that a row can be judged, from which its other answers count


@dataclass(frozen=True, kw_only=True)
class ScoreSteps:
    """The studies that score asks, by what it does with them."""

    studies: tuple[Study, ...]

    @classmethod
    def of_all_studies(cls) -> "ScoreSteps":
        return cls(studies=tuple(s for s in studies.every() if s.scores is not None or s.points is not None))

    @property
    def names(self) -> list[str]:
        return [study.name for study in self.studies]

    @property
    def filter(self) -> Study | None:
        """The study whose answer decides which films go on."""
        return next((s for s in self.studies if s.scores is not None and s.scores.passes), None)

    @property
    def hand_finder(self) -> Study | None:
        """The study that shows where the hands of a film are, and which side each is."""
        return next((s for s in self.studies if s.points is not None and s.rows is FILMS), None)

    @property
    def joint_finder(self) -> Study | None:
        """The study that shows where the joints of a hand are."""
        return next((s for s in self.studies if s.points is not None and s.rows is EXTREMITIES), None)

    @property
    def scoring(self) -> list[Study]:
        """The studies that score hands, feet and their joints, which --no-scores leaves out."""
        return [*self.filling(EXTREMITIES), *self.filling(JOINTS)]

    def filling(self, rows: RowKind) -> list[Study]:
        """The studies that answer for these rows and fill columns."""
        return [s for s in self.studies if s.rows is rows and s.scores is not None]

    def table(self, schema: TableSchema) -> TableSchema:
        """A table with the columns that studies add to it; parts written before such a study came lack them."""
        added = [
            replace(column, later=True)
            for study in self.studies
            if study.scores is not None and study.scores.table == schema.name
            for column in study.scores.adds
        ]
        *columns, bundles = schema.columns
        return replace(schema, columns=(*columns, *added, bundles)) if added else schema

    @property
    def part_tables(self) -> dict[str, TableSchema]:
        return {schema.name: self.table(schema) for schema in PART_TABLES}

    @property
    def visits(self) -> TableSchema:
        return self.table(schemas.VISITS)


@dataclass(frozen=True, kw_only=True)
class Votes:
    """The votes of the studies that fill one table."""

    studies: tuple[Study, ...]
    by_study: Mapping[str, Mapping[str, Vote]]  # by study, by target
    models: Mapping[str, VotingModels]
    schema: TableSchema

    def each(self) -> Iterator[tuple[Study, AnswerColumns, Vote]]:
        """Every set of columns for which there is a vote."""
        for study in self.studies:
            assert study.scores is not None, study.name
            for columns in study.scores.columns:
                vote = self.by_study.get(study.name, {}).get(columns.target)
                if vote is not None:
                    yield study, columns, vote

    @cached_property
    def calibration(self) -> Calibration:
        """What validation says of all of these models."""
        return combine([self.models[study.name].calibration for study in self.studies])

    @property
    def hashes(self) -> list[str]:
        """The bundles that were asked."""
        return [name for study in self.studies for name in self.models[study.name].hashes]

    def is_assessable(self, study: Study, row: int) -> bool:
        """Whether a study's answers to a row count; they do where nobody can tell."""
        vote = self.by_study.get(study.name, {}).get(study.assessable or "")
        p = vote.probabilities_at(row) if vote is not None else None
        return vote is None or p is None or float(p[vote.target.classes.index(YES)]) >= ASSESSABLE

    def fill(self, row: int) -> Record:
        """One row's columns out of all votes."""
        record: Record = {}
        for study, columns, vote in self.each():
            if self._applies(study, columns, row):
                record |= fill(columns, self.schema, vote, row, several=len(self.models[study.name].models) > 1)
        return record

    def _applies(self, study: Study, columns: AnswerColumns, row: int) -> bool:
        """Whether the answers to a study's other targets let these columns be filled."""
        votes = self.by_study[study.name]
        return all(
            target in votes
            and votes[target].probabilities_at(row) is not None
            and votes[target].target.classes[int(votes[target].answers[row])] == answer
            for target, answer in columns.where.items()
        )


def fill(columns: AnswerColumns, schema: TableSchema, vote: Vote, row: int, *, several: bool = False) -> Record:
    """One row's columns out of one vote; empty if no model can answer the row. `several`: models have voted."""
    p = vote.probabilities_at(row)
    if p is None or float(p.max()) < columns.least_p:
        return {}
    record: Record = {} if columns.p is None else {columns.p: None if vote.by_rule[row] else p.tolist()}
    for name, column in columns.p_of.items():
        record[column] = None if vote.by_rule[row] else float(p[vote.target.classes.index(name)])
    if columns.answer is not None:
        number = int(vote.answers[row])
        is_text = pa.types.is_string(schema.arrow.field(columns.answer).type)
        record[columns.answer] = vote.target.classes[number] if is_text else number
    if columns.disagreement is not None:
        record[columns.disagreement] = float(vote.apart[row]) if several else None
    if columns.dissent is not None:
        record[columns.dissent] = vote.dissent_of_row(row)
    return record
