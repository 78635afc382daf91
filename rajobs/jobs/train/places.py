"""Where joints are: as labels place them, else where models see them, looked for once for each film and finder.

    DATA/located/<finder>/<part>-<films>.json   what models see on films that were looked at together
    DATA/located/finders.json                   the finders that looked last, the latest one at the end

A film is looked at if it has labels of the study at a hand or joint that no label places. What other than the last few
finders saw, and what was seen on images that are not there any more, is thrown away when finders look again.
"""

import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from rajobs.imaging.hand_geometry import Position, Positions
from rajobs.imaging.rows import FILMS, LabelPlace, RowKind
from rajobs.jobs import builtin, cluster, console, pool
from rajobs.jobs.score.joint_finding import find_joints
from rajobs.jobs.score.steps import ScoreSteps
from rajobs.learning.bundle_description import read_description
from rajobs.learning.voting_models import BundleLocation, VotingModels, list_bundles
from rajobs.records.errors import StoreError
from rajobs.records.manifest import digest, to_json
from rajobs.records.store import Store, absolute, open_store
from rajobs.records.tables.parquet_parts import iterate_parts, read_part
from rajobs.records.tables.schemas import IMAGES

FOLDER = "located"
LAST_FINDERS = f"{FOLDER}/finders.json"
FINDERS_KEPT = 4  # so many may be compared in turn, or at the same time, without looking again
_COLUMNS = ("image_id", "patient", "derived_from", "modality", "rows", "columns", "laterality")


@dataclass(frozen=True, kw_only=True)
class Finders:
    """The models that show where hands and joints are."""

    hands: tuple[BundleLocation, ...]
    joints: tuple[BundleLocation, ...]
    hashes: tuple[str, ...]

    @property
    def folder(self) -> str:
        return f"{FOLDER}/{digest(self.hashes)}"


def open_finders(models: str) -> Finders:
    """The finders at one or several places of models."""
    steps = ScoreSteps.of_all_studies()
    hand_finder, joint_finder = steps.hand_finder, steps.joint_finder
    assert hand_finder is not None and joint_finder is not None, "studies that show points"
    places = [absolute(builtin.resolve_models(name)) for name in models.split(",")]
    by_study = [
        tuple(bundle for place in places for bundle in list_bundles(place, study.name))
        for study in (hand_finder, joint_finder)
    ]
    for study, bundles in zip((hand_finder, joint_finder), by_study):
        if not bundles:
            raise StoreError(
                f"{models} holds no model of {study.name}, which is needed to find joints; name {builtin.NAME} too, as "
                f"{models},{builtin.NAME}"
            )
    hashes = sorted({read_description(open_store(uri), folder).hash for uri, folder in (*by_study[0], *by_study[1])})
    return Finders(hands=by_study[0], joints=by_study[1], hashes=tuple(hashes))


def absolute_finders(models: str) -> str:
    """The places of finders as other nodes reach them."""
    return ",".join(name if name == builtin.NAME else absolute(name) for name in models.split(","))


def silent_films(rows: RowKind, labelled: Collection[LabelPlace], placed: Collection[LabelPlace]) -> frozenset[str]:
    """Films with a labelled hand or joint (`labelled`) that no label places; `placed` has hands with site None, too."""
    any_side = {(image, None, site) for image, _, site in placed}
    return frozenset(
        place[0] for place in (rows.label_place(*each) for each in labelled)
        if place not in placed and not (place[1] is None and place in any_side)
    )  # fmt: skip


def places_of(positions: Positions) -> set[LabelPlace]:
    """The joints of films, and their hands with site None."""
    return {
        (image, place.side, site)
        for image, places in positions.items()
        for place in places
        for site in ((place.site,) if place.crop else (place.site, None))
    }


def read_located(store: Store, finders: Finders, films: Collection[str]) -> dict[str, list[Position]]:
    """What models saw on those of these films that were looked at; an empty list: no hand."""
    located: dict[str, list[Position]] = {}
    for entry in store.list(f"{finders.folder}/"):
        for image, places in json.loads(store.get(entry.key)).items():
            if image in films:
                located[image] = [Position(**place) for place in places]
    return located


def locate(store: Store, finders: Finders, films: Collection[str], address: str | None) -> None:
    """Let the finders look at films, on the cluster."""
    items = []
    for key, part in iterate_parts(store, "images", IMAGES, ["image_id"]):
        here = sorted(set(part.column("image_id").to_pylist()) & set(films))
        if here:
            items.append({"key": key, "films": here})
    if not items:
        return
    with cluster.connected(address), console.Progress("looking for joints on films", len(items)) as bar:
        arguments = (store.uri, finders.folder, finders.hands, finders.joints)
        for answer in pool.map_unordered(items, FinderWorker, arguments):
            bar.step(note=f"{answer['hands']} films with hands in the last")
    drop_unused(store, finders.folder)


def place_all(store: Store, models: str, films: Collection[str], address: str | None) -> tuple[Finders, Positions]:
    """What finders see on films, whatever labels place there; they look at those that they have not seen yet."""
    finders = open_finders(models)
    unseen = set(films) - read_located(store, finders, films).keys()
    if unseen:
        locate(store, finders, unseen, address)
    return finders, read_located(store, finders, films)


def drop_unused(store: Store, folder: str) -> None:
    """Remove what is of no use any more, after the finders of a folder have looked."""
    known = json.loads(store.get(LAST_FINDERS)) if store.stat(LAST_FINDERS) else []
    kept = [*(name for name in known if name != folder), folder][-FINDERS_KEPT:]
    store.put(LAST_FINDERS, to_json(kept))
    entries = {
        entry.key: json.loads(store.get(entry.key)).keys()
        for entry in store.list(f"{FOLDER}/")
        if entry.key != LAST_FINDERS
    }
    seen = {image for images in entries.values() for image in images}
    there = {
        image
        for _, part in iterate_parts(store, "images", IMAGES, ["image_id"])
        for image in part.column("image_id").to_pylist()
        if image in seen
    }
    for key, images in entries.items():
        if key.rpartition("/")[0] not in kept or there.isdisjoint(images):
            store.delete(key)


class FinderWorker:
    """Looks at films of one images part after another."""

    def __init__(
        self, data: str, folder: str, hands: Sequence[BundleLocation], joints: Sequence[BundleLocation]
    ) -> None:
        steps = ScoreSteps.of_all_studies()
        assert steps.hand_finder is not None and steps.joint_finder is not None
        self.store, self.folder = open_store(data), folder
        self.hands = VotingModels.load(steps.hand_finder, hands)
        self.joints = VotingModels.load(steps.joint_finder, joints)

    def __call__(self, item: Mapping[str, Any]) -> dict[str, Any]:
        key, wanted = item["key"], set(item["films"])
        images = read_part(self.store, key, IMAGES, _COLUMNS)
        films = [row for row in FILMS.rows_of_part(images, {}) if row.image_id in wanted]
        seen = find_joints(self.store, key, images, films, self.hands, self.joints)
        located = {image: [vars(place) for place in seen.get(image, ())] for image in item["films"]}
        name = key.rpartition("/")[2].removesuffix(".parquet")
        self.store.put(f"{self.folder}/{name}-{digest(item['films'])}.json", to_json(located))
        return {"hands": len(seen)}


def complete(
    positions: Positions, located: Positions, labelled: Collection[LabelPlace], absent: Collection[LabelPlace]
) -> Positions:
    """The labels' positions with those that models see where labels are silent.

    On a film with one hand it is the labels that say which side it is.
    """
    sides: defaultdict[str, set[str | None]] = defaultdict(set)
    for image, side, _ in labelled:
        sides[image].add(side)
    completed = {image: list(places) for image, places in positions.items()}
    for image, seen in located.items():
        by_labels = completed.get(image, [])
        own_sides = {place.side for place in by_labels} or sides[image] - {None}
        if len(own_sides) == 1 and len({place.side for place in seen}) == 1:
            seen = [replace(place, side=next(iter(own_sides))) for place in seen]
        known = {(place.side, place.site) for place in by_labels}
        more = [
            place for place in seen
            if (place.side, place.site) not in known and (image, place.side, place.site) not in absent
            and (not by_labels or place.side in own_sides)
        ]  # fmt: skip
        if more:
            completed[image] = [*by_labels, *more]
    return completed


def name_sides_of_readers(readings: pa.Table, study: str, positions: Positions) -> pa.Table:
    """A labels table whose readings of a study have the side of the hand, on films that have one hand."""
    rows = readings.select(["image_id", "side", "site", "study"]).to_pylist()
    places = [(row["image_id"], row["side"], row["site"]) for row in rows]
    sides = [_side_of(place, positions) if row["study"] == study else row["side"] for place, row in zip(places, rows)]
    return readings.set_column(readings.column_names.index("side"), "side", pa.array(sides, pa.string()))


def name_sides(values: Mapping[LabelPlace, Any], positions: Positions) -> dict[LabelPlace, Any]:
    """Labels without a side with the side of the hand, on films that have one hand."""
    return {(place[0], _side_of(place, positions), place[2]): value for place, value in values.items()}


def _side_of(place: LabelPlace, positions: Positions) -> str | None:
    """The side of a label, or that of the film's only hand."""
    image, side, _ = place
    hands = {position.side for position in positions.get(image, ())}
    return next(iter(hands)) if side is None and len(hands) == 1 else side
