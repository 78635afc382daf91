"""The section of evaluate's page about doubt: whether it finds the errors, and what the review of hands is worth."""

from rajobs.learning.judging.review import FIFTH, WHOLE, WORTH, ReviewFacts, ThresholdCheck, risk_coverage
from rajobs.reports import figures as draw
from rajobs.reports.page import Cell, Figure, Figures, PageTable, Part, Section
from rajobs.reports.wording import format_count, format_figure, format_percent

BEST = "if every error were known"
MOST_CURVES = 6  # besides that of any reason: more cannot be told apart
COLUMNS = {
    "reviewed": "hands reviewed",
    "error": "error of a score in the others",
    "caught": "errors in those reviewed",
}


def review_sections(facts: ReviewFacts | None, drawn: dict[str, bytes], where: str = "") -> list[Section]:
    """None where no score is wrong or scores do not add up. `where`: a word that sets one of several sections apart."""
    if facts is None:
        return []
    reasons: tuple[tuple[Cell, ...], ...] = tuple(
        (each.reason, each.hands, *(format_figure(of) or f"{of['value']:.3f}" for of in
                                    (each.reviewed, each.caught, each.fifth)))
        for each in facts.reasons
    )  # fmt: skip
    names = (
        "reason",
        "hands",
        "share of hands",
        "share of errors",
        f"errors in the most doubtful {format_percent(FIFTH)}",
    )
    parts: list[Part] = [
        PageTable(
            columns=("thresholds of doubt", *COLUMNS.values()),
            rows=tuple(row for check in facts.thresholds for row in _threshold_rows(check)),
            caption="What a review is worth",
        ),
        PageTable(columns=names, rows=reasons, caption="Reasons of doubt, at the documented thresholds", strong=(0,)),
        Figures(figures=(_figure(facts, drawn, where),)),
    ]
    fifth = format_percent(FIFTH)
    lead = (
        f"The scores of {format_count(len(facts.hands), 'hand')} are wrong by {facts.error:.3f} points on average: a "
        "score's error is how far it is from the readers'. Score sends hands with a reason of doubt to review. Where "
        f"doubt is earned, they have more than their share of the errors: by chance, {fifth} of the hands would have "
        f"{fifth} of them. Reasons that need the film's view or another study's answers are not judged here. Intervals "
        "are by patient."
    )
    return [Section(title=f"Is doubt earned{where}?", lead=lead, parts=tuple(parts))]


def _threshold_rows(check: ThresholdCheck) -> list[tuple[Cell, ...]]:
    name = "as documented"
    if check.asked is not None:
        scaled = f"{check.scale:.2f} times the documented ones" if check.scale else "none: every hand with any doubt"
        name = f"for an error of {check.asked:g}: {scaled}"
    cells = (format_figure(check.figures[of]) or f"{check.figures[of]['value']:.3f}" for of in WORTH)
    rows: list[tuple[Cell, ...]] = [(name, *cells)]
    if check.expected:
        rows.append(("the same, by validation", *(f"{check.expected[of]:.3f}" for of in WORTH)))
    return rows


def _figure(facts: ReviewFacts, drawn: dict[str, bytes], where: str) -> Figure:
    """The error that is left by the share of hands reviewed; reasons that are worth most first."""
    worth = sorted((each for each in facts.reasons if each.reason != WHOLE), key=lambda each: -each.fifth["value"])
    curves = {
        name: risk_coverage(facts.hands, facts.hands.levels[name])
        for name in (WHOLE, *(each.reason for each in worth[:MOST_CURVES]))
    }
    curves[BEST] = risk_coverage(facts.hands, facts.hands.points / facts.hands.scores)
    png = draw.risk_coverage(curves, facts.error, BEST)
    drawn[f"review{where.replace(', ', '-').replace(' ', '-')}.png"] = png
    return Figure(
        png=png, wide=True,
        caption="The error of a score in the hands that are not reviewed, by the share that is, the most doubtful "
        "first. Dashed: hands chosen by chance. Dotted: a doubt that knew every error.",
    )  # fmt: skip
