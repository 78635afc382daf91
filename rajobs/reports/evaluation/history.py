"""The curves of a training on evaluate's page: loss, share of right answers, and the headline metric by epoch."""

import pyarrow as pa

from rajobs.learning.study import Study
from rajobs.reports import figures as draw
from rajobs.reports.evaluation.figure_data import curve_data, figure_files
from rajobs.reports.page import Figure, Figures
from rajobs.reports.wording import humanize

COLUMNS = ("loss", "validation_loss", "accuracy", "validation_accuracy", "metric")
CAPTION = (
    "By epoch: loss and share of right answers, on the training rows as they were shown (dashed) and on the validation "
    "part, and the headline metric on the validation part. A network that does not answer the headline's target has "
    "the metric of its own."
)


def history_parts(study: Study, history: pa.Table | None, drawn: dict[str, bytes]) -> list[Figures]:
    """The figure's PNG is added to `drawn`; none without a history."""
    if history is None or not history.num_rows:
        return []
    curves = history_curves(history)
    image = draw.learning_curves(curves, humanize(study.headline.partition(".")[2]))
    figure = Figure(png=image, caption=CAPTION, wide=True, data=curve_data(curves, COLUMNS))
    drawn |= figure_files({"history.png": figure})
    return [Figures(figures=(figure,))]


def history_curves(history: pa.Table) -> dict[str, dict[str, list[float | None]]]:
    """A history table's columns by member, in the order of epochs."""
    curves: dict[str, dict[str, list[float | None]]] = {}
    for row in history.sort_by([("member", "ascending"), ("epoch", "ascending")]).to_pylist():
        columns = curves.setdefault(row["member"], {name: [] for name in COLUMNS})
        for name, values in columns.items():
            values.append(row[name])
    return curves
