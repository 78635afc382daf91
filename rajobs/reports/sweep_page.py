"""The page of `rajobs tune`: every trial with its settings and score, what mattered, and whether the best one wins."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rajobs.learning.study import Study
from rajobs.reports import sweep_figures as draw
from rajobs.reports.page import (
    Cell,
    Facts,
    Figure,
    Figures,
    Notice,
    PageTable,
    Part,
    Section,
    Text,
    Tile,
    Tiles,
    format_cell,
    render,
)
from rajobs.reports.sweep_figures import Setting
from rajobs.reports.wording import format_count, format_figure, humanize

ENOUGH = 4  # scored trials from which on lines through their settings show anything
WINS, LOSES, OPEN = "wins", "loses", "does not clearly win"
STATES = {"finished": "finished", "stopped": "stopped early", "failed": "failed", "running": "running"}


@dataclass(frozen=True, kw_only=True)
class TrialRow:
    """One trial of a sweep."""

    number: int
    name: str  # published or default, where it has one of these recipes, else empty
    state: str  # one of STATES
    score: float | None  # on the validation part
    settings: Mapping[str, Setting]  # by dotted path
    epochs: int
    hours: float | None
    cause: str | None  # why it failed, or why it was stopped and will run again
    curve: tuple[float, ...]  # the score by epoch

    @property
    def title(self) -> str:
        return f"trial {self.number} ({self.name})" if self.name else f"trial {self.number}"

    @property
    def runs_again(self) -> bool:
        return self.state == "stopped" and bool(self.cause)


@dataclass(frozen=True, kw_only=True)
class PairedDifference:
    """The best recipe's score less another's on the same rows, with its interval."""

    against: str
    difference: float
    low: float
    high: float
    on: str  # the rows, in words

    @property
    def figure(self) -> dict[str, float]:
        return {"value": self.difference, "low": self.low, "high": self.high}

    @property
    def verdict(self) -> str:
        """Whether the best recipe is above the other one, in a word or two."""
        if self.low > 0:
            return WINS
        return LOSES if self.high < 0 else OPEN


@dataclass(frozen=True, kw_only=True)
class SweepFacts:
    """What the page shows besides the trials."""

    budget: float  # share of the recipes' epochs and rows
    wanted: int = 0  # trials that were asked for
    importance: Mapping[str, float] = field(default_factory=dict)  # dotted path to its share of the score's variation
    comparison: PairedDifference | None = None
    best: str | None = None  # file name of the best recipe


def sweep_page(study: Study, trials: Sequence[TrialRow], facts: SweepFacts) -> str:
    """The page as HTML."""
    scored = [trial for trial in trials if trial.score is not None]
    scored.sort(key=lambda trial: (trial.state != "finished", -(trial.score or 0.0), trial.number))
    best = scored[0] if scored and scored[0].state == "finished" else None  # a stopped trial is never the best
    sections = [
        _summary(study, trials, scored, best, facts),
        _best_recipe(scored, best, facts),
        _curves(study, trials, scored),
        _importance(study, scored, facts),
        _trial_table(trials, scored),
        _failures(trials),
    ]
    lead = f"{study.question} A search for a better recipe, after paper {study.paper}."
    return render(f"{humanize(study.name)}: sweep", lead, sections)


def _summary(
    study: Study, trials: Sequence[TrialRow], scored: Sequence[TrialRow], best: TrialRow | None, facts: SweepFacts
) -> Section:
    left = facts.wanted - sum(not trial.runs_again for trial in trials)
    trials_left = f"{format_count(left, 'trial')} {'is' if left == 1 else 'are'} left"
    text = f"The time was up: {trials_left}. Start the same command again to run the rest."
    notices = (Notice(text=text),) if left > 0 else ()
    if best is None or best.score is None:
        why = "finished" if scored else "has a score"
        none = Notice(text=f"No trial {why}, so there is no best recipe.")
        return Section(title="In short", parts=(none, *notices))
    metric = humanize(study.headline.split(".")[1])
    hours = sum(trial.hours or 0.0 for trial in trials)
    failed = sum(trial.state == "failed" for trial in trials)
    tiles = (
        Tile(value=format_cell(best.score), label=f"{metric}, best", note=f"{best.title}, validation part"),
        Tile(value=format_cell(len(trials)), label="trials", note=f"{failed} failed" if failed else ""),
        Tile(value=f"{hours:.2f}", label="hours of trials", note=f"{hours / len(trials):.2f} per trial"),
    )
    parts: list[Part] = [Tiles(tiles=tiles), Text(paragraphs=_verdict(best, scored, facts)), *notices]
    if facts.budget < 1:
        text = (
            f"Every trial had {100 * facts.budget:g} % of its recipe's epochs and rows. "
            "This was a rehearsal, not a full search."
        )
        parts.append(Notice(text=text))
    return Section(title="In short", parts=tuple(parts))


def _verdict(best: TrialRow, scored: Sequence[TrialRow], facts: SweepFacts) -> tuple[str, ...]:
    """Whether the best trial wins, and how that is known."""
    caution = (
        "The best of many trials looks better than it is, since it was chosen by this very score. "
        "To see whether it really wins, run rajobs evaluate: its test part was never used in the sweep."
    )
    if facts.comparison:
        return _describe_difference(facts.comparison), caution
    rivals = sorted((trial for trial in scored if trial.name and trial is not best), key=lambda trial: trial.number)
    lines = [_describe_lead(best, rival) for rival in rivals]
    if best.name:
        lines.insert(0, f"No trial did better than {best.title}.")
    return (" ".join(lines), caution) if lines else (caution,)


def _describe_lead(best: TrialRow, rival: TrialRow) -> str:
    high, low = best.score or 0.0, rival.score or 0.0
    return f"{best.title.capitalize()} has {high:.3f} and {rival.title} {low:.3f}, a difference of {high - low:.3f}."


def _describe_difference(comparison: PairedDifference) -> str:
    figure = format_figure(comparison.figure, signed=True) or f"{comparison.difference:+.3f}"
    text = f"The best recipe {comparison.verdict}: {figure} against {comparison.against}, paired, on {comparison.on}."
    more = {LOSES: f" Keep {comparison.against}.", OPEN: " The interval contains zero."}
    return text + more.get(comparison.verdict, "")


def _best_recipe(scored: Sequence[TrialRow], best: TrialRow | None, facts: SweepFacts) -> Section:
    if best is None:
        return Section(title="The best recipe", parts=(Text(paragraphs=("There is no best recipe yet.",)),))
    published = next((trial.settings for trial in scored if trial.name == "published"), {})
    names = sorted({*best.settings, *published})
    rows = tuple((name, _setting_cell(best.settings.get(name)), _setting_cell(published.get(name))) for name in names)
    file = f" The best recipe is in {facts.best}, a file for rajobs train --recipe." if facts.best else ""
    return Section(
        title="The best recipe",
        lead=f"The settings of {best.title}, beside those of the published recipe.{file}",
        parts=(PageTable(columns=("setting", "best", "published"), rows=rows),),
    )


def _setting_cell(value: Setting) -> Cell:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    return value if value is None else str(value)


def _curves(study: Study, trials: Sequence[TrialRow], scored: Sequence[TrialRow]) -> Section:
    curves = {trial.title: trial.curve for trial in trials}
    if not any(curves.values()):
        return Section(title="Curves", parts=(Text(paragraphs=("No trial has finished an epoch.",)),))
    named = dict.fromkeys([trial.title for trial in scored[:1]] + [trial.title for trial in trials if trial.name])
    image = draw.trial_curves(curves, list(named), humanize(study.headline.split(".")[1]))
    caption = "Score on the validation part by epoch. Other trials are grey; a line that ends early was stopped."
    return Section(title="Curves", parts=(Figures(figures=(Figure(png=image, caption=caption, wide=True),)),))


def _importance(study: Study, scored: Sequence[TrialRow], facts: SweepFacts) -> Section:
    parts: list[Part] = []
    varied = _varied_settings(scored)
    if len(scored) >= ENOUGH and varied:
        names = short_names(varied)
        columns = {names[path]: [trial.settings.get(path) for trial in scored] for path in varied}
        scores = [trial.score for trial in scored if trial.score is not None]
        image = draw.parallel(columns, scores, humanize(study.headline.split(".")[1]))
        caption = "Each line is a trial, from its settings to its score. Darker is better; the best trial is orange."
        parts.append(Figures(figures=(Figure(png=image, caption=caption, wide=True),)))
    if facts.importance:
        names = short_names(sorted(facts.importance))
        image = draw.importance({names[path]: share for path, share in facts.importance.items()})
        caption = "How much of the variation in score each setting explains, but not in which direction."
        parts.append(Figures(figures=(Figure(png=image, caption=caption),)))
    else:
        parts.append(Text(paragraphs=("Too few trials finished to say how much each setting matters.",)))
    return Section(title="What mattered", parts=tuple(parts))


def _varied_settings(trials: Sequence[TrialRow]) -> list[str]:
    """Paths of the settings that differ between these trials."""
    paths = sorted({path for trial in trials for path in trial.settings})
    return [path for path in paths if len({str(trial.settings.get(path)) for trial in trials}) > 1]


def short_names(paths: Sequence[str]) -> dict[str, str]:
    """The last word of each dotted path, or as many words as make it unique."""
    names: dict[str, str] = {}
    for path in paths:
        parts = path.split(".")
        for count in range(1, len(parts) + 1):
            tail = ".".join(parts[-count:])
            if sum(other == tail or other.endswith(f".{tail}") for other in paths) == 1:
                break
        names[path] = tail.replace("_", " ")
    return names


def _trial_table(trials: Sequence[TrialRow], scored: Sequence[TrialRow]) -> Section:
    varied = _varied_settings(trials)
    names = short_names(varied)
    unscored = sorted((trial for trial in trials if trial.score is None), key=lambda trial: trial.number)
    rows: list[tuple[Cell, ...]] = []
    for trial in [*scored, *unscored]:
        hours = None if trial.hours is None else f"{trial.hours:.2f}"
        settings = [_setting_cell(trial.settings.get(path)) for path in varied]
        state = trial.cause if trial.runs_again else STATES[trial.state]
        rows.append((trial.title, trial.score, state, trial.epochs, hours, *settings))
    columns = ("trial", "score", "state", "epochs", "hours", *(names[path] for path in varied))
    same = {path: value for trial in scored[:1] for path, value in trial.settings.items() if path not in varied}
    parts: list[Part] = [PageTable(columns=columns, rows=tuple(rows), strong=(0,) if scored else ())]
    lead = "Finished trials come first, the best on top, then those that were stopped early."
    if same:
        parts.append(Facts(pairs=tuple((path, _setting_cell(value)) for path, value in sorted(same.items()))))
        lead += " Settings that are the same in all trials are listed below the table."
    return Section(title="All trials", lead=lead, parts=tuple(parts))


def _failures(trials: Sequence[TrialRow]) -> Section:
    rows = tuple((trial.title, trial.cause or "unknown") for trial in trials if trial.state == "failed")
    if not rows:
        return Section(title="Failures", parts=(Text(paragraphs=("No trial failed.",)),))
    lead = "The sweep continues without the trials that fail."
    return Section(title="Failures", lead=lead, parts=(PageTable(columns=("trial", "cause"), rows=rows),))
