"""Figures of a sweep: its trials' curves, their settings as parallel lines, and what each axis mattered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure

from rajobs.reports.figures import COLOURS, FAINT, INK, SOFT, Reals, blank, calm, legend, png, whole

Setting = str | int | float | bool | None
FEW = 5  # values of an axis that are all named beside it
LOG_FROM = 30.0  # an axis whose values span more than this factor is drawn in powers


@dataclass(frozen=True, kw_only=True)
class Axis:
    """A setting's place on its line, 0 to 1 a trial (NaN: not set), and the labels beside it."""

    name: str
    at: Reals
    ticks: tuple[tuple[float, str], ...]


def trial_curves(curves: Mapping[str, Sequence[float]], named: Sequence[str], metric: str) -> bytes:
    """The score of every trial by epoch; the named ones in colour, the others grey."""
    figure, axes = blank(9.2, 3.8)
    for name, values in curves.items():
        if name not in named and len(values):
            axes.plot(range(1, len(values) + 1), values, color="#b3bdc4", linewidth=1.0, zorder=2)
            axes.plot(len(values), values[-1], ".", color="#b3bdc4", markersize=5, zorder=2)
    for at, name in enumerate(named):
        values = curves.get(name, ())
        if len(values):
            colour = COLOURS[at % len(COLOURS)]
            axes.plot(
                range(1, len(values) + 1), values, color=colour, linewidth=2.2, zorder=3, marker="o", markersize=3,
                label=name,
            )  # fmt: skip
    axes.set_xlabel("epoch", color=INK)
    axes.set_ylabel(metric, color=INK)
    axes.xaxis.set_major_locator(whole())
    legend(axes, "lower right")
    return png(figure)


def importance(shares: Mapping[str, float]) -> bytes:
    """How much of the score's spread each axis explains, the greatest on top."""
    ordered = sorted(shares.items(), key=lambda row: (-row[1], row[0]))
    figure, axes = blank(6.4, 0.9 + 0.38 * len(ordered))
    places = range(len(ordered))
    axes.barh(places, [value for _, value in ordered], height=0.62, color=COLOURS[0])
    for place, (_, value) in zip(places, ordered):
        axes.text(value + 0.01, place, f"{100 * value:.0f} %", va="center", fontsize=9, color=INK)
    axes.set_yticks(places, [name for name, _ in ordered])
    axes.invert_yaxis()
    axes.grid(False, axis="y")
    axes.set_xlim(0, max([1e-3, *shares.values()]) * 1.15)
    axes.set_xlabel("share of the score's spread", color=INK)
    return png(figure)


def parallel(columns: Mapping[str, Sequence[Setting]], scores: Sequence[float], metric: str) -> bytes:
    """Every trial a line through its settings to its score; the darker, the better, the best one in orange."""
    axes_of = [scale(name, values) for name, values in columns.items()]
    axes_of.append(scale(metric, list(scores)))
    width = max(7.5, 1.35 * len(axes_of))
    figure = Figure(figsize=(width, 4.6), dpi=150, layout="constrained", facecolor="white")
    axes = calm(figure.add_subplot())
    axes.set_axis_off()
    places = np.arange(len(axes_of))
    values = np.array(scores, dtype=float)
    span = Normalize(values.min(), values.max() if values.max() > values.min() else values.min() + 1)
    shades = LinearSegmentedColormap.from_list("shades", ["#d5dee3", "#6fa3bf", "#0f3d57"])
    best = int(np.argmax(values))
    for trial in np.argsort(values, kind="stable"):
        y = np.array([axis.at[trial] for axis in axes_of])
        colour = COLOURS[1] if trial == best else shades(span(values[trial]))
        axes.plot(places, y, color=colour, linewidth=2.6 if trial == best else 1.3, zorder=2.0 + (trial == best))
    for place, axis in zip(places, axes_of):
        _post(axes, float(place), axis)
    axes.set_xlim(-0.35, len(axes_of) - 0.4)
    axes.set_ylim(-0.12, 1.22)
    bar = figure.colorbar(ScalarMappable(span, shades), ax=axes, shrink=0.7, pad=0.01, aspect=30)
    bar.outline.set_visible(False)
    bar.ax.tick_params(colors=SOFT, labelcolor=INK, labelsize=8)
    return png(figure)


def _post(axes: Axes, place: float, axis: Axis) -> None:
    axes.plot([place, place], [0, 1], color=SOFT, linewidth=1.0, zorder=4)
    axes.text(place, 1.07, axis.name, ha="center", va="bottom", fontsize=9, color=INK, fontweight="bold")
    for at, label in axis.ticks:
        axes.plot([place - 0.03, place + 0.03], [at, at], color=SOFT, linewidth=1.0, zorder=4)
        box = {"facecolor": "white", "edgecolor": FAINT, "boxstyle": "round,pad=0.15", "alpha": 0.85}
        axes.text(place + 0.06, at, label, va="center", fontsize=8, color=INK, zorder=5, bbox=box)


def scale(name: str, values: Sequence[Setting]) -> Axis:
    """Numbers on a line (in powers where they span much), anything else at equal steps."""
    set_ = [value for value in values if value is not None]
    if any(isinstance(value, str | bool) for value in set_):
        classes = sorted({_text(value) for value in set_})
        steps = {value: at / max(len(classes) - 1, 1) for at, value in enumerate(classes)}
        at = np.array([np.nan if value is None else steps[_text(value)] for value in values])
        return Axis(name=name, at=at, ticks=tuple((place, _short(value)) for value, place in steps.items()))
    numbers = np.array([np.nan if value is None else float(value) for value in values])
    low, high = float(np.nanmin(numbers)), float(np.nanmax(numbers))
    powers = low > 0 and high / low > LOG_FROM
    drawn = np.log10(numbers) if powers else numbers
    bottom, top = (np.log10(low), np.log10(high)) if powers else (low, high)
    if high == low:
        return Axis(name=name, at=drawn * 0 + 0.5, ticks=((0.5, f"{low:.3g}"),))
    at = (drawn - bottom) / (top - bottom)
    chosen = {float(value): place for value, place in zip(numbers, at) if not np.isnan(value)}
    if len(chosen) > FEW:
        middle = 10 ** ((bottom + top) / 2) if powers else (low + high) / 2
        chosen = {low: 0.0, middle: 0.5, high: 1.0}
    return Axis(name=name, at=at, ticks=tuple((place, f"{value:.3g}") for value, place in chosen.items()))


def _text(value: Setting) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def _short(text: str, most: int = 14) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
