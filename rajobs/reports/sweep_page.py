"""The page of `rajobs tune`: every trial with its settings and score, what mattered, and whether the best one wins."""

from collections.abc import Mapping, Sequence
from typing import Any

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
    interval,
    render,
    shown,
    words,
)

ENOUGH = 4  # scored trials, from which on lines through their settings tell something
WINS, LOSES, OPEN = "wins", "loses", "does not clearly win"
STATES = {"finished": "finished", "stopped": "stopped early", "failed": "failed", "running": "under way"}

Trial = Mapping[str, Any]


def sweep_page(study: Study, trials: Sequence[Trial], facts: Mapping[str, Any]) -> str:
    """The page.

    A trial: `number`, `name` ("published", "default" or ""), `state` (finished, stopped, failed, running), `score` (of
    the validation part, or None), `settings` (dotted path to value), `epochs`, `hours`, `cause` (of a failure, else
    None), `curve` (the score by epoch). `facts`: `mode`, `budget` and, where there are any, `importance` (path to
    share), `comparison` ({"against", "difference", "low", "high", "on"}: best less published, paired), `best` (the
    file's name), `wanted` (how many trials were asked for). A stopped trial with a cause is run again.
    """
    scored = [t for t in trials if t["score"] is not None]
    scored.sort(key=lambda t: (t["state"] != "finished", -t["score"], t["number"]))  # the best is one that finished
    sections = [
        _short(study, trials, scored, facts),
        _settings(scored, facts),
        _curves(study, trials, scored),
        _mattered(study, scored, facts),
        _table(trials, scored),
        _failed(trials),
    ]
    lead = f"{study.question} A search for a better recipe, after paper {study.paper}."
    return render(f"{words(study.name)}: sweep", lead, sections)


def _short(study: Study, trials: Sequence[Trial], scored: Sequence[Trial], facts: Mapping[str, Any]) -> Section:
    left = facts.get("wanted", 0) - sum(not _late(t) for t in trials)
    notice = (Notice(text=f"The time was up: {left} trials are left, with which the same command goes on."),)
    if not scored or scored[0]["state"] != "finished":
        why = "has a score" if not scored else "came to its end"
        none = Notice(text=f"No trial {why}, so there is no best recipe.")
        return Section(title="In short", parts=(none, *(notice if left > 0 else ())))
    metric = words(study.headline.split(".")[1])
    hours = sum(t["hours"] or 0.0 for t in trials)
    failed = sum(t["state"] == "failed" for t in trials)
    tiles = (
        Tile(value=shown(float(scored[0]["score"])), label=f"{metric}, best", note=f"{title(scored[0])}, validation"),
        Tile(value=shown(len(trials)), label="trials", note=f"{failed} failed" if failed else ""),
        Tile(value=f"{hours:.2f}", label="hours of trials", note=f"{hours / len(trials):.2f} a trial"),
    )
    parts: list[Part] = [Tiles(tiles=tiles), Text(paragraphs=_verdict(scored, facts))]
    parts += notice if left > 0 else ()
    if facts["budget"] < 1:
        spent = f"{100 * facts['budget']:g} %"
        parts.append(
            Notice(text=f"Every trial had {spent} of its recipe's epochs and rows: a rehearsal, not a search.")
        )
    return Section(title="In short", parts=tuple(parts))


def _late(trial: Trial) -> bool:
    return trial["state"] == "stopped" and bool(trial["cause"])


def _verdict(scored: Sequence[Trial], facts: Mapping[str, Any]) -> tuple[str, ...]:
    """Plainly: does the best trial win, and how is that known?"""
    best, held = scored[0], facts.get("comparison")
    unknown = (
        "The best of many trials looks better than it is, since it was chosen by this very score. "
        "Whether it wins is told by rajobs evaluate on the test part, which the sweep never saw."
    )
    if held:
        return _paired(held), unknown
    rivals = [t for t in scored if t["name"] and t is not best]
    lines = [
        f"{title(best)} has {best['score']:.3f} and {title(rival)} {rival['score']:.3f}, "
        f"a difference of {best['score'] - rival['score']:.3f}."
        for rival in sorted(rivals, key=lambda t: int(t["number"]))
    ]
    if best["name"]:
        lines.insert(0, f"No trial did better than {title(best)}.")
    return (" ".join(lines), unknown) if lines else (unknown,)


def _paired(held: Mapping[str, Any]) -> str:
    span = interval(held["low"], held["high"])
    figure = f"{held['difference']:+.3f} ({span}) against {held['against']}, paired, on {held['on']}"
    more = {LOSES: f" Keep {held['against']}.", OPEN: " The interval holds zero."}.get(verdict(held), "")
    return f"The best recipe {verdict(held)}: {figure}.{more}"


def verdict(held: Mapping[str, Any]) -> str:
    """Whether the best recipe is above the one it is compared with, in a word or two."""
    if held["low"] > 0:
        return WINS
    return LOSES if held["high"] < 0 else OPEN


def title(trial: Trial) -> str:
    """A trial's name for people."""
    return f"trial {trial['number']} ({trial['name']})" if trial["name"] else f"trial {trial['number']}"


def _settings(scored: Sequence[Trial], facts: Mapping[str, Any]) -> Section:
    if not scored or scored[0]["state"] != "finished":
        return Section(title="The best recipe", parts=(Text(paragraphs=("There is none yet.",)),))
    fixed = next((t for t in scored if t["name"] == "published"), None)
    best, base = scored[0]["settings"], fixed["settings"] if fixed else {}
    rows = tuple((name, _text(best.get(name)), _text(base.get(name))) for name in sorted({*best, *base}))
    file = f" It stands in {facts['best']}, which rajobs train --recipe takes as it is." if facts.get("best") else ""
    return Section(
        title="The best recipe",
        lead=f"{words(title(scored[0]))} beside the published one.{file}",
        parts=(PageTable(columns=("setting", "best", "published"), rows=rows),),
    )


def _text(value: Any) -> Cell:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    return value if value is None else str(value)


def _curves(study: Study, trials: Sequence[Trial], scored: Sequence[Trial]) -> Section:
    curves = {title(trial): [float(value) for value in trial["curve"]] for trial in trials}
    if not any(curves.values()):
        return Section(title="Curves", parts=(Text(paragraphs=("No trial has ended an epoch.",)),))
    named = [title(scored[0])] if scored else []
    named += [title(trial) for trial in trials if trial["name"] and title(trial) not in named]
    image = draw.trial_curves(curves, named, words(study.headline.split(".")[1]))
    caption = "Score on the validation part by epoch. Grey: the other trials; a line that ends early was stopped."
    return Section(title="Curves", parts=(Figures(figures=(Figure(png=image, caption=caption, wide=True),)),))


def _mattered(study: Study, scored: Sequence[Trial], facts: Mapping[str, Any]) -> Section:
    parts: list[Part] = []
    axes = sorted({name for trial in scored for name in trial["settings"]})
    axes = [name for name in axes if len({str(trial["settings"].get(name)) for trial in scored}) > 1]
    if len(scored) >= ENOUGH and axes:
        names = short_names(axes)
        columns = {names[axis]: [trial["settings"].get(axis) for trial in scored] for axis in axes}
        metric = words(study.headline.split(".")[1])
        image = draw.parallel(columns, [float(trial["score"]) for trial in scored], metric)
        caption = "Each line is a trial, through its settings to its score. Darker is better; the best is orange."
        parts.append(Figures(figures=(Figure(png=image, caption=caption, wide=True),)))
    if facts.get("importance"):
        shares = {str(name): float(value) for name, value in facts["importance"].items()}
        names = short_names(sorted(shares))
        image = draw.importance({names[name]: value for name, value in shares.items()})
        caption = "How much of the spread of scores each setting explains. It says nothing of the direction."
        parts.append(Figures(figures=(Figure(png=image, caption=caption),)))
    else:
        parts.append(Text(paragraphs=("Too few trials ended to say how much each setting matters.",)))
    return Section(title="What mattered", parts=tuple(parts))


def short_names(paths: Sequence[str]) -> dict[str, str]:
    """The last word of each dotted path, or as many as it takes to tell them apart."""
    found: dict[str, str] = {}
    for path in paths:
        words_ = path.split(".")
        for count in range(1, len(words_) + 1):
            tail = ".".join(words_[-count:])
            if sum(other == tail or other.endswith(f".{tail}") for other in paths) == 1:
                break
        found[path] = tail.replace("_", " ")
    return found


def _table(trials: Sequence[Trial], scored: Sequence[Trial]) -> Section:
    axes = sorted({name for trial in trials for name in trial["settings"]})
    axes = [name for name in axes if len({str(trial["settings"].get(name)) for trial in trials}) > 1]
    names = short_names(axes)
    rest = sorted((trial for trial in trials if trial["score"] is None), key=lambda t: int(t["number"]))
    rows: list[tuple[Cell, ...]] = []
    for trial in [*scored, *rest]:
        hours = None if trial["hours"] is None else f"{trial['hours']:.2f}"
        settings = [_text(trial["settings"].get(axis)) for axis in axes]
        score = None if trial["score"] is None else float(trial["score"])
        state = trial["cause"] if _late(trial) else STATES[trial["state"]]
        rows.append((title(trial), score, state, trial["epochs"], hours, *settings))
    columns = ("trial", "score", "state", "epochs", "hours", *(names[axis] for axis in axes))
    same = {name: value for name, value in (scored[0]["settings"] if scored else {}).items() if name not in axes}
    parts: list[Part] = [PageTable(columns=columns, rows=tuple(rows), strong=(0,) if scored else ())]
    if same:
        parts.append(Facts(pairs=tuple((name, _text(value)) for name, value in sorted(same.items()))))
    lead = "Best first, those that were stopped below." + (
        " Settings that no trial changed stand below." if same else ""
    )
    return Section(title="All trials", lead=lead, parts=tuple(parts))


def _failed(trials: Sequence[Trial]) -> Section:
    rows = tuple((title(trial), trial["cause"] or "unknown") for trial in trials if trial["state"] == "failed")
    if not rows:
        return Section(title="Failures", parts=(Text(paragraphs=("No trial failed.",)),))
    lead = "A trial that fails is a result too: the sweep goes on without it."
    return Section(title="Failures", lead=lead, parts=(PageTable(columns=("trial", "cause"), rows=rows),))
