"""Figures as PNG bytes: the same bytes for the same input. Without pyplot, which keeps state and opens windows."""

import io
from collections.abc import Mapping, Sequence
from typing import Literal

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Reals = NDArray[np.floating]
Flags = NDArray[np.bool_]

COLOURS = ("#1f6286", "#c8643c", "#3f8f6b", "#7a5c99", "#b58a1f", "#5f6b73", "#a8446a", "#2f9aa8")
"""Most colour-blind readers can distinguish them, and so can a black and white print, by their lightness."""
INK, SOFT, FAINT = "#1b2730", "#5b6a74", "#dde3e7"
DASHES = ("-", "--", ":")


def new_figure(width: float = 5.6, height: float = 4.0) -> tuple[Figure, Axes]:
    """A figure with one styled pair of axes; sizes in inches."""
    figure = Figure(figsize=(width, height), dpi=150, layout="constrained", facecolor="white")
    return figure, style_axes(figure.add_subplot())


def style_axes(axes: Axes) -> Axes:
    """Give axes two thin spines and a faint grid."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(SOFT)
    axes.tick_params(colors=SOFT, labelcolor=INK, labelsize=9, length=3)
    axes.grid(True, color=FAINT, linewidth=0.8)
    axes.set_axisbelow(True)
    return axes


def to_png(figure: Figure) -> bytes:
    """The figure's PNG, without a version or a date in it."""
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        text.set_parse_math(False)  # a dollar sign in a name is a dollar sign
    out = io.BytesIO()
    figure.savefig(out, format="png", metadata={"Software": None})
    return out.getvalue()


def image_png(pixels: NDArray[np.uint8]) -> bytes:
    """An RGB picture as it is, pixel by pixel."""
    encoded, data = cv2.imencode(".png", pixels[..., ::-1])  # OpenCV encodes BGR
    assert encoded
    return bytes(data)


def whole_number_ticks() -> MaxNLocator:
    """Ticks at whole numbers only."""
    return MaxNLocator(nbins="auto", integer=True, steps=[1, 2, 5, 10])


def add_legend(axes: Axes, place: Literal["best", "lower right", "upper left"] = "best") -> None:
    """Add a legend without a frame if any artist has a label."""
    if axes.get_legend_handles_labels()[1]:
        axes.legend(frameon=False, fontsize=9, loc=place)


def confusion(matrix: Ints, classes: Sequence[str]) -> bytes:
    """A confusion matrix, truth down and answer across; the shade is the share of the row."""
    size = max(4.2, 1.6 + 0.62 * len(classes))
    figure, axes = new_figure(size + 0.9, size)
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    shades = LinearSegmentedColormap.from_list("shades", ["#ffffff", "#cfe1ea", COLOURS[0]])
    axes.imshow(share, cmap=shades, vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(matrix):
        colour = "white" if share[row, column] > 0.6 else INK
        axes.text(column, row, f"{count:,}", ha="center", va="center", color=colour, fontsize=10)
    axes.set_xticks(range(len(classes)), classes, rotation=30 if max(map(len, classes)) > 5 else 0)
    axes.set_yticks(range(len(classes)), classes)
    axes.grid(False)
    axes.set_xlabel("answer", color=INK)
    axes.set_ylabel("truth", color=INK)
    return to_png(figure)


def roc(truth: Ints, p: Reals, classes: Sequence[str], *, others: Mapping[str, tuple[Ints, Reals]]) -> bytes:
    """One-vs-rest curves, one colour per class; `others` (the training part) are thin and dashed."""
    figure, axes = new_figure(5.2, 4.8)
    axes.plot([0, 1], [0, 1], color=FAINT, linewidth=1.2)
    drawn_classes = [1] if len(classes) == 2 else list(range(len(classes)))
    for number in drawn_classes:
        colour = COLOURS[number % len(COLOURS)]
        for order, (name, (true, values)) in enumerate({"": (truth, p), **others}.items()):
            curve = roc_curve(true == number, values[:, number])
            if curve is None:
                continue
            label = None if name else classes[number]
            axes.plot(*curve, DASHES[min(order, 2)], color=colour, linewidth=1.0 if order else 2.0, label=label)
    format_unit_square(axes, "1 − specificity", "sensitivity")
    add_legend(axes, "lower right")
    return to_png(figure)


def roc_curve(positive: Flags, score: Reals) -> tuple[Reals, Reals] | None:
    """False and true positive rates at every threshold, at most 400 of them; None if a class is empty."""
    positives, negatives = int(positive.sum()), int((~positive).sum())
    if not positives or not negatives:
        return None
    order = np.argsort(-score, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(score[order])), len(score) - 1)
    true = np.concatenate([[0.0], np.cumsum(positive[order])[ends] / positives])
    false = np.concatenate([[0.0], np.cumsum(~positive[order])[ends] / negatives])
    keep = np.unique(np.linspace(0, len(true) - 1, 400).astype(int))
    return false[keep], true[keep]


def reliability(confidence: Reals, right: Flags) -> bytes:
    """How often answers are right, by their probability in ten bins; a dot's size is its share of the answers."""
    figure, axes = new_figure(5.2, 4.8)
    axes.plot([0, 1], [0, 1], color=SOFT, linewidth=1.0, linestyle="--", label="perfect calibration")
    bins = np.minimum((confidence * 10).astype(int), 9)
    filled = np.unique(bins)
    x = np.array([confidence[bins == b].mean() for b in filled])
    y = np.array([right[bins == b].mean() for b in filled])
    shares = np.array([np.mean(bins == b) for b in filled])
    axes.plot(x, y, color=COLOURS[0], linewidth=1.2)
    axes.scatter(x, y, s=30 + 300 * shares, color=COLOURS[0], zorder=3)
    format_unit_square(axes, "probability of the answer", "share of right answers")
    add_legend(axes, "upper left")
    return to_png(figure)


def format_unit_square(axes: Axes, x: str, y: str) -> None:
    """Both axes from 0 to 1, equally long."""
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.set_aspect("equal")
    axes.set_xlabel(x, color=INK)
    axes.set_ylabel(y, color=INK)


def scatter(x: Reals, y: Reals, x_name: str, y_name: str) -> bytes:
    """Two measurements of the same things, with the line of equality."""
    figure, axes = new_figure(5.2, 4.8)
    most = 1.05 * max(float(x.max(initial=1)), float(y.max(initial=1)))
    axes.plot([0, most], [0, most], color=SOFT, linewidth=1.0, linestyle="--", label="equal")
    axes.scatter(x, y, s=16, color=COLOURS[0], alpha=0.5, linewidths=0)
    axes.set_xlim(0, most)
    axes.set_ylim(0, most)
    axes.set_aspect("equal")
    axes.set_xlabel(x_name, color=INK)
    axes.set_ylabel(y_name, color=INK)
    add_legend(axes, "upper left")
    return to_png(figure)


def differences(mean: Reals, difference: Reals, lines: Sequence[float]) -> bytes:
    """Differences of two measurements by their mean; lines: the mean difference, then its limits of agreement."""
    figure, axes = new_figure(5.6, 4.8)
    for number, height in enumerate(lines):
        axes.axhline(height, color=COLOURS[1], linewidth=1.4, linestyle="--" if number else "-")
    axes.scatter(mean, difference, s=16, color=COLOURS[0], alpha=0.5, linewidths=0)
    axes.set_xlabel("mean of both", color=INK)
    axes.set_ylabel("difference", color=INK)
    return to_png(figure)


def cumulative(groups: Mapping[str, Reals], y: str, line: float | None) -> bytes:
    """Cumulative probability plot: each group's values in order, by the share of values up to each.

    `line`: a height to mark above and below 0.
    """
    figure, axes = new_figure(5.6, 4.2)
    axes.axhline(0, color=SOFT, linewidth=0.8)
    for height in () if line is None else (line, -line):
        axes.axhline(height, color=SOFT, linewidth=1.2, linestyle=":")
    for number, (name, values) in enumerate(groups.items()):
        share = (np.arange(len(values)) + 0.5) / max(len(values), 1)
        axes.plot(share, np.sort(values), color=COLOURS[number], marker=".", markersize=4, linewidth=1.4, label=name)
    axes.set_xlim(0, 1)
    axes.set_xlabel("cumulative share of patients", color=INK)
    axes.set_ylabel(y, color=INK)
    add_legend(axes, "upper left")
    return to_png(figure)


def risk_coverage(curves: Mapping[str, tuple[Reals, Reals]], error: float, best: str) -> bytes:
    """The error that is left by the share reviewed: curves by name, the first thick, the one named `best` dotted."""
    figure, axes = new_figure(7.6, 4.4)
    axes.axhline(error, color=SOFT, linewidth=1.0, linestyle="--", label="by chance")
    for number, (name, (share, left)) in enumerate(curves.items()):
        colour, dash = (SOFT, ":") if name == best else (COLOURS[number % len(COLOURS)], "-")
        axes.plot([*share, 1.0], [*left, left[-1]], dash, color=colour, linewidth=1.2 if number else 2.6, label=name)
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(0, 2 * error)  # what is left at the end of a curve is a few hands'
    axes.set_xlabel("share of hands reviewed", color=INK)
    axes.set_ylabel("error of a score in the others", color=INK)
    add_legend(axes)
    return to_png(figure)


def learning_curves(curves: Mapping[str, Mapping[str, Sequence[float | None]]], metric: str) -> bytes:
    """Curves of each member by epoch: `loss` and `accuracy` in training (dashed) and validation, and `metric`.

    A panel that no member has values for is left out, and so is that of a metric which the accuracy's shows already.
    """
    panels = {"loss": "loss", "accuracy": "share right", "metric": metric}
    if metric.lower() == "accuracy" and _has_values(curves, "validation_accuracy"):
        del panels["metric"]
    panels = {name: title for name, title in panels.items() if name == "loss" or _has_values(curves, name)}
    figure = Figure(figsize=(4.6 * len(panels), 3.8), dpi=150, layout="constrained", facecolor="white")
    for column, (name, title) in enumerate(panels.items(), 1):
        axes = style_axes(figure.add_subplot(1, len(panels), column))
        for number, (member, columns) in enumerate(curves.items()):
            colour, of_validation = COLOURS[number % len(COLOURS)], columns.get(f"validation_{name}", ())
            if name == "metric":
                _draw_curve(axes, columns[name], member, colour, "-")
            else:
                _draw_curve(axes, columns.get(name, ()), f"{member}, training", colour, "--")
                _draw_curve(axes, of_validation, f"{member}, validation", colour, "-")
        axes.set_xlabel("epoch", color=INK)
        axes.set_ylabel(title, color=INK)
        axes.xaxis.set_major_locator(whole_number_ticks())
        if name != "loss":
            axes.set_ylim(top=max(1.0, axes.get_ylim()[1]))
        add_legend(axes)
    return to_png(figure)


def _has_values(curves: Mapping[str, Mapping[str, Sequence[float | None]]], name: str) -> bool:
    return any(value is not None for columns in curves.values() for value in columns.get(name, ()))


def _draw_curve(axes: Axes, values: Sequence[float | None], label: str, colour: str, dash: str) -> None:
    y = np.array([np.nan if value is None else value for value in values], dtype=float)
    known = np.flatnonzero(~np.isnan(y))
    if not len(known):
        return
    marker = "o" if len(known) == 1 or len(known) < len(y) else ""  # points say which are known
    axes.plot(known + 1, y[known], dash, color=colour, marker=marker, linewidth=1.8, label=label)


def histogram(
    groups: Mapping[str, Reals],
    x: str,
    *,
    bounds: tuple[float, float] = (0.0, 1.0),
    bins: int = 20,
    counts: Mapping[str, Ints] | None = None,
) -> bytes:
    """A stacked histogram of groups of values; `counts`: how often each value occurs, where that is not once."""
    figure, axes = new_figure(5.6, 3.8)
    values = [np.asarray(group, dtype=float) for group in groups.values()]
    colours = [COLOURS[at % len(COLOURS)] for at in range(len(values))]
    if values:
        edges, weights = list(np.linspace(*bounds, bins + 1)), list(counts.values()) if counts else None
        axes.hist(
            values, bins=edges, weights=weights, stacked=True, color=colours, label=list(groups), edgecolor="white"
        )
    axes.set_xlim(*bounds)
    axes.set_xlabel(x, color=INK)
    axes.set_ylabel("rows", color=INK)
    axes.yaxis.set_major_locator(whole_number_ticks())
    add_legend(axes)
    return to_png(figure)


def steps(groups: Mapping[str, Reals], x: str, y: str) -> bytes:
    """Outlines of histograms of several groups of values, in the same bins."""
    figure, axes = new_figure(5.6, 4.2)
    most = max((float(values.max(initial=1)) for values in groups.values()), default=1.0)
    edges = np.linspace(0, most * 1.001, 16)
    for number, (name, values) in enumerate(groups.items()):
        height = np.histogram(values, edges)[0]
        colour = COLOURS[number % len(COLOURS)]
        axes.stairs(height, edges, color=colour, linewidth=1.6, linestyle=DASHES[number % 3], label=name)
    axes.set_xlabel(x, color=INK)
    axes.set_ylabel(y, color=INK)
    axes.yaxis.set_major_locator(whole_number_ticks())
    add_legend(axes)
    return to_png(figure)


def counts(groups: Mapping[str, Ints], classes: Sequence[str], x: str) -> bytes:
    """Counts of each class, one bar per group side by side: those of the truth and of the model, for example."""
    figure, axes = new_figure(5.6, 3.8)
    width = 0.8 / max(len(groups), 1)
    for at, (name, values) in enumerate(groups.items()):
        positions = np.arange(len(classes)) + (at - (len(groups) - 1) / 2) * width
        axes.bar(positions, values, width * 0.94, color=COLOURS[at % len(COLOURS)], label=name)
    axes.set_xticks(range(len(classes)), classes)
    axes.grid(False, axis="x")
    axes.set_xlabel(x, color=INK)
    axes.set_ylabel("rows", color=INK)
    axes.yaxis.set_major_locator(whole_number_ticks())
    add_legend(axes)
    return to_png(figure)


SPREAD_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
"""The quantiles that `spread` draws."""


def spread(groups: Mapping[str, Sequence[float]], x: str) -> bytes:
    """Five quantiles per group of values from 0 to 1: a line, a box of the middle half and a mark at the median."""
    figure, axes = new_figure(5.6, 0.9 + 0.55 * max(len(groups), 1))
    for at, (name, quantiles) in enumerate(groups.items()):
        colour = COLOURS[at % len(COLOURS)]
        if quantiles:
            low, first, middle, third, high = quantiles
            axes.plot([low, high], [at, at], color=colour, linewidth=1.4)
            axes.barh(at, max(third - first, 0.004), left=first, height=0.5, color=colour, alpha=0.45)
            axes.plot([middle, middle], [at - 0.25, at + 0.25], color=colour, linewidth=2.4)
        axes.text(-0.02, at, name, ha="right", va="center", fontsize=9, color=INK)
    axes.set_yticks([])
    axes.set_xlim(0, 1.01)
    axes.set_ylim(len(groups) - 0.4, -0.6)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(x, color=INK)
    return to_png(figure)


def intervals(values: Mapping[str, Mapping[str, float]], leads: Mapping[str, Mapping[str, float]], x: str) -> bytes:
    """Figures (value, low, high) by name as dots with their intervals, and paired differences around a line at 0."""
    panels = [(values, x), *([(leads, "paired difference")] if leads else [])]
    figure = Figure(
        figsize=(4.6 * len(panels), 1.2 + 0.42 * max(len(values), len(leads), 1)), dpi=150, layout="constrained",
        facecolor="white",
    )  # fmt: skip
    for column, (several, title) in enumerate(panels, 1):
        axes = style_axes(figure.add_subplot(1, len(panels), column))
        if column > 1:
            axes.axvline(0, color=SOFT, linewidth=1.0, linestyle="--")
        for at, of in enumerate(several.values()):
            colour = COLOURS[(at + column - 1) % len(COLOURS)]
            axes.plot([of["low"], of["high"]], [at, at], color=colour, linewidth=1.8)
            axes.plot([of["value"]], [at], "o", color=colour, markersize=6)
        axes.set_yticks(range(len(several)), list(several))
        axes.set_ylim(len(several) - 0.5, -0.5)
        axes.set_xlabel(title, color=INK)
    return to_png(figure)
