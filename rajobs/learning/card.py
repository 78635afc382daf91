"""A model's card: what it is for, what it was made from, how well it does, and where its word ends."""

from collections.abc import Mapping
from typing import Any

from rajobs.learning.recipe import from_dict, to_toml
from rajobs.learning.study import Study

NO_EVIDENCE = (
    "Figures from phantoms (drawn images) show that the machinery works. They are no clinical evidence. "
    "This is not a medical device."
)


def card(study: Study, facts: Mapping[str, Any]) -> str:
    """The card in Markdown."""
    unlearned = _never_learned(study, facts.get("learned", {}))
    budget = "" if facts["budget"] == 1 else f" Only {facts['budget']:g} of the recipe's epochs and rows were used."
    return f"""# {study.name}

{study.question} After paper {study.paper}. {NO_EVIDENCE}

Mode {facts["mode"]}, seed {facts["seed"]}, code {facts["code"]}.{budget} Rows: {facts["rows"]["train"]} to learn from,
{facts["rows"]["validation"]} to choose by; {facts["rows"]["test"]} are kept for `rajobs evaluate`.
Input {facts["data"]}, split {facts["split"]}.{unlearned}

| validation | value | 95 % interval, patients drawn anew |
|---|---|---|
{_figures(facts)}

## Recipe

```toml
{to_toml(from_dict(facts["recipe"]))}```
"""


def drawn_card(study: Study, facts: Mapping[str, Any]) -> str:
    """The card of a model that learnt from drawings alone."""
    return f"""# {study.name}

{study.question} After paper {study.paper}. {NO_EVIDENCE}

Learnt from {facts["films"]:,} drawn films (phantoms of version {facts["phantom"]}, seed {facts["seed"]}), no drawing
kept from one round to the next, by code {facts["code"]}: `make builtin`. No patient's pixels are in it.

Tried on {facts["tried"]:,} drawn films of another seed, children, badly exposed, cut and turned ones among them:

| figure | value | 95 % interval |
|---|---|---|
{_figures(facts)}

What real films it was tried on, and where it fails, stands in README.md beside these models' folders.

## Recipe

```toml
{to_toml(from_dict(facts["recipe"]))}```
"""


def _figures(facts: Mapping[str, Any]) -> str:
    return "\n".join(
        f"| {name} | {figure['value']:.3f} | {figure['low']:.3f} to {figure['high']:.3f} |"
        for name, figure in facts["validation"].items()
    )


def _never_learned(study: Study, learned: Mapping[str, Mapping[str, int]]) -> str:
    """The sites that no label of a target was there for."""
    if study.rows != "joints":
        return ""
    lines = [
        f"{target}: {', '.join(sorted(set(study.kinds) - set(sites))) or 'none'}" for target, sites in learned.items()
    ]
    return "\n\nSites without a label to learn from: " + "; ".join(lines) + "."
