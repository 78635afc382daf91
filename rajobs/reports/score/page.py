"""The page of `rajobs score`: what came in, what became of it, what the films show, and which need review.

Pictures come from the job, by image_id: a preview with hands and joints drawn on it is just another picture here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from rajobs import studies
from rajobs.records.tables.schemas import VIEWS
from rajobs.reports import figures as draw
from rajobs.reports.page import (
    CORRECTION_HEADER,
    Cell,
    Correction,
    Facts,
    Figure,
    Figures,
    Notice,
    PageTable,
    Part,
    Picture,
    Pictures,
    Section,
    Text,
    Tile,
    Tiles,
    format_cell,
    render,
    share_bar,
)
from rajobs.reports.score.bundles import BundleFacts, bundle_sections
from rajobs.reports.score.tallies import DISAGREE, UNSURE, FilmTally, ShareCounts, ShownFilm
from rajobs.reports.wording import format_count, format_percent, humanize

FATES = {
    "kept": "shows a hand, or labels name joints in it: scored further",
    "no-hand": "shows no hand; its full pixels were never read",
    "no-model": "no model was there to judge it",
}


@dataclass(frozen=True, kw_only=True)
class IntakeCounts:
    """Files as ingest counted them; `frames` are the rows of images that `images` of the files became."""

    objects: int
    images: int
    frames: int
    rejects: Mapping[str, int]  # by reason
    ignored: Mapping[str, int]  # by reason

    @property
    def rejected(self) -> int:
        return sum(self.rejects.values())

    @property
    def skipped(self) -> int:
        return sum(self.ignored.values())


@dataclass(frozen=True, kw_only=True)
class ScoreFacts:
    """What the page shows besides the tallies."""

    intake: IntakeCounts
    ultrasound: int = 0  # images that are no films
    missing: tuple[str, ...] = ()  # studies without a model
    left_out: tuple[str, ...] = ()  # studies whose models were not asked, by --no-scores
    bundles: tuple[BundleFacts, ...] = ()  # the models that were asked


def score_page(
    facts: ScoreFacts, films: FilmTally, previews: Mapping[str, bytes], hands: Sequence[Section] = (),
    corrections: Mapping[str, tuple[Correction, ...]] = MappingProxyType({}),
) -> str:  # fmt: skip
    """The page as HTML; `hands`: the sections about hands, where some were scored."""
    sections = [
        _intake(facts, films),
        *bundle_sections(facts.bundles, facts.left_out),
        *hands,
        _views(films),
        _confidence(films),
        _review(films, previews, corrections),
        _examples(films, previews, corrections),
        *([_how_to_correct()] if corrections else ()),
        _missing(facts.missing),
    ]
    return render("Score: the cohort's films", "What came in, what became of it, and what needs review.", sections)


def _intake(facts: ScoreFacts, films: FilmTally) -> Section:
    intake = facts.intake
    rows: list[tuple[Cell, ...]] = [
        (name, count, share_bar(count, intake.objects))
        for name, count in (
            ("Files that came in", intake.objects),
            ("became images", intake.images),
            ("rejected", intake.rejected),
            ("ignored", intake.skipped),
        )
    ]
    parts: list[Part] = [
        _summary_tiles(films, intake.objects),
        PageTable(columns=("files", "count", "share"), rows=tuple(rows), strong=(0,)),
        Text(paragraphs=(_account_for_files(intake),)),
    ]
    why = [("rejected", reason, count) for reason, count in _sort_by_count(intake.rejects)]
    why += [("ignored", reason, count) for reason, count in _sort_by_count(intake.ignored)]
    if why:
        reasons = tuple(
            (humanize(reason), fate, count, share_bar(count, intake.objects)) for fate, reason, count in why
        )
        columns = ("reason", "fate", "files", "share of all")
        parts.append(PageTable(columns=columns, rows=reasons, caption="Why files were rejected or ignored"))
    parts.append(_fate_table(facts, films))
    return Section(title="What came in and what became of it", parts=tuple(parts))


def _summary_tiles(films: FilmTally, objects: int) -> Tiles:
    return Tiles(
        tiles=(
            Tile(value=format_cell(objects), label="files came in"),
            Tile(value=format_cell(films.judged), label="films judged"),
            Tile(value=format_cell(films.fates.get("kept", 0)), label="show a hand"),
            Tile(value=format_cell(sum(films.doubtful.values())), label="for review"),
        )
    )


def _account_for_files(intake: IntakeCounts) -> str:
    total = intake.images + intake.rejected + intake.skipped
    if total != intake.objects:
        return f"The counts do not add up: {intake.objects:,} came in, {total:,} are accounted for."
    terms = f"{intake.images:,} + {intake.rejected:,} + {intake.skipped:,}"
    return f"Every file is accounted for: {intake.objects:,} = {terms}."


def _sort_by_count(reasons: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(((name, count) for name, count in reasons.items() if count), key=lambda row: (-row[1], row[0]))


def _fate_table(facts: ScoreFacts, films: FilmTally) -> PageTable:
    frames, ultrasound = facts.intake.frames, facts.ultrasound
    rows: list[tuple[Cell, ...]] = [("Images", frames, share_bar(frames, frames), "films, pictures and frames")]
    if ultrasound:
        rows.append(("ultrasound", ultrasound, share_bar(ultrasound, frames), "not a film; graded by its own study"))
    for fate, meaning in FATES.items():
        count = films.fates.get(fate, 0)
        if count:
            rows.append((f"film, {fate.replace('-', ' ')}", count, share_bar(count, frames), meaning))
    left = frames - ultrasound - films.fates.total()
    if left > 0:
        meaning = "beyond --limit: the same command without it scores them"
        rows.append(("not scored yet", left, share_bar(left, frames), meaning))
    return PageTable(
        columns=("images", "count", "share", "meaning"), rows=tuple(rows), caption="The images", strong=(0,)
    )


def _views(films: FilmTally) -> Section:
    if not films.judged:
        return Section(title="What the films show", parts=(Notice(text="No film was judged."),))
    rows: list[tuple[Cell, ...]] = []
    for view, shares in films.certainty.items():
        middle = shares.quantile(0.5) if len(shares) else None
        rows.append((humanize(view), len(shares), share_bar(len(shares), films.judged), middle, films.doubtful[view]))
    return Section(
        title="What the films show",
        parts=(PageTable(columns=("view", "films", "share", "median probability", "for review"), rows=tuple(rows)),),
    )


def _confidence(films: FilmTally) -> Section:
    title = "How sure the answers are"
    if not films.judged:
        return Section(title=title, parts=(Text(paragraphs=("No film was judged, so there is nothing to show.",)),))
    values, counts = ShareCounts().values, {view: shares.counts for view, shares in films.certainty.items()}
    spread = {
        f"{view}  ({len(shares):,})": [shares.quantile(at) for at in draw.SPREAD_QUANTILES] if len(shares) else []
        for view, shares in films.certainty.items()
    }
    figures = [
        Figure(
            png=draw.histogram(dict.fromkeys(counts, values), "probability of the view", counts=counts),
            caption="Films by the probability of their view. Those far to the left are the doubtful ones.",
        ),
        Figure(
            png=draw.spread(spread, "probability of the view"),
            caption="The same for each view: the box is the middle half, the line goes from 5 % to 95 %.",
        ),
    ]
    if films.disagreement.counts[1:].any():
        groups, counted = {"films": values}, {"films": films.disagreement.counts}
        figures.append(
            Figure(
                png=draw.histogram(groups, "largest difference between models", counts=counted),
                caption="Films that several models judged, by how much these differ.",
            )
        )
    return Section(title=title, parts=(Figures(figures=tuple(figures)),))


def _review(
    films: FilmTally, previews: Mapping[str, bytes], corrections: Mapping[str, tuple[Correction, ...]]
) -> Section:
    queue, count = films.queue, sum(films.doubtful.values())
    if not queue:
        return Section(title="Films to review", parts=(Text(paragraphs=("No film is in doubt.",)),))
    pictures = tuple(
        _doubtful_film(film, previews.get(film.image_id), corrections.get(film.image_id, ())) for film in queue
    )
    more = f" The page shows the {len(queue)} most doubtful of {count:,}." if count > len(queue) else ""
    return Section(
        title="Films to review",
        lead=f"{format_count(count, 'film')} to look at again: the likeliest view has a probability below "
        f"{format_percent(UNSURE)}, or models differ by more than {100 * DISAGREE:.0f} percentage points.{more}",
        parts=(Pictures(pictures=pictures),),
    )


def _doubtful_film(film: ShownFilm, preview: bytes | None, corrections: tuple[Correction, ...]) -> Picture:
    likely = sorted(VIEWS, key=lambda view: -film.probabilities[view])[:2]
    tags = []
    if film.top < UNSURE:
        tags.append("unsure")
    if (film.disagreement or 0) > DISAGREE:
        tags.append("models disagree")
    return Picture(
        png=preview,
        title=f"{humanize(film.view)}?",
        lines=tuple(f"{view} {format_percent(film.probabilities[view])}" for view in likely),
        code=film.image_id,
        tags=tuple(tags),
        corrections=corrections,
    )


def _examples(
    films: FilmTally, previews: Mapping[str, bytes], corrections: Mapping[str, tuple[Correction, ...]]
) -> Section:
    parts: list[Part] = []
    for view, chosen in films.examples.items():
        pictures = tuple(
            Picture(
                png=previews.get(film.image_id), title=format_percent(film.top), code=film.image_id,
                corrections=corrections.get(film.image_id, ()),
            )
            for film in chosen
        )  # fmt: skip
        if pictures:
            parts.append(Pictures(pictures=pictures, title=humanize(view)))
    lead = "A few films of each view that are not in doubt, with the probability of the view."
    return Section(title="Examples", lead=lead, parts=tuple(parts) or (Text(paragraphs=("There are none.",)),))


def _how_to_correct() -> Section:
    steps = (
        ("First line of a file", CORRECTION_HEADER),
        ("Then a line for each answer", "open wrong? below its picture, pick what is right, and copy the line"),
        ("Take them in", "rajobs ingest SRC DATA --labels corrections.csv"),
    )
    lead = "What is picked below the pictures becomes labels, from which models of your own learn what was wrong."
    return Section(title="Correct answers", lead=lead, parts=(Facts(pairs=steps),))


def _missing(missing: Sequence[str]) -> Section:
    title = "Studies without a model"
    if not missing:
        return Section(title=title, parts=(Text(paragraphs=("Every study had a model.",)),))
    rows = tuple((humanize(name), studies.find(name).rows.name) for name in missing)
    return Section(
        title=title,
        lead="Their columns are empty, and a table that no model fills is not written.",
        parts=(PageTable(columns=("study", "rows"), rows=rows),),
    )
