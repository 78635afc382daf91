"""The sections of evaluate's page about the paper: its figures beside ours, its raters, and what its leak is worth."""

from collections.abc import Mapping, Sequence

from rajobs.learning.comparison import FigureByMetric, RaterFacts, SeededFacts
from rajobs.learning.recipe import Recipe
from rajobs.learning.study import Printed, Study
from rajobs.reports.page import Cell, PageTable, Part, Section, Text
from rajobs.reports.wording import format_count, format_figure, format_interval, humanize

Validation = Mapping[str, Mapping[str, float | None]]
"""The figures of a bundle on its validation part, or of its folds."""


def printed_sections(
    study: Study, figures: FigureByMetric, models: Sequence[tuple[Recipe, Validation]], is_seeded: bool
) -> list[Section]:
    """What the paper prints beside what is measured here; `is_seeded`: models learnt from drawings of test images."""
    rows: list[tuple[Cell, ...]] = []
    models = sorted(models, key=lambda model: model[0].leaks)  # where there is a model without a leak, it is shown
    both = any(printed.seeded for printed in study.printed)  # the paper has a model of each kind
    for printed in study.printed:
        other = both and printed.part == "test" and printed.seeded != is_seeded
        here = None if other else _counterpart(printed, figures, models)
        ours = (here["value"], format_interval(here["low"], here["high"])) if here else (None, None)
        rows.append((humanize(printed.what), float(printed.value), *ours))
    part: Part = Text(paragraphs=("The paper prints no figure for this question.",))
    if rows:
        part = PageTable(columns=("what the paper prints", "paper", "here", "95 % interval"), rows=tuple(rows))
    lead = (
        f"The figures of paper {study.paper} come from patients and from the authors' own split. If the images here "
        "are phantoms, the two columns are not comparable: the paper's column is for orientation only."
    )
    return [Section(title="Compared with the paper", lead=lead, parts=(part,))]


def _counterpart(
    printed: Printed, figures: FigureByMetric, models: Sequence[tuple[Recipe, Validation]]
) -> Mapping[str, float | None] | None:
    """Our figure of the same measure on the same part, where there is one."""
    metric = printed.metric or ""
    if printed.part == "test":
        return figures.get(metric)
    folds = printed.part == "folds"
    known = (validation.get(metric) for recipe, validation in models if bool(recipe.folds) == folds)
    return next((figure for figure in known if figure is not None), None)


def rater_sections(raters: Sequence[RaterFacts]) -> list[Section]:
    """How the two raters of the images that judge agree, and what becomes of the images on which they differ."""
    if not raters:
        return []
    rows: list[tuple[Cell, ...]] = [
        (
            humanize(each.target), each.read, each.differ, each.third, each.left_out,
            *(format_figure(figure) or figure["value"] for figure in each.agreement.figures.values()),
        )
        for each in raters
    ]  # fmt: skip
    lead = (
        "In published mode an image has the grade that most of its readers give: two raters, and a third where they "
        "differ. An image without a majority is left out. The agreement is that of the two readers with the most "
        "readings, on all images that both have read."
    )
    names = [f"{humanize(name)} of two raters" for name in raters[0].agreement.figures]
    columns = ("target", "images read", "raters differ", "read by a third", "left out", *names)
    return [Section(title="Raters", lead=lead, parts=(PageTable(columns=columns, rows=tuple(rows)),))]


def seeded_sections(seeded: SeededFacts | None) -> list[Section]:
    """The price of drawings that were modelled on images of the test part."""
    if seeded is None:
        return []
    rows: list[tuple[Cell, ...]] = [
        (
            humanize(name), format_figure(seeded.without[name]) or seeded.without[name]["value"],
            format_figure(seeded.change[name], signed=True) or seeded.change[name]["value"],
        )
        for name in seeded.without
    ]  # fmt: skip
    lead = (
        f"Of the images to learn from {seeded.drawings} were modelled on {format_count(seeded.images, 'image')} of the "
        "test part, which judge all the same: the paper's leak. As the paper did, the figures are computed again "
        "without them. In clean mode neither they nor the other images of their patients judge."
    )
    table = PageTable(columns=("metric", "without these images", "difference"), rows=tuple(rows))
    return [Section(title="What the leak is worth", lead=lead, parts=(table,))]
