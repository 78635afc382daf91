"""A model's card in Markdown: its question, its data, its figures, and what they do not show."""

from collections.abc import Mapping

from rajobs.learning.bundle_description import BundleDescription, DrawnFilms, Origin
from rajobs.learning.recipe import to_toml
from rajobs.learning.study import Study

NO_EVIDENCE = (
    "Figures from phantoms (drawn images) show that the machinery works. They are no clinical evidence. "
    "This is not a medical device."
)


def card(study: Study, description: BundleDescription) -> str:
    """The card of a model that learnt from data, or of a built-in model, which learnt from drawings."""
    origin = description.origin
    body = _describe_drawings(origin, origin.drawn) if origin.drawn is not None else _describe_data(study, description)
    kind = "figure" if origin.drawn is not None else "validation"
    figures = "\n".join(
        f"| {name} | {figure['value']:.3f} | {figure['low']:.3f} to {figure['high']:.3f} |"
        for name, figure in description.validation.items()
    )
    remarks = (
        "\nWhat real films it was tried on, and where it fails, stands in README.md beside these models' folders.\n"
        if origin.drawn is not None
        else ""
    )
    return f"""# {study.name}

{study.question} After paper {study.paper}. {NO_EVIDENCE}

{body}

| {kind} | value | 95 % interval, by patient |
|---|---|---|
{figures}
{remarks}
## Recipe

```toml
{to_toml(origin.recipe)}```
"""


def _describe_data(study: Study, description: BundleDescription) -> str:
    origin, rows = description.origin, description.rows
    budget = "" if origin.budget == 1 else f" Only {origin.budget:g} of the recipe's epochs and rows were used."
    return f"""Mode {origin.mode}, seed {origin.seed}, code {origin.code}.{budget} Rows: {rows["train"]} to learn from,
{rows["validation"]} to choose by; {rows["test"]} are kept for `rajobs evaluate`.
Input {origin.data}, split {origin.split}.{_describe_unlearned_sites(study, description.learned)}"""


def _describe_drawings(origin: Origin, drawn: DrawnFilms) -> str:
    return f"""Learnt from {drawn.films:,} drawn films (phantoms of version {drawn.phantom}, seed {origin.seed}), none
of them shown in two rounds, by code {origin.code}: `make builtin`. No patient's pixels are in it.
{_describe_odds(drawn)}
Tried on {drawn.tried:,} drawn films of another seed, children, badly exposed, cut and turned ones among them:"""


def _describe_odds(drawn: DrawnFilms) -> str:
    if drawn.rarer == 1:
        return ""
    return f"""
Joints of cohorts are sounder, and lie better, than those drawn to learn from. So the odds of every step up of a score,
and the odds that a joint is not assessable, are divided by {drawn.rarer:g}. In a cohort of severe disease this hides
some of what is there.
"""


def _describe_unlearned_sites(study: Study, learned: Mapping[str, Mapping[str, int]]) -> str:
    """The sites without a label of a target."""
    if not study.rows.labels_name_site:
        return ""
    lines = [
        f"{target}: {', '.join(sorted(set(study.kinds) - set(sites))) or 'none'}" for target, sites in learned.items()
    ]
    return "\n\nSites without a label to learn from: " + "; ".join(lines) + "."
