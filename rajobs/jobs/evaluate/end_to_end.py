"""evaluate --end-to-end: every judged label beside the answer where models alone place hands and joints.

Films go in, as in score; what labels say of places is not looked at, the side of a hand included.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import hypot

import pyarrow as pa

from rajobs import studies
from rajobs.imaging.hand_geometry import JOINT_SIDE, Position, Positions, middle_finger_length, split_into_hands
from rajobs.imaging.rows import COLUMNS, FILMS, LabelPlace
from rajobs.jobs.evaluate.models import Bundle, common_sites, predict
from rajobs.jobs.score.steps import ScoreSteps
from rajobs.jobs.train.dataset import LabelledData
from rajobs.jobs.train.places import Finders, name_sides, name_sides_of_readers, place_all
from rajobs.jobs.train.row_facts import add_row_facts
from rajobs.jobs.train.splits import split_key
from rajobs.learning.bundle_description import read_description
from rajobs.learning.study import Study
from rajobs.records.errors import UsageError
from rajobs.records.store import Store, open_store
from rajobs.records.tables.parquet_parts import iterate_parts, read_file
from rajobs.records.tables.schemas import END_TO_END, IMAGES, PREDICTIONS, SPLIT


@dataclass(frozen=True, kw_only=True)
class EndToEndAnswers:
    """The table of labels and answers, and what stands beside it on the page."""

    table: pa.Table
    finders: Finders
    beyond: int  # labels at sites that no finder looks for, which are not in the table
    taught: int  # judged films that the finders have learnt from


def check_end_to_end(study: Study, predictions: str | None) -> None:
    """Refuse studies whose rows need no place, and answers that are there already."""
    if not study.cut_by_places:
        names = ", ".join(each.name for each in studies.every() if each.cut_by_places)
        raise UsageError(
            f"--end-to-end is for studies whose rows are cut out where joints lie ({names}), not for {study.name}"
        )
    if predictions:
        raise UsageError("--end-to-end lets MODELS answer where finders place joints; leave --predictions out")


def answer_end_to_end(
    source: LabelledData, bundles: Sequence[Bundle], split: pa.Table, mode: str, finders: str, address: str | None,
    *, every_row: bool,
) -> EndToEndAnswers:  # fmt: skip
    """The answers to the labels that judge: those of the test part, or all of them (`every_row`)."""
    part_of = dict(zip(split.column("image_id").to_pylist(), split.column("split").to_pylist()))
    films = {
        name: film for name, film in _films(source.store).items() if every_row or part_of.get(name) == "test"
    }  # fmt: skip
    shown = _sites_shown()
    sites = common_sites(bundles)
    judged = {
        name: {place: value for place, value in _judged(source, name, films).items() if not sites or place[2] in sites}
        for name in (target.name for target in source.study.targets)  # of those that the models answer
    }
    inside = {
        name: {place: value for place, value in values.items() if place[2] is None or place[2] in shown}
        for name, values in judged.items()
    }
    looked_at = {place[0] for values in inside.values() for place in values}
    placing, located = place_all(source.store, finders, looked_at, address)
    seen = {image: places for image, places in located.items() if places}
    placed = replace(
        source, positions=seen, finders=placing, labels={name: name_sides(of, seen) for name, of in inside.items()},
        readings=name_sides_of_readers(source.readings, source.study.name, seen),
    )  # fmt: skip
    answers = predict(bundles, placed, split, mode, address).table if seen else PREDICTIONS.rows([])
    rows = END_TO_END.rows(list(_rows(placed, _placed_by_labels(source.positions), answers, films)))
    return EndToEndAnswers(
        table=add_row_facts(placed, rows, END_TO_END),
        finders=placing,
        beyond=sum(len(judged[name]) - len(inside[name]) for name in judged),
        taught=len(looked_at & _learnt_films(source, placing)),
    )


def _films(store: Store) -> dict[str, Mapping[str, str | None]]:
    """Every film's patient and the image that it derives from."""
    films: dict[str, Mapping[str, str | None]] = {}
    for _, part in iterate_parts(store, "images", IMAGES, COLUMNS):
        records = part.to_pylist()
        for row in FILMS.rows_of_part(part, {}):
            films[row.image_id] = {name: records[row.at][name] for name in ("patient", "derived_from")}
    return films


def _sites_shown() -> frozenset[str]:
    """The sites that finders look for."""
    finder = ScoreSteps.of_all_studies().joint_finder
    assert finder is not None and finder.points is not None
    return frozenset(site for _, site in finder.points.point_names)


def _judged(source: LabelledData, target: str, films: Collection[str]) -> dict[LabelPlace, str]:
    """The labels of a target on films that judge; a picture of one joint alone has no place to look for."""
    crops = {image for image, places in source.positions.items() if any(place.crop for place in places)}
    classes = source.study.target(target).classes
    return {
        place: value
        for label, value in source.labels[target].items()
        if (place := source.study.rows.label_place(*label))[0] in films
        and place[0] not in crops and place not in source.absent and value in classes
    }  # fmt: skip


def _rows(
    placed: LabelledData, by_labels: Positions, answers: pa.Table, films: Mapping[str, Mapping[str, str | None]]
) -> Iterator[dict[str, object]]:
    """A row for each label; one that no model placed has no answer, and no hand if none of its joints was placed."""
    answered = {(row["image_id"], row["side"], row["site"], row["target"]): row for row in answers.to_pylist()}
    bundles: list[str] = next((row["bundles"] for row in answered.values()), [])
    seen, drawn = _joints(placed.positions), _joints(by_labels)
    widths = _joint_widths(by_labels)
    hands = {(row["image_id"], row["side"]): row["extremity"] for row in answered.values()}
    for target, values in placed.labels.items():
        for (image, side, site), value in sorted(values.items(), key=lambda item: tuple(map(str, item[0]))):
            answer = answered.get((image, side, site or "", target))
            there, labelled = seen.get((image, side, site)), drawn.get((image, side, site))
            row: dict[str, object] = {
                "image_id": image, "side": side, "site": site or "", **films[image], "target": target, "truth": value,
                "extremity": hands.get((image, side)), "split": "test", "bundles": bundles,
            }  # fmt: skip
            if answer is not None:
                row |= {name: answer[name] for name in ("predicted", "p", "dissent", "apart")}
            if there is not None:
                row["confidence"] = there.confidence
                if labelled is not None:
                    row["distance"] = hypot(there.x - labelled.x, there.y - labelled.y) / widths[image, side]
            yield row


def _placed_by_labels(positions: Positions) -> Positions:
    """Without what models see where labels are silent, and without pictures of one joint alone."""
    return {
        image: labelled
        for image, places in positions.items()
        if (labelled := [place for place in places if place.confidence is None and not place.crop])
    }


def _joints(positions: Positions) -> dict[LabelPlace, Position]:
    """Where each joint lies."""
    return {(image, place.side, place.site): place for image, places in positions.items() for place in places}


def _joint_widths(positions: Positions) -> dict[tuple[str, str | None], float]:
    """How wide a joint of each hand is, in pixels: half of its box."""
    return {
        (image, hand[0].side): middle_finger_length(hand) * JOINT_SIDE / 2
        for image, places in positions.items()
        for hand in split_into_hands(places)
    }


def _learnt_films(source: LabelledData, finders: Finders) -> set[str]:
    """The films of these data that finders of this key have learnt from or were chosen by."""
    learnt: set[str] = set()
    for uri, folder in (*finders.hands, *finders.joints):
        origin = read_description(open_store(uri), folder).origin
        key = split_key(origin.study, origin.mode)
        if origin.key == source.key and source.store.stat(key):
            split = read_file(source.store, key, SPLIT).to_pylist()
            learnt |= {row["image_id"] for row in split if row["split"] != "test"}
    return learnt
