"""The page of `rajobs score`: what came in and where it went, what the films show, and which a person should look at.

Pictures come from the job, by image_id: a preview with hands and joints drawn on it is only another picture here.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from rajobs import studies
from rajobs.records.tables.schemas import VIEWS
from rajobs.reports import figures as draw
from rajobs.reports.page import (
    Cell,
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
    render,
    share,
    short_id,
    shown,
    words,
)
from rajobs.reports.score_tallies import DISAGREE, UNSURE, FilmTally, Shares, Shown

FATES = {
    "kept": "shows a hand, or has joints that labels name; goes on",
    "no-hand": "no hand on it; its full pixels were never read",
    "no-model": "no model was there to judge it",
}


def score_page(
    manifest: Mapping[str, Any],
    films: FilmTally,
    previews: Mapping[str, bytes],
    missing: Sequence[str],
    hands: Sequence[Section] = (),
) -> str:
    """The page.

    `manifest`: `intake` as ingest counted it: {"objects", "images": objects that became images, "frames": rows of
    images, "rejects": {reason: count}, "ignored": {reason: count}}, and `ultrasound`: rows that are no film.
    `missing`: studies for which no model was given. `hands`: the sections about hands, where some were scored.
    """
    sections = [
        _flow(manifest, films),
        *hands,
        _views(films),
        _sureness(films),
        _review(films, previews),
        _shown(films, previews),
        _missing(missing),
    ]
    return render("Score: the cohort's films", "What came in, where it went, and what to look at.", sections)


def _flow(manifest: Mapping[str, Any], films: FilmTally) -> Section:
    intake = manifest["intake"]
    objects, imaged = intake["objects"], intake["images"]
    rejected, ignored = sum(intake["rejects"].values()), sum(intake["ignored"].values())
    rows: list[tuple[Cell, ...]] = [
        ("Files that came in", objects, share(objects, objects)),
        ("became images", imaged, share(imaged, objects)),
        ("rejected", rejected, share(rejected, objects)),
        ("ignored", ignored, share(ignored, objects)),
    ]
    parts: list[Part] = [
        _tiles(films, objects),
        PageTable(columns=("files", "count", "share"), rows=tuple(rows), strong=(0,)),
        Text(paragraphs=(_sum(objects, imaged, rejected, ignored),)),
    ]
    why = [("rejected", reason, count) for reason, count in _by_count(intake["rejects"])]
    why += [("ignored", reason, count) for reason, count in _by_count(intake["ignored"])]
    if why:
        reasons = tuple((words(reason), fate, count, share(count, objects)) for fate, reason, count in why)
        parts.append(PageTable(columns=("reason", "fate", "files", "share of all"), rows=reasons, caption="Why not"))
    parts.append(_fates(films, intake["frames"], manifest.get("ultrasound", 0)))
    return Section(title="What came in and where it went", parts=tuple(parts))


def _tiles(films: FilmTally, objects: int) -> Tiles:
    return Tiles(
        tiles=(
            Tile(value=shown(objects), label="files came in"),
            Tile(value=shown(films.judged), label="films judged"),
            Tile(value=shown(films.fates.get("kept", 0)), label="show a hand"),
            Tile(value=shown(sum(films.doubtful.values())), label="for review"),
        )
    )


def _sum(objects: int, imaged: int, rejected: int, ignored: int) -> str:
    total = imaged + rejected + ignored
    if total != objects:
        return f"The counts do not add up: {objects:,} came in, {total:,} are accounted for."
    return f"Every file is accounted for: {objects:,} = {imaged:,} + {rejected:,} + {ignored:,}."


def _by_count(reasons: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(((name, count) for name, count in reasons.items() if count), key=lambda row: (-row[1], row[0]))


def _fates(films: FilmTally, frames: int, ultrasound: int) -> PageTable:
    rows: list[tuple[Cell, ...]] = [("Images", frames, share(frames, frames), "films, pictures and frames")]
    if ultrasound:
        rows.append(("ultrasound", ultrasound, share(ultrasound, frames), "no film; graded by its own study"))
    for fate, meaning in FATES.items():
        count = films.fates.get(fate, 0)
        if count:
            rows.append((f"film, {fate.replace('-', ' ')}", count, share(count, frames), meaning))
    left = frames - ultrasound - films.fates.total()
    if left > 0:
        rows.append(("not asked", left, share(left, frames), "beyond --limit: the same command without it goes on"))
    return PageTable(
        columns=("images", "count", "share", "what that means"), rows=tuple(rows), caption="The images", strong=(0,)
    )


def _views(films: FilmTally) -> Section:
    if not films.judged:
        return Section(title="What the films show", parts=(Notice(text="No film was judged."),))
    rows: list[tuple[Cell, ...]] = []
    for view, sure in films.sure.items():
        middle = sure.quantile(0.5) if len(sure) else None
        rows.append((words(view), len(sure), share(len(sure), films.judged), middle, films.doubtful[view]))
    return Section(
        title="What the films show",
        parts=(PageTable(columns=("view", "films", "share", "median probability", "for review"), rows=tuple(rows)),),
    )


def _sureness(films: FilmTally) -> Section:
    if not films.judged:
        return Section(title="How sure the answers are", parts=(Text(paragraphs=("Nothing to show.",)),))
    values, counts = Shares().values, {view: sure.counts for view, sure in films.sure.items()}
    spread = {
        f"{view}  ({len(sure):,})": [sure.quantile(at) for at in draw.FIVE] if len(sure) else []
        for view, sure in films.sure.items()
    }
    pictures = [
        Figure(
            png=draw.histogram(dict.fromkeys(counts, values), "probability of the view given", counts=counts),
            caption="Films by the probability of the answer. Films far to the left are the doubtful ones.",
        ),
        Figure(
            png=draw.spread(spread, "probability of the view given"),
            caption="The same by view: the middle half as a box, 5 % to 95 % as a line.",
        ),
    ]
    if films.differ.counts[1:].any():
        name, counted = "largest difference between models", {"films": films.differ.counts}
        pictures.append(
            Figure(
                png=draw.histogram({"films": values}, name, counts=counted),
                caption="Where several models answer: by how much they differ.",
            )
        )
    return Section(title="How sure the answers are", parts=(Figures(figures=tuple(pictures)),))


def _review(films: FilmTally, previews: Mapping[str, bytes]) -> Section:
    queue, count = films.queue, sum(films.doubtful.values())
    if not queue:
        return Section(title="Review queue", parts=(Text(paragraphs=("No film is in doubt.",)),))
    pictures = tuple(_asked(row, previews) for row in queue)
    more = f" The first {len(queue)} of {count:,} are shown." if count > len(queue) else ""
    return Section(
        title="Review queue",
        lead=f"{count:,} to look at again: the likeliest view has less than {100 * UNSURE:.0f} %, "
        f"or models differ by more than {100 * DISAGREE:.0f} points.{more}",
        parts=(Pictures(pictures=pictures),),
    )


def _asked(row: Shown, previews: Mapping[str, bytes]) -> Picture:
    likely = sorted(VIEWS, key=lambda view: -row[f"{view}_p"])[:2]
    tags = []
    if row["top"] < UNSURE:
        tags.append("unsure")
    if (row["disagreement"] or 0) > DISAGREE:
        tags.append("models disagree")
    return Picture(
        png=previews.get(row["image_id"]),
        title=f"{words(row['view'])}?",
        lines=tuple(f"{view} {100 * row[f'{view}_p']:.0f} %" for view in likely),
        code=short_id(row["image_id"]),
        tags=tuple(tags),
    )


def _shown(films: FilmTally, previews: Mapping[str, bytes]) -> Section:
    parts: list[Part] = []
    for view, chosen in films.examples.items():
        pictures = tuple(
            Picture(
                png=previews.get(row["image_id"]), title=f"{100 * row['top']:.0f} %", code=short_id(row["image_id"])
            )
            for row in chosen
        )
        if pictures:
            parts.append(Pictures(pictures=pictures, title=words(view)))
    lead = "A few films of each view that are not in doubt, with the probability of the view."
    return Section(title="Examples", lead=lead, parts=tuple(parts) or (Text(paragraphs=("None.",)),))


def _missing(missing: Sequence[str]) -> Section:
    if not missing:
        return Section(title="What is not here", parts=(Text(paragraphs=("Every study had a model.",)),))
    known = studies.names()
    rows = tuple((words(name), studies.find(name).rows if name in known else None) for name in missing)
    return Section(
        title="What is not here",
        lead="No model was given for these studies. Their columns are empty; a table without any model is not made.",
        parts=(PageTable(columns=("study", "table"), rows=rows),),
    )
