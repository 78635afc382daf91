"""A study's models, which vote: the mean of their probabilities, and how far they are apart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rajobs.imaging.rows import Row
from rajobs.learning.bundle import Model, find_bundles, read_description
from rajobs.learning.ensemble import P, dissent, target_as_learnt
from rajobs.learning.samples.row_arrays import ViewRequest
from rajobs.learning.study import Study
from rajobs.learning.targets import Target, predicted
from rajobs.learning.training.loop import Numbers
from rajobs.records.store import open_store

BundleLocation = tuple[str, str]
"""A bundle: the URI of a place, and the folder in it."""


def list_bundles(uri: str, study: str) -> list[BundleLocation]:
    """A study's bundles at a place."""
    return [(uri, folder) for folder in find_bundles(open_store(uri), study)]


@dataclass(frozen=True, kw_only=True)
class Vote:
    """Answers to one target, a row each: probabilities (not a number where no model knows the row's site)."""

    p: P
    answers: Numbers  # the answers, as evaluate judges them
    target: Target  # what the answers are to, as the models learnt it: names, or scores in order
    apart: NDArray[np.float64]  # 0 to 1: the models' largest difference, of a score as a share of its range
    dissent: NDArray[np.float64] | None = None  # of the members of all models: the share who say something else

    def probabilities_at(self, at: int) -> P | None:
        """One row's probabilities, where a model knows what is asked."""
        return None if np.isnan(self.p[at]).any() else self.p[at]

    def dissent_of_row(self, at: int) -> float | None:
        """One row's dissent, where several members answer."""
        return None if self.dissent is None or np.isnan(self.dissent[at]) else float(self.dissent[at])


@dataclass(frozen=True, kw_only=True)
class VotingModels:
    """The models of a study and what each of them learned from, by target and site."""

    study: Study
    models: tuple[Model, ...]  # that say what things are like
    finders: tuple[Model, ...]  # that show where they are
    learned: tuple[Mapping[str, Mapping[str, int]], ...]

    @classmethod
    def load(cls, study: Study, bundles: Sequence[BundleLocation]) -> "VotingModels":
        loaded = {at: Model.load(open_store(at[0]), at[1], study) for at in bundles}
        return cls(
            study=study,
            models=tuple(model for model in loaded.values() if model.answers_targets),
            finders=tuple(model for model in loaded.values() if model.shows_points),
            learned=tuple(
                read_description(open_store(uri), folder)["learned"]
                for (uri, folder), model in loaded.items()
                if model.answers_targets
            ),
        )

    @property
    def hashes(self) -> list[str]:
        return list(dict.fromkeys(model.hash for model in (*self.models, *self.finders)))

    def view_requests(self, rows: Sequence[Row], models: Sequence[Model] | None = None) -> dict[str, ViewRequest]:
        """What has to be drawn for the models: each distinct view once."""
        found = {}
        for model in self.models if models is None else models:
            settings = model.recipe.view
            found[self._view(settings)] = ViewRequest(view=self.study.view, settings=settings, rows=rows)
        return found

    def images(self, drawn: Mapping[str, Any], model: Model) -> Any:
        """What was drawn for a model, as (n, channels, rows, columns)."""
        images = drawn[self._view(model.recipe.view)]
        return np.ascontiguousarray(images.transpose(0, 3, 1, 2)) if images.ndim == 4 else images[:, None]

    def vote(self, rows: Sequence[Row], drawn: Mapping[str, Any]) -> dict[str, Vote]:
        """Every model's answers to the rows as one; nothing where there is no model or no row."""
        if not self.models or not rows:
            return {}
        sites = [row.site for row in rows]
        kinds = self.study.kind_numbers(sites)
        given: dict[str, list[P]] = {target.name: [] for target in self.study.targets}
        said: dict[str, list[Numbers]] = {target.name: [] for target in self.study.targets}
        voices: dict[str, list[NDArray[np.int64]]] = {target.name: [] for target in self.study.targets}
        for model, learned in zip(self.models, self.learned):
            answers, own = model.predict_with_votes(self.images(drawn, model), kinds)
            for name, (p, answer) in answers.items():
                known = np.array([site in learned[name] for site in sites])
                given[name].append(np.where(known[:, None], p, np.nan))
                said[name].append(answer)
                voices[name].append(own[name])
        found = {}
        for target in self.study.targets:
            name = target.name
            if given[name]:
                p, apart = _agree(np.stack(given[name]), target.ordered)
                kind = target_as_learnt(
                    target, (m.answered_targets[name].ordered for m in self.models if name in m.answered_targets)
                )
                answer = said[name][0] if len(said[name]) == 1 else predicted(kind, p)
                differ = dissent(np.concatenate(voices[name]), answer)
                found[name] = Vote(p=p, answers=answer, target=kind, apart=apart, dissent=differ)
        return found

    def _view(self, settings: Mapping[str, Any]) -> str:
        return f"{self.study.rows} {self.study.view.identity(settings)}"


def _agree(given: NDArray[np.float64], ordered: bool) -> tuple[P, NDArray[np.float64]]:
    """Models x rows x classes as one, and how far they are apart."""
    there: NDArray[np.bool_] = np.logical_not(np.isnan(given).any(axis=2))
    count = there.sum(axis=0)
    p = np.where(there[..., None], given, 0).sum(axis=0) / np.maximum(count, 1)[:, None]
    p[count == 0] = np.nan
    scale = np.arange(given.shape[2]) / max(given.shape[2] - 1, 1)
    said = (given @ scale)[..., None] if ordered else given
    high = np.where(there[..., None], said, -np.inf).max(axis=0)
    low = np.where(there[..., None], said, np.inf).min(axis=0)
    apart = np.where(count > 1, np.where(count[:, None] > 0, high - low, 0).max(axis=1), 0.0)
    return p, apart
