"""The sections of evaluate's page that draw every network of a model: its ROC curves and how it sees the rows."""

from collections.abc import Sequence

from rajobs.learning.comparison import NetworkView
from rajobs.records import metrics
from rajobs.reports import figures as draw
from rajobs.reports.evaluation.figure_data import figure_files, point_data, roc_data
from rajobs.reports.page import Figure, Figures, PageTable, Section
from rajobs.reports.wording import humanize

ROC_LEAD = (
    "One curve for each network, one figure for each class against the rest and each part: the rows that judge, and "
    "rows that the networks learnt from. Where the latter are much better, a network has learnt its rows by heart."
)
MAP_LEAD = (
    "Every row as the last layer of a network sees it, laid out in two dimensions by t-SNE: rows that look alike to it "
    "lie together. Colours are the true classes. Dots with a rim judge, the others were learnt from. Distances between "
    "groups mean nothing."
)


def view_sections(views: Sequence[NetworkView], drawn: dict[str, bytes]) -> list[Section]:
    """ROC curves by class and part, and a map by network; none of models with a single network."""
    if not views:
        return []
    curves, maps = {}, {f"{view.target}-map-{view.model}-{view.member}.png": _map(view, views) for view in views}
    for target in dict.fromkeys(view.target for view in views):
        same = [view for view in views if view.target == target]
        classes = same[0].classes
        for at in [1] if len(classes) == 2 else range(len(classes)):
            for part in ("judged", "learnt"):
                if (figure := _roc(same, at, part)) is not None:
                    curves[f"{target}-roc-{part}-{classes[at]}.png"] = figure
    drawn |= figure_files({**curves, **maps})
    sections = [
        Section(title="ROC curves of each network", lead=ROC_LEAD, parts=(Figures(figures=tuple(curves.values())),))
    ]
    maps_of = Figures(figures=tuple(maps.values()))
    return [
        *(sections if curves else ()),
        Section(title="How each network sees the rows", lead=MAP_LEAD, parts=(maps_of,)),
    ]


def _roc(views: Sequence[NetworkView], at: int, part: str) -> Figure | None:
    """All networks' curves for one class; None of a class that has no rows, or all of them."""
    figure, axes = draw.new_figure(5.2, 4.8)
    axes.plot([0, 1], [0, 1], color=draw.FAINT, linewidth=1.2)
    curves: list[tuple[str, draw.Flags, draw.Reals]] = []
    for number, view in enumerate(views):
        answers: metrics.Answers = getattr(view, part)
        curve = draw.roc_curve(answers.truth == at, answers.p[:, at])
        if curve is not None:
            area = metrics.roc_area(answers.truth == at, answers.p[:, at])
            colour, dash = draw.COLOURS[number % len(draw.COLOURS)], draw.DASHES[number // len(draw.COLOURS) % 3]
            axes.plot(*curve, dash, color=colour, linewidth=1.8, label=f"{_name(view, views)}, {area:.3f}")
            curves.append((_name(view, views), answers.truth == at, answers.p[:, at]))
    if not curves:
        return None
    draw.format_unit_square(axes, "1 − specificity", "sensitivity")
    draw.add_legend(axes, "lower right")
    rows = "rows that judge" if part == "judged" else "rows learnt from"
    what = f"{humanize(views[0].target)} {views[0].classes[at]} against the rest"
    caption = f"{what}, {rows}. The figures are areas under the curves."
    return Figure(png=draw.to_png(figure), caption=caption, data=roc_data(curves))


def _map(view: NetworkView, among: Sequence[NetworkView]) -> Figure:
    figure, axes = draw.new_figure(5.2, 4.8)
    for number, name in enumerate(view.classes):
        colour = draw.COLOURS[number % len(draw.COLOURS)]
        of_class = view.truth == number
        for judges, rim in ((False, "none"), (True, draw.INK)):
            places = view.places[of_class & (view.judges == judges)]
            axes.scatter(places[:, 0], places[:, 1], s=26, color=colour, alpha=0.75, edgecolors=rim, linewidths=0.7)
        if of_class.any():
            axes.scatter([], [], s=26, color=colour, label=name)
    axes.set_xticks([])
    axes.set_yticks([])
    draw.add_legend(axes)
    caption = f"{humanize(view.target)} as {_name(view, among)} sees the rows."
    return Figure(png=draw.to_png(figure), caption=caption, data=_map_data(view))


def _map_data(view: NetworkView) -> PageTable:
    places = [[round(float(place), 3) for place in of] for of in view.places.T]
    classes = [view.classes[number] for number in view.truth.tolist()]
    parts = ["judged" if judges else "learnt" for judges in view.judges.tolist()]
    return point_data(("class", "rows", "x", "y"), classes, parts, *places)


def _name(view: NetworkView, among: Sequence[NetworkView]) -> str:
    """The network's name, with its model's where several models have one of that name."""
    alike = [each for each in among if (each.member, each.target) == (view.member, view.target)]
    return view.member if len(alike) == 1 else f"{view.member} of {view.model}"
