"""The metric audit as a Markdown page: what the five papers print, the definition that gives it, what none gives."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping

from rajobs.papers import definitions, unprinted_counts
from rajobs.papers.definitions import AS_NAMED, COUNT, NO_COUNTS, NOT, OTHERWISE, POSSIBLE, VERDICTS, Finding
from rajobs.papers.printed import Entry, Paper, papers
from rajobs.records import count_statistics, intervals, metrics
from rajobs.records.count_statistics import Ints

KINDS: dict[str, Callable[[Entry, Mapping[str, Ints]], Iterator[Finding]]] = {
    "of_class": definitions.of_class,
    "of_matrix": definitions.of_matrix,
    "kappa_interval": definitions.kappa_interval,
    "share": definitions.share,
    "two_groups": definitions.two_groups,
    "counts": definitions.counts,
    "unchecked": definitions.unchecked,
    "whole": unprinted_counts.whole,
    "two_by_two": unprinted_counts.two_by_two,
    "agreement": unprinted_counts.agreement_of_kinds,
    "staging": unprinted_counts.staging,
    "kappa_margin": unprinted_counts.kappa_margin,
    "damage": unprinted_counts.damage,
}

Found = tuple[tuple[Paper, tuple[Finding, ...]], ...]

INTRODUCTION = """\
# Metric audit

This page is made by `python -m rajobs.papers.audit > docs/metric-audit.md`; a test keeps it up to date.

The five papers that `rajobs` builds on print figures under names such as accuracy, AUC and kappa. The names do not say
which definition was used. Here every printed number is held against every definition that fits its kind, on the
matrices and counts that the paper prints, and a definition gives the number if its value rounds to it. Where a paper
prints no counts, all whole counts that could stand behind the number are tried. A number that is printed twice is
listed once.

Nothing on this page was measured by `rajobs`. What `rajobs` measures on phantoms (drawn images) shows that the
machinery works; it is no clinical evidence.
"""


MEANINGS = {
    AS_NAMED: "the definition that the name stands for gives it, on printed counts or on the only counts there can be",
    OTHERWISE: "another definition, another number of joints, or a cut in place of a rounding gives it",
    POSSIBLE: "whole counts exist that give it, but the paper does not print them",
    NOT: "none of the definitions gives it on the counts at hand",
    NO_COUNTS: "the paper prints nothing that it could be computed from",
}


def findings(paper: Paper) -> tuple[Finding, ...]:
    """A finding for each number that a paper prints."""
    return tuple(finding for entry in paper.entries for finding in KINDS[entry.kind](entry, paper.matrices))


def page() -> str:
    """The audit as Markdown."""
    found = tuple((paper, findings(paper)) for paper in papers())
    parts = (
        INTRODUCTION,
        _table(("verdict", "what it means"), MEANINGS.items()),
        _overview(found),
        _listed("Given by no definition", found, NOT),
        _listed("Given by another definition than the name says", found, OTHERWISE),
        *(_of_paper(paper, mine) for paper, mine in found),
        _definitions(),
    )
    return "\n".join(parts)


def _table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    names = list(columns)
    lines = [names, ["---"] * len(names), *map(list, rows)]
    return "".join("| " + " | ".join(cell.replace("|", "/") for cell in line) + " |\n" for line in lines)


def _overview(found: Found) -> str:
    rows = []
    for paper, mine in found:
        count = Counter(finding.verdict for finding in mine)
        rows.append((f"{paper.number}: {paper.title}", str(len(mine)), *(str(count[verdict]) for verdict in VERDICTS)))
    sums = [str(sum(int(row[at]) for row in rows)) for at in range(1, len(VERDICTS) + 2)]
    return "## Overview\n\n" + _table(("paper", "numbers", *VERDICTS), (*rows, ("all", *sums)))


def _listed(title: str, found: Found, verdict: str) -> str:
    rows = (
        (paper.number, finding.what, f"{finding.printed} {words(finding.named)}".strip(), _given(finding))
        for paper, mine in found
        for finding in mine
        if finding.verdict == verdict
    )
    return f"## {title}\n\n" + _table(("paper", "what", "printed", "what the counts give"), rows)


def words(name: str) -> str:
    """A name as words."""
    return name.replace("_", " ")


def _given(finding: Finding) -> str:
    by = ", ".join(f"`{name}`" for name in finding.given_by)
    return f"{finding.computed} {f'by {by}' if by else ''}".strip()


def _of_paper(paper: Paper, mine: tuple[Finding, ...]) -> str:
    shown = [f for f in mine if f.verdict != NO_COUNTS and f.given_by != (COUNT,)]
    rows = (
        (f.where, f.what, words(f.named), f.printed, ", ".join(f"`{name}`" for name in f.given_by), f.computed,
         f.verdict, f.note)
        for f in shown
    )  # fmt: skip
    columns = ("where", "what", "named", "printed", "definitions that give it", "value", "verdict", "note")
    parts = [f"## {paper.number}: {paper.title}\n", *(f"- {oddity}" for oddity in paper.oddities), ""]
    parts += [_table(columns, rows)]
    held = [f for f in mine if f.given_by == (COUNT,)]
    parts += [f"Counts that add up ({len(held)}):\n", *(f"- {f.what}: {f.computed} ({f.where})" for f in held), ""]
    bare = [f for f in mine if f.verdict == NO_COUNTS]
    if bare:
        parts += [f"No counts printed ({len(bare)}):\n"]
        parts += [f"- {f.what}{_as(f)}: {f.printed} ({f.where}). {f.note}" for f in bare]
        parts += [""]
    return "\n".join(parts)


def _as(finding: Finding) -> str:
    return f", {finding.named.upper()}" if finding.named else ""


def _definitions() -> str:
    registries: tuple[tuple[str, Mapping[str, Callable[..., object]]], ...] = (
        ("one class against the rest", count_statistics.TWO_BY_TWO_STATISTICS),
        ("a matrix of classes", count_statistics.MATRIX_STATISTICS),
        (
            "answers with probabilities",
            {k: v for k, v in metrics.METRICS.items() if k not in count_statistics.MATRIX_STATISTICS},
        ),
        ("counts", {"share": count_statistics.share}),
        ("folds or trials", count_statistics.RUN_STATISTICS),
        ("two lists", {"pearson": count_statistics.pearson}),
        ("interval of a share", intervals.SHARE_INTERVALS),
        ("interval of a kappa", {"standard error": intervals.kappa_interval}),
        ("interval of any metric", {"bootstrap by patient": metrics.interval}),
        ("two groups", intervals.TWO_GROUP_TESTS),
    )
    rows = (
        (of, f"`{name}`", (rule.__doc__ or "").strip())
        for of, registry in registries
        for name, rule in registry.items()
    )
    return "## Definitions\n\n" + _table(("of", "id", "definition"), rows)


if __name__ == "__main__":
    print(page(), end="")
