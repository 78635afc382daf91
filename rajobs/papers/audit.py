"""The metric audit as a Markdown page: every printed number, the definition that gives it, or that none does."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping

from rajobs.papers import printed_counts, unprinted_counts
from rajobs.papers.findings import (
    BY_ANOTHER_DEFINITION,
    NO_COUNTS,
    NOT_REPRODUCIBLE,
    POSSIBLE,
    REPRODUCED,
    SUM_OR_PRODUCT,
    VERDICTS,
    Finding,
)
from rajobs.papers.paper_data import Entry, Paper, read_papers
from rajobs.records import metrics
from rajobs.records.statistics import count_statistics, intervals
from rajobs.records.statistics.count_statistics import Ints

CHECKS: dict[str, Callable[[Entry, Mapping[str, Ints]], Iterator[Finding]]] = {
    "class_statistics": printed_counts.class_statistics,
    "matrix_statistics": printed_counts.matrix_statistics,
    "kappa_interval": printed_counts.kappa_interval,
    "printed_share": printed_counts.printed_share,
    "group_difference": printed_counts.group_difference,
    "sum_or_product": printed_counts.sum_or_product,
    "not_computable": printed_counts.not_computable,
    "share_without_counts": unprinted_counts.share_without_counts,
    "table_without_counts": unprinted_counts.table_without_counts,
    "agreement_without_counts": unprinted_counts.agreement_without_counts,
    "staging_without_counts": unprinted_counts.staging_without_counts,
    "kappa_without_counts": unprinted_counts.kappa_without_counts,
    "ranges_without_counts": unprinted_counts.ranges_without_counts,
}
"""The check of an entry by its kind, as the papers' TOML files name it."""

AuditedPaper = tuple[Paper, tuple[Finding, ...]]

INTRODUCTION = """\
# Metric audit

This page is made by `python -m rajobs.papers.audit > docs/metric-audit.md`; a test keeps it up to date.

The five papers that `rajobs` builds on print figures under names such as accuracy, AUC and kappa. The names do not say
which definition was used. Here every printed number is compared with every definition of its kind, computed on the
matrices and counts that the paper prints. A definition gives the number if its value rounds to it. Where a paper prints
no counts, all whole counts from which the number could come are tried. A number that is printed twice is listed once.

Nothing on this page was measured by `rajobs`. What `rajobs` measures on phantoms (drawn images) shows that the
machinery works; it is no clinical evidence.
"""

MEANINGS = {
    REPRODUCED: "the definition that the name stands for gives it, on printed counts or on the only possible counts",
    BY_ANOTHER_DEFINITION: "another definition or number of joints gives it, or digits are cut off instead of rounded",
    POSSIBLE: "whole counts exist that give it, but the paper does not print them",
    NOT_REPRODUCIBLE: "no definition gives it on the counts at hand",
    NO_COUNTS: "the paper prints nothing from which it could be computed",
}


def audit_paper(paper: Paper) -> tuple[Finding, ...]:
    """One finding for each number that a paper prints."""
    return tuple(finding for entry in paper.entries for finding in CHECKS[entry.kind](entry, paper.matrices))


def audit_page() -> str:
    """The audit as Markdown."""
    audited = tuple((paper, audit_paper(paper)) for paper in read_papers())
    sections = (
        INTRODUCTION,
        _table(("verdict", "meaning"), MEANINGS.items()),
        _overview_section(audited),
        _verdict_section("Numbers that no definition gives", audited, NOT_REPRODUCIBLE),
        _verdict_section("Numbers that another definition gives than the named one", audited, BY_ANOTHER_DEFINITION),
        *(_paper_section(paper, findings) for paper, findings in audited),
        _definitions_section(),
    )
    return "\n".join(sections)


def _table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    names = list(columns)
    lines = [names, ["---"] * len(names), *map(list, rows)]
    return "".join("| " + " | ".join(cell.replace("|", "/") for cell in line) + " |\n" for line in lines)


def _overview_section(audited: Iterable[AuditedPaper]) -> str:
    rows = []
    for paper, findings in audited:
        counts = Counter(finding.verdict for finding in findings)
        by_verdict = (str(counts[verdict]) for verdict in VERDICTS)
        rows.append((f"{paper.number}: {paper.title}", str(len(findings)), *by_verdict))
    sums = [str(sum(int(row[column]) for row in rows)) for column in range(1, len(VERDICTS) + 2)]
    return "## Overview\n\n" + _table(("paper", "numbers", *VERDICTS), (*rows, ("all", *sums)))


def _verdict_section(title: str, audited: Iterable[AuditedPaper], verdict: str) -> str:
    rows = (
        (paper.number, finding.what, f"{finding.printed} {_in_words(finding.named)}".strip(), _value_in_words(finding))
        for paper, findings in audited
        for finding in findings
        if finding.verdict == verdict
    )
    return f"## {title}\n\n" + _table(("paper", "what", "printed", "what the counts give"), rows)


def _in_words(name: str) -> str:
    return name.replace("_", " ")


def _as_code(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _value_in_words(finding: Finding) -> str:
    by = f"by {_as_code(finding.definitions)}" if finding.definitions else ""
    return f"{finding.computed} {by}".strip()


def _paper_section(paper: Paper, findings: tuple[Finding, ...]) -> str:
    sums = [finding for finding in findings if finding.definitions == (SUM_OR_PRODUCT,)]
    without_counts = [finding for finding in findings if finding.verdict == NO_COUNTS]
    rows = (
        (f.where, f.what, _in_words(f.named), f.printed, _as_code(f.definitions), f.computed, f.verdict, f.note)
        for f in findings
        if f not in sums and f not in without_counts
    )
    columns = ("where", "what", "named", "printed", "definitions that give it", "value", "verdict", "note")
    lines = [f"## {paper.number}: {paper.title}\n", *(f"- {oddity}" for oddity in paper.oddities), ""]
    lines += [_table(columns, rows)]
    lines += [f"Counts that add up ({len(sums)}):\n", *(f"- {f.what}: {f.computed} ({f.where})" for f in sums), ""]
    if without_counts:
        lines += [f"No counts printed ({len(without_counts)}):\n"]
        lines += [f"- {f.what}{_name_suffix(f)}: {f.printed} ({f.where}). {f.note}" for f in without_counts]
        lines += [""]
    return "\n".join(lines)


def _name_suffix(finding: Finding) -> str:
    return f", {finding.named.upper()}" if finding.named else ""


def _definitions_section() -> str:
    with_probabilities = {
        name: metric for name, metric in metrics.METRICS.items() if name not in count_statistics.MATRIX_STATISTICS
    }
    registries: tuple[tuple[str, Mapping[str, Callable[..., object]]], ...] = (
        ("one class against the rest", count_statistics.TWO_BY_TWO_STATISTICS),
        ("a matrix of classes", count_statistics.MATRIX_STATISTICS),
        ("answers with probabilities", with_probabilities),
        ("counts", {"share": count_statistics.share}),
        ("folds or trials", count_statistics.RUN_STATISTICS),
        ("two lists", {"pearson": count_statistics.pearson}),
        ("interval of a share", intervals.SHARE_INTERVALS),
        ("interval of a kappa", {"standard error": intervals.kappa_interval}),
        ("interval of any metric", {"by patient": metrics.interval}),
        ("two groups", intervals.TWO_GROUP_TESTS),
    )
    rows = (
        (of, f"`{name}`", (definition.__doc__ or "").strip().partition("\n")[0])
        for of, registry in registries
        for name, definition in registry.items()
    )
    return "## Definitions\n\n" + _table(("of", "id", "definition"), rows)


if __name__ == "__main__":
    print(audit_page(), end="")
