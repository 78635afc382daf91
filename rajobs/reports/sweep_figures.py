"""Figures of a sweep: the curves of its trials, their settings as parallel lines, and each setting's importance."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure

from rajobs.reports.figures import (
    COLOURS,
    FAINT,
    INK,
    SOFT,
    Reals,
    add_legend,
    new_figure,
    style_axes,
    to_png,
    whole_number_ticks,
)

Setting = str | int | float | bool | None
FEW = 5  # up to this many distinct values each get a tick
LOG_FROM = 30.0  # an axis whose values span more than this factor is logarithmic
OTHERS = "#b3bdc4"  # grey, of the trials without a name in the legend


@dataclass(frozen=True, kw_only=True)
class SettingAxis:
    """A setting's axis: one position from 0 to 1 per trial (NaN where it is not set), and the labelled ticks."""

    name: str
    positions: Reals
    ticks: tuple[tuple[float, str], ...]


def trial_curves(curves: Mapping[str, Sequence[float]], named: Sequence[str], metric: str) -> bytes:
    """The score of every trial by epoch; the named ones in colour, the others grey."""
    figure, axes = new_figure(9.2, 3.8)
    for name, values in curves.items():
        if name not in named and len(values):
            axes.plot(range(1, len(values) + 1), values, color=OTHERS, linewidth=1.0, zorder=2)
            axes.plot(len(values), values[-1], ".", color=OTHERS, markersize=5, zorder=2)
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
    axes.xaxis.set_major_locator(whole_number_ticks())
    add_legend(axes, "lower right")
    return to_png(figure)


def importance(shares: Mapping[str, float]) -> bytes:
    """How much of the variation in score each setting explains, the greatest on top."""
    ordered = sorted(shares.items(), key=lambda row: (-row[1], row[0]))
    figure, axes = new_figure(6.4, 0.9 + 0.38 * len(ordered))
    places = range(len(ordered))
    axes.barh(places, [value for _, value in ordered], height=0.62, color=COLOURS[0])
    for place, (_, value) in zip(places, ordered):
        axes.text(value + 0.01, place, f"{100 * value:.0f} %", va="center", fontsize=9, color=INK)
    axes.set_yticks(places, [name for name, _ in ordered])
    axes.invert_yaxis()
    axes.grid(False, axis="y")
    axes.set_xlim(0, max([1e-3, *shares.values()]) * 1.15)
    axes.set_xlabel("share of the variation in score", color=INK)
    return to_png(figure)


def parallel(columns: Mapping[str, Sequence[Setting]], scores: Sequence[float], metric: str) -> bytes:
    """One line per trial through its settings to its score: the darker, the better; the best is orange."""
    setting_axes = [build_axis(name, values) for name, values in columns.items()]
    setting_axes.append(build_axis(metric, list(scores)))
    width = max(7.5, 1.35 * len(setting_axes))
    figure = Figure(figsize=(width, 4.6), dpi=150, layout="constrained", facecolor="white")
    axes = style_axes(figure.add_subplot())
    axes.set_axis_off()
    places = np.arange(len(setting_axes))
    values = np.array(scores, dtype=float)
    span = Normalize(values.min(), values.max() if values.max() > values.min() else values.min() + 1)
    shades = LinearSegmentedColormap.from_list("shades", ["#d5dee3", "#6fa3bf", "#0f3d57"])
    best = int(np.argmax(values))
    for trial in np.argsort(values, kind="stable"):
        y = np.array([axis.positions[trial] for axis in setting_axes])
        colour = COLOURS[1] if trial == best else shades(span(values[trial]))
        axes.plot(places, y, color=colour, linewidth=2.6 if trial == best else 1.3, zorder=2.0 + (trial == best))
    for place, axis in zip(places, setting_axes):
        _draw_setting_axis(axes, float(place), axis)
    axes.set_xlim(-0.35, len(setting_axes) - 0.4)
    axes.set_ylim(-0.12, 1.22)
    bar = figure.colorbar(ScalarMappable(span, shades), ax=axes, shrink=0.7, pad=0.01, aspect=30)
    bar.outline.set_visible(False)
    bar.ax.tick_params(colors=SOFT, labelcolor=INK, labelsize=8)
    return to_png(figure)


def _draw_setting_axis(axes: Axes, place: float, axis: SettingAxis) -> None:
    axes.plot([place, place], [0, 1], color=SOFT, linewidth=1.0, zorder=4)
    axes.text(place, 1.07, axis.name, ha="center", va="bottom", fontsize=9, color=INK, fontweight="bold")
    for position, label in axis.ticks:
        axes.plot([place - 0.03, place + 0.03], [position, position], color=SOFT, linewidth=1.0, zorder=4)
        box = {"facecolor": "white", "edgecolor": FAINT, "boxstyle": "round,pad=0.15", "alpha": 0.85}
        axes.text(place + 0.06, position, label, va="center", fontsize=8, color=INK, zorder=5, bbox=box)


def build_axis(name: str, values: Sequence[Setting]) -> SettingAxis:
    """The axis of a setting: numbers to scale (logarithmic over a wide range), anything else in equal steps."""
    known = [value for value in values if value is not None]
    if any(isinstance(value, str | bool) for value in known):
        classes = sorted({_format_class(value) for value in known})
        steps = {value: number / max(len(classes) - 1, 1) for number, value in enumerate(classes)}
        positions = np.array([np.nan if value is None else steps[_format_class(value)] for value in values])
        labels = tuple((position, _shorten(value)) for value, position in steps.items())
        return SettingAxis(name=name, positions=positions, ticks=labels)
    numbers = np.array([np.nan if value is None else float(value) for value in values])
    low, high = float(np.nanmin(numbers)), float(np.nanmax(numbers))
    if high == low:
        return SettingAxis(name=name, positions=numbers * 0 + 0.5, ticks=((0.5, f"{low:.3g}"),))
    logarithmic = low > 0 and high / low > LOG_FROM
    scaled = np.log10(numbers) if logarithmic else numbers
    bottom, top = (np.log10(low), np.log10(high)) if logarithmic else (low, high)
    positions = (scaled - bottom) / (top - bottom)
    ticks = {float(value): position for value, position in zip(numbers, positions) if not np.isnan(value)}
    if len(ticks) > FEW:
        middle = 10 ** ((bottom + top) / 2) if logarithmic else (low + high) / 2
        ticks = {low: 0.0, middle: 0.5, high: 1.0}
    labels = tuple((position, f"{value:.3g}") for value, position in ticks.items())
    return SettingAxis(name=name, positions=positions, ticks=labels)


def _format_class(value: Setting) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def _shorten(text: str, most: int = 14) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
