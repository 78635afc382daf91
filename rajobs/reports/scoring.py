"""The page of `rajobs score`: what came in and where it went, what the films show, and which a person should look at.

Pictures come from the job, by image_id: a preview with hands and joints drawn on it is only another picture here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from rajobs import studies
from rajobs.records.schema import VIEWS
from rajobs.reports import figures as draw
from rajobs.reports.page import (
    Cell,
    Figure,
    Figures,
    Notice,
    Part,
    Picture,
    Pictures,
    Section,
    Table,
    Text,
    Tile,
    Tiles,
    render,
    share,
    short_id,
    shown,
    words,
)

EXAMPLES = 6  # pictures a view
FILMS_OF_A_PATIENT = 20  # looked through for one of each patient
QUEUE = 18  # pictures of the review queue
UNSURE = 0.7  # a film whose likeliest view has less is looked at again
DISAGREE = 0.3  # and one whose models differ by more in a probability

FATES = {
    "kept": "shows a hand, or has joints that labels name; goes on",
    "no-hand": "no hand on it; its full pixels were never read",
    "unreadable": "its preview could not be read",
    "no-model": "no model was there to judge it",
}


@dataclass(frozen=True, kw_only=True)
class Films:
    """The films' numbers as arrays, since there may be millions; names are read only of those that are shown."""

    table: pa.Table
    view: NDArray[np.int64]  # number of the view in VIEWS, -1: not judged
    p: NDArray[np.float32]  # films x views, NaN where not judged
    disagreement: NDArray[np.float32]
    top: NDArray[np.float32]  # probability of the likeliest view
    doubt: NDArray[np.float32]  # 0 to 1; 0 for a film that nobody has to look at again

    def name(self, at: int) -> str:
        """The film's image_id."""
        return str(self.table.column("image_id")[at].as_py())

    @property
    def fates(self) -> dict[str, int]:
        """How many films came to which end."""
        counted = pc.value_counts(self.table.column("fate")).to_pylist()
        return {row["values"]: row["counts"] for row in counted}


def read_films(films: pa.Table) -> Films:
    """The films with what follows from their columns."""
    p = np.stack([films.column(f"{view}_p").to_numpy() for view in VIEWS], axis=1)
    view = pc.index_in(films.column("view"), value_set=pa.array(VIEWS)).fill_null(-1).to_numpy().astype(np.int64)
    disagreement = films.column("disagreement").to_numpy()
    judged = (view >= 0) & ~np.isnan(p).any(axis=1)
    top = np.where(judged, p.max(axis=1, initial=0), np.float32(np.nan))
    unsure, differ = np.where(judged, 1 - top, 0), np.nan_to_num(disagreement)
    asked = (unsure > 1 - UNSURE) | (differ > DISAGREE)
    doubt = np.where(judged & asked, np.maximum(unsure, differ), 0)
    return Films(table=films, view=view, p=p, disagreement=disagreement, top=top, doubt=doubt)


def pick_previews(films: pa.Table) -> list[str]:
    """The images whose previews the page shows: examples of each view, then the review queue."""
    read = read_films(films)
    chosen = [at for view in range(len(VIEWS)) for at in _examples(read, view)] + _queue(read)
    return list(dict.fromkeys(read.name(at) for at in chosen))


def score_page(
    manifest: Mapping[str, Any],
    films: pa.Table,
    previews: Mapping[str, bytes],
    missing: Sequence[str],
    hands: Sequence[Section] = (),
) -> str:
    """The page.

    `manifest`: `intake` as ingest counted it: {"objects", "images": objects that became images, "frames": rows of
    images, "rejects": {reason: count}, "ignored": {reason: count}}, and `ultrasound`: rows that are no film.
    `missing`: studies for which no model was given. `hands`: the sections about hands, where some were scored.
    """
    read = read_films(films)
    sections = [
        _flow(manifest, read),
        *hands,
        _views(read),
        _sureness(read),
        _review(read, previews),
        _shown(read, previews),
        _missing(missing),
    ]
    return render("Score: the cohort's films", "What came in, where it went, and what to look at.", sections)


def _flow(manifest: Mapping[str, Any], films: Films) -> Section:
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
        Table(columns=("files", "count", "share"), rows=tuple(rows), strong=(0,)),
        Text(paragraphs=(_sum(objects, imaged, rejected, ignored),)),
    ]
    why = [("rejected", reason, count) for reason, count in _by_count(intake["rejects"])]
    why += [("ignored", reason, count) for reason, count in _by_count(intake["ignored"])]
    if why:
        reasons = tuple((words(reason), fate, count, share(count, objects)) for fate, reason, count in why)
        parts.append(Table(columns=("reason", "fate", "files", "share of all"), rows=reasons, caption="Why not"))
    parts.append(_fates(films, intake["frames"], manifest.get("ultrasound", 0)))
    return Section(title="What came in and where it went", parts=tuple(parts))


def _tiles(films: Films, objects: int) -> Tiles:
    return Tiles(
        tiles=(
            Tile(value=shown(objects), label="files came in"),
            Tile(value=shown(int(np.sum(films.view >= 0))), label="films judged"),
            Tile(value=shown(films.fates.get("kept", 0)), label="show a hand"),
            Tile(value=shown(int(np.sum(films.doubt > 0))), label="for review"),
        )
    )


def _sum(objects: int, imaged: int, rejected: int, ignored: int) -> str:
    total = imaged + rejected + ignored
    if total != objects:
        return f"The counts do not add up: {objects:,} came in, {total:,} are accounted for."
    return f"Every file is accounted for: {objects:,} = {imaged:,} + {rejected:,} + {ignored:,}."


def _by_count(reasons: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(((name, count) for name, count in reasons.items() if count), key=lambda row: (-row[1], row[0]))


def _fates(films: Films, frames: int, ultrasound: int) -> Table:
    rows: list[tuple[Cell, ...]] = [("Images", frames, share(frames, frames), "films, pictures and frames")]
    if ultrasound:
        rows.append(("ultrasound", ultrasound, share(ultrasound, frames), "no film; graded by its own study"))
    for fate, meaning in FATES.items():
        count = films.fates.get(fate, 0)
        if count:
            rows.append((f"film, {fate.replace('-', ' ')}", count, share(count, frames), meaning))
    return Table(
        columns=("images", "count", "share", "what that means"), rows=tuple(rows), caption="The images", strong=(0,)
    )


def _views(films: Films) -> Section:
    judged = int(np.sum(films.view >= 0))
    if not judged:
        return Section(title="What the films show", parts=(Notice(text="No film was judged."),))
    rows: list[tuple[Cell, ...]] = []
    for number, view in enumerate(VIEWS):
        mine = films.view == number
        count = int(mine.sum())
        middle = float(np.median(films.top[mine])) if count else None
        rows.append((words(view), count, share(count, judged), middle, int(np.sum(films.doubt[mine] > 0))))
    return Section(
        title="What the films show",
        parts=(Table(columns=("view", "films", "share", "median probability", "for review"), rows=tuple(rows)),),
    )


def _sureness(films: Films) -> Section:
    if not (films.view >= 0).any():
        return Section(title="How sure the answers are", parts=(Text(paragraphs=("Nothing to show.",)),))
    by_view = {view: films.top[films.view == number] for number, view in enumerate(VIEWS)}
    pictures = [
        Figure(
            png=draw.histogram(by_view, "probability of the view given"),
            caption="Films by the probability of the answer. Films far to the left are the doubtful ones.",
        ),
        Figure(
            png=draw.spread(by_view, "probability of the view given"),
            caption="The same by view: the middle half as a box, 5 % to 95 % as a line.",
        ),
    ]
    differ = films.disagreement[~np.isnan(films.disagreement)]
    if len(differ) and differ.max() > 0:
        pictures.append(
            Figure(
                png=draw.histogram({"films": differ}, "largest difference between models"),
                caption="Where several models answer: by how much they differ.",
            )
        )
    return Section(title="How sure the answers are", parts=(Figures(figures=tuple(pictures)),))


def _queue(films: Films, most: int = QUEUE) -> list[int]:
    """Doubtful films, the most doubtful first."""
    asked = np.flatnonzero(films.doubt > 0)
    if len(asked) > most:
        asked = asked[films.doubt[asked] >= np.partition(films.doubt[asked], -most)[-most]]
    order = sorted(asked.tolist(), key=lambda at: (-float(films.doubt[at]), films.name(at)))
    return order[:most]


def _review(films: Films, previews: Mapping[str, bytes]) -> Section:
    queue, count = _queue(films), int(np.sum(films.doubt > 0))
    if not queue:
        return Section(title="Review queue", parts=(Text(paragraphs=("No film is in doubt.",)),))
    pictures = tuple(_asked(films, at, previews) for at in queue)
    more = f" The first {len(queue)} of {count:,} are shown." if count > len(queue) else ""
    return Section(
        title="Review queue",
        lead=f"{count:,} to look at again: the likeliest view has less than {100 * UNSURE:.0f} %, "
        f"or models differ by more than {100 * DISAGREE:.0f} points.{more}",
        parts=(Pictures(pictures=pictures),),
    )


def _asked(films: Films, at: int, previews: Mapping[str, bytes]) -> Picture:
    likely = np.argsort(-films.p[at], kind="stable")[:2]
    tags = []
    if films.top[at] < UNSURE:
        tags.append("unsure")
    if films.disagreement[at] > DISAGREE:
        tags.append("models disagree")
    return Picture(
        png=previews.get(films.name(at)),
        title=f"{words(VIEWS[films.view[at]])}?",
        lines=tuple(f"{VIEWS[n]} {100 * films.p[at, n]:.0f} %" for n in likely),
        code=short_id(films.name(at)),
        tags=tuple(tags),
    )


def _examples(films: Films, view: int, most: int = EXAMPLES) -> list[int]:
    """Films of a view that are not in doubt, of different patients; the order of image_ids is a random one."""
    mine = np.flatnonzero((films.view == view) & (films.doubt == 0))
    order = np.asarray(pc.sort_indices(films.table.column("image_id").take(mine)))
    chosen = mine[order[: most * FILMS_OF_A_PATIENT]]
    patients = films.table.column("patient").take(chosen).to_pylist()
    first = {patient: int(at) for patient, at in zip(reversed(patients), reversed(chosen.tolist()))}
    return sorted(first.values(), key=films.name)[:most]


def _shown(films: Films, previews: Mapping[str, bytes]) -> Section:
    parts: list[Part] = []
    for number, view in enumerate(VIEWS):
        chosen = _examples(films, number)
        if chosen:
            pictures = tuple(
                Picture(
                    png=previews.get(films.name(at)),
                    title=f"{100 * films.top[at]:.0f} %",
                    code=short_id(films.name(at)),
                )
                for at in chosen
            )
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
        parts=(Table(columns=("study", "table"), rows=rows),),
    )
