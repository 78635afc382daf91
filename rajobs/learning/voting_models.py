"""The models of one study, which answer together, and the rows that each learnt from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np

from rajobs.imaging.rows import Row
from rajobs.learning.bundle import Images, Model
from rajobs.learning.bundle_description import find_bundles, read_description
from rajobs.learning.judging.calibration import Calibration, combine
from rajobs.learning.samples.row_arrays import ViewRequest
from rajobs.learning.study import Array, Study
from rajobs.learning.voting import Ballot, Vote, combine_votes
from rajobs.records.store import open_store

BundleLocation = tuple[str, str]
"""The URI of a place of models, and the bundle's folder in it."""


def list_bundles(uri: str, study: str) -> list[BundleLocation]:
    """The locations of a study's bundles at a place."""
    return [(uri, folder) for folder in find_bundles(open_store(uri), study)]


@dataclass(frozen=True, kw_only=True)
class VotingModels:
    """A study's models, loaded and ready to answer."""

    study: Study
    models: tuple[Model, ...]  # those that answer targets
    finders: tuple[Model, ...]  # those that show points
    learned_rows: tuple[Mapping[str, Mapping[str, int]], ...]  # per model: rows it learnt from, by target and site
    calibration: Calibration = field(default_factory=Calibration)

    @classmethod
    def load(cls, study: Study, bundles: Sequence[BundleLocation]) -> "VotingModels":
        loaded = [
            (Model.load(open_store(uri), folder, study), read_description(open_store(uri), folder))
            for uri, folder in dict.fromkeys(bundles)
        ]
        answering = [(model, description) for model, description in loaded if model.answers_targets]
        return cls(
            study=study,
            models=tuple(model for model, _ in answering),
            finders=tuple(model for model, _ in loaded if model.shows_points),
            learned_rows=tuple(description.learned for _, description in answering),
            calibration=combine([description.calibration for _, description in answering]),
        )

    @property
    def hashes(self) -> list[str]:
        return list(dict.fromkeys(model.hash for model in (*self.models, *self.finders)))

    def view_requests(self, rows: Sequence[Row], models: Sequence[Model] | None = None) -> dict[str, ViewRequest]:
        """The views to draw for the models, each distinct one once."""
        return {
            self._view_name(model): ViewRequest(view=self.study.view, settings=model.recipe.view, rows=rows)
            for model in (self.models if models is None else models)
        }

    def arrays_for(self, model: Model, drawn: Mapping[str, Array]) -> Images:
        """The arrays drawn for a model, as (n, channels, rows, columns)."""
        arrays = drawn[self._view_name(model)]
        channels_first = np.ascontiguousarray(arrays.transpose(0, 3, 1, 2)) if arrays.ndim == 4 else arrays[:, None]
        return cast(Images, channels_first)

    def vote(self, rows: Sequence[Row], drawn: Mapping[str, Array]) -> dict[str, Vote]:
        """By target, all models' answers to the rows; empty if there is no model or no row.

        A model does not vote on sites that it never learnt from.
        """
        if not self.models or not rows:
            return {}
        sites = [row.site for row in rows]
        kinds = self.study.kind_numbers(sites)
        ballots: dict[str, list[Ballot]] = {}
        for model, learned_rows in zip(self.models, self.learned_rows):
            answers, votes = model.predict_with_votes(self.arrays_for(model, drawn), kinds)
            for name, (p, answer) in answers.items():
                known = np.array([site in learned_rows[name] for site in sites])
                ballot = Ballot(
                    p=np.where(known[:, None], p, np.nan), answers=answer, member_votes=votes[name],
                    ordered=model.answered_targets[name].ordered,
                )  # fmt: skip
                ballots.setdefault(name, []).append(ballot)
        return {
            target.name: combine_votes(target, ballots[target.name])
            for target in self.study.targets
            if target.name in ballots
        }

    def _view_name(self, model: Model) -> str:
        return f"{self.study.rows.name} {self.study.view.identity(model.recipe.view)}"
