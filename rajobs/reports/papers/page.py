"""The pages of `rajobs papers`: one with all five papers, and one for each with its tables and figures in order."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from rajobs.papers.exhibits import Exhibit, read_exhibits
from rajobs.papers.paper_data import PAPERS, read_paper
from rajobs.records.store import Store
from rajobs.reports.page import Cell, Facts, Notice, PageTable, Part, Section, Step, Steps, Text, render
from rajobs.reports.papers import paper_000, paper_001, paper_002, paper_003, paper_004
from rajobs.reports.papers.beside import OURS, WORTH, figure_cell, machinery
from rajobs.reports.papers.runs import PaperRuns, StudyRun, read_runs
from rajobs.reports.wording import format_count, format_list, humanize

Counterparts = Mapping[str, Callable[[PaperRuns], Sequence[Part]]]
COUNTERPARTS: Mapping[str, Callable[[], Counterparts]] = MappingProxyType({
    "000": paper_000.counterparts, "001": paper_001.counterparts, "002": paper_002.counterparts,
    "003": paper_003.counterparts, "004": paper_004.counterparts,
})  # fmt: skip

MODES = (
    "Published mode repeats a paper's protocol with its leaks. Clean mode keeps everything of a patient on one side of "
    "the split, and chooses models and thresholds on the validation part. Each mode has a test part of its own; the "
    "difference on equal rows is paired, on rows that neither model has learnt from."
)
ORIENTATION = (
    "The papers' numbers come from their authors' patients. Where the images here are phantoms, both columns show that "
    "the machinery works, and nothing about patients."
)
AUDIT = (
    "What does not fit in the paper's own numbers, by the audit of every figure that it prints (docs/metric-audit.md)."
)
AT_RANDOM = (
    "These networks started at random: {names}. The paper's started from networks that had learnt from ImageNet, or "
    "are assumed to have. Their figures stand in for the paper's in the machinery alone."
)


def papers_pages(store: Store) -> dict[str, str]:
    """The pages as HTML, by file name, from what lies at OUT."""
    every = [read_runs(store, paper) for paper in PAPERS]
    return {"index.html": first_page(every), **{f"{runs.paper}.html": paper_page(runs) for runs in every}}


def first_page(every: Sequence[PaperRuns]) -> str:
    """All five papers: a headline number of each, printed and here, and the way to the paper's own page."""
    rows = [row for runs in every for row in _headline_rows(runs)]
    columns = ("paper", "what it prints", "paper", OURS["published"], OURS["clean"], WORTH)
    summary = Section(
        title="In short", lead=MODES,
        parts=(PageTable(columns=columns, rows=tuple(rows), caption="A number of each study"),
               Notice(text=ORIENTATION)),
    )  # fmt: skip
    steps = tuple(_step(runs) for runs in every)
    lead = "Every table and figure of the five published systems, the paper's numbers beside ours."
    return render("The five papers beside ours", lead, [summary, Section(title="Papers", parts=(Steps(steps=steps),))])


def _headline_rows(runs: PaperRuns) -> list[tuple[Cell, ...]]:
    """The first figure that each study of a paper prints on its test part, as far as we have one of its definition."""
    rows: list[tuple[Cell, ...]] = []
    seen: set[str] = set()
    for run in runs.protocol:
        printed = next((each for each in run.declared_study.printed if each.metric and each.part == "test"), None)
        if run.study in seen or printed is None:
            continue
        seen.add(run.study)
        judged = runs.both(run.name)
        ours = [_headline_cell(each, printed.metric or "") for each in judged]
        whole = all(each is None or each.is_whole for each in judged)
        worth = figure_cell(runs.leak_worth(run.name, printed.metric or ""), signed=True) if whole else None
        rows.append((runs.paper, humanize(printed.what), float(printed.value), *ours, worth))
    return rows


def _headline_cell(run: StudyRun | None, metric: str) -> Cell:
    if run is None:
        return None
    cell = figure_cell(run.figure(metric))
    return cell if run.is_whole else f"budget {run.budget:g}: the machinery, no comparison"


def _step(runs: PaperRuns) -> Step:
    paper = read_paper(runs.paper)
    exhibits = read_exhibits(runs.paper)
    drawn = COUNTERPARTS[runs.paper]()
    counts: tuple[tuple[str, Cell], ...] = (
        ("tables and figures", sum(len(each.covers) for each in exhibits)),
        ("with a counterpart", sum(len(each.covers) for each in exhibits if each.name in drawn)),
        ("judged runs", len(runs.judged)),
    )
    line = f"Paper {runs.paper}." if runs.is_begun else f"Paper {runs.paper}: not run yet."
    return Step(name=paper.title, line=line, counts=counts, href=f"{runs.paper}.html", link="Open the paper's page")


def paper_page(runs: PaperRuns) -> str:
    """One paper: what was run, then its tables and figures in its order."""
    paper, drawn = read_paper(runs.paper), COUNTERPARTS[runs.paper]()
    leaks = [text for text in paper.oddities if "leak" in text.lower()]
    sections = [_protocol(runs, [text.removeprefix("Leak: ") for text in leaks])]
    sections += [_exhibit(runs, each, drawn) for each in read_exhibits(runs.paper)]
    odd = tuple(text for text in paper.oddities if text not in leaks)
    sections.append(Section(title="What is odd in print", lead=AUDIT, parts=(Text(paragraphs=odd),)))
    lead = f"Paper {runs.paper}: each of its tables and figures, its numbers beside ours."
    return render(f"{paper.title} ({runs.paper})", lead, sections)


def _protocol(runs: PaperRuns, leaks: Sequence[str]) -> Section:
    """What was trained and judged, with which budget, and what is known of the paper's leaks."""
    rows: list[tuple[Cell, ...]] = []
    for run in runs.protocol:
        states = {mode: _state(runs, run.name, mode) for mode in run.modes}
        for state in dict.fromkeys(states.values()):
            modes = format_list([mode for mode in run.modes if states[mode] == state])
            rows.append((run.name, run.what, run.recipe, modes, state))
    columns = ("run", "what", "recipe", "mode", "state")
    parts: list[Part] = [PageTable(columns=columns, rows=tuple(rows))]
    at_random = sorted({run.run.name for run in runs.judged.values() if _started_at_random(run)})
    if at_random:
        parts.append(Notice(text=AT_RANDOM.format(names=format_list(at_random))))
    if leaks:
        parts.append(Facts(pairs=tuple(("what leaks in the paper", f"{text[:1].upper()}{text[1:]}") for text in leaks)))
    parts.append(Text(paragraphs=(ORIENTATION,)))
    return Section(title="What is run", lead=MODES, parts=tuple(parts))


def _state(runs: PaperRuns, name: str, mode: str) -> str:
    judged = runs.get(name, mode)
    if judged is None:
        return runs.missing.get((name, mode), "not run yet")
    return f"judged by {format_count(judged.predictions.num_rows, 'answer')}{machinery(judged)}"


def _started_at_random(run: StudyRun) -> bool:
    """Whether a recipe that starts from other networks' weights was trained without any."""
    return any(member.weights != "none" for member in run.run.declared_recipe.members) and not run.bundle.origin.starts


def _exhibit(runs: PaperRuns, exhibit: Exhibit, drawn: Counterparts) -> Section:
    """A table or figure in its place: what it shows, ours, what differs and what leaks; or why it is missing."""
    lead = f"{exhibit.shows}."
    if exhibit.name not in drawn:
        return Section(title=exhibit.name, lead=lead, parts=(Text(paragraphs=(exhibit.missing,)),))
    notes = (("what differs here", exhibit.differs), ("what leaks in the paper", exhibit.leak))
    pairs = tuple((name, text) for name, text in notes if text)
    facts = (Facts(pairs=pairs),) if pairs else ()
    return Section(title=exhibit.name, lead=lead, parts=(*drawn[exhibit.name](runs), *facts))
