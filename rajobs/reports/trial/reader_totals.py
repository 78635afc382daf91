"""The section of evaluate's page about totals of hands and feet by each reader, beside the model's."""

from collections.abc import Sequence

import numpy as np

from rajobs.learning.judging.readers.totals import MEAN, MODEL, HandReading, Totals
from rajobs.records.tables.schemas import MEASURES
from rajobs.reports import figures as draw
from rajobs.reports.page import Figure, Figures, PageTable, Part, Section
from rajobs.reports.reliability import TOTAL_TABLES, figure_cells
from rajobs.reports.wording import format_figure, humanize

SHOWN = "svdh"  # the total whose every comparison is shown; of the others the model's with the readers' mean


def reader_total_sections(
    readings: Sequence[HandReading], compared: Sequence[Totals], drawn: dict[str, bytes]
) -> list[Section]:
    """None where no reader is named. The figures' PNG are added to `drawn`."""
    if not compared:
        return []
    shown = [each for each in compared if each.measure == SHOWN or (each.who, each.against) == (MODEL, MEAN)]
    parts: list[Part] = [
        PageTable(
            columns=("compared", "total", "n (patients)", *names.values()),
            rows=tuple(
                (
                    f"{humanize(each.who)}, {each.against}", f"{MEASURES[each.measure]}, {each.part}",
                    f"{len(each.one)} ({each.patients})", *figure_cells(each.figures, names, digits),
                )
                for each in shown
            ),
            caption=caption,
        )
        for (caption, names), digits in zip(TOTAL_TABLES.items(), (2, 1), strict=True)
    ]  # fmt: skip
    parts.append(Figures(figures=tuple(_figures(readings, compared, drawn))))
    lead = (
        "Each hand's total by each reader, on the sites that all of its readers scored, and the model's expected total "
        "on the same sites. Where readers differ from one another, a model cannot be expected to agree with them more."
    )
    return [Section(title="Totals by reader", lead=lead, parts=tuple(parts))]


def _figures(readings: Sequence[HandReading], compared: Sequence[Totals], drawn: dict[str, bytes]) -> list[Figure]:
    figures = []
    for part in dict.fromkeys(each.part for each in compared):
        of_part = [each for each in compared if (each.part, each.measure) == (part, SHOWN)]
        with_mean = next((each for each in of_part if each.against == MEAN), of_part[0])
        image = draw.scatter(np.array(with_mean.other), np.array(with_mean.one), with_mean.against, "expected total")
        drawn[f"{part}-readers.png"] = image
        known = with_mean.figures["pearson"]
        pearson = format_figure(known) or f"{known['value']:.3f}"
        caption = f"JSN and erosion of each {part}: expected total and {with_mean.against}; Pearson {pearson}."
        hands = [each for each in readings if (each.part, each.measure) == (part, SHOWN)]
        groups = {
            humanize(who): np.array([total for each in hands if (total := each.of(who)) is not None])
            for who in (MODEL, *sorted({name for each in hands for name in each.by_reader}))
        }
        steps = draw.steps(groups, "total of JSN and erosion", f"{part}s" if part == "hand" else "feet")
        drawn[f"{part}-reader-totals.png"] = steps
        figures += [
            Figure(png=image, caption=caption),
            Figure(png=steps, caption=f"Totals of JSN and erosion of each {part}, by the model and by each reader."),
        ]
    return figures
