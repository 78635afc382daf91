"""The parts of score's tables: a worker puts those of an images part under one name, the ledger's last.

    OUT/joints/part-<shard>.1.3.parquet    the joints of DATA/images/part-<shard>.1.parquet, as run 3 has scored them

An images part whose ledger part is there is scored; of several the highest number counts.
"""

from collections.abc import Mapping

from rajobs.jobs.score.steps import ScoreSteps
from rajobs.records.errors import DataError
from rajobs.records.store import Store
from rajobs.records.store.lease import Fence, number_of, without_number
from rajobs.records.tables.part_index import (
    Sizes,
    check_stored,
    in_order,
    put_index,
    read_index,
    read_indexes,
    stored_sizes,
)

LEDGER_TABLE, VISITS_TABLE, CHANGES_TABLE = "ledger", "visits", "changes"


def scored_parts(store: Store) -> dict[str, str]:
    """File names of parts, by that of the images part which was scored."""
    keys = sorted(stored_sizes(store, [LEDGER_TABLE]), key=number_of)
    names = [key.rpartition("/")[2] for key in keys]
    newest = {images_part(name): name for name in names}
    return {name: newest[name] for name in in_order(newest)}


def images_part(part: str) -> str:
    """The file name of the images part that a part of score's tables is about."""
    return without_number(part)


def drop_part(fence: Fence, steps: ScoreSteps, part: str) -> None:
    """Remove a part of all tables, the ledger's first: without it the images part counts as not scored."""
    fence.check()
    for folder in reversed(steps.part_tables):
        fence.store.delete(f"{folder}/{part}")


def drop_broken_parts(fence: Fence, steps: ScoreSteps) -> None:
    """Remove parts of which one table's is gone, or not as it was written, so that they are scored again."""
    for table, sizes in read_indexes(fence.store).items():
        stored = (
            stored_sizes(fence.store, [table]) if table in steps.part_tables else {key: sizes[key][1] for key in sizes}
        )
        for key in [key for key, (_, size) in sizes.items() if stored.get(key) != size]:
            entry = fence.store.stat(key)
            if entry is None or entry.size != sizes[key][1]:
                drop_part(fence, steps, key.rpartition("/")[2])


def drop_gathered(fence: Fence, steps: ScoreSteps) -> None:
    """Remove what an earlier start made of all parts: it is incomplete once more parts are to come."""
    fence.check(now=True)
    for name in (*steps.part_tables, VISITS_TABLE, CHANGES_TABLE):
        fence.store.delete(f"{name}.csv")
    for key in stored_sizes(fence.store, (VISITS_TABLE, CHANGES_TABLE)):
        if number_of(key) <= fence.number:
            fence.store.delete(key)


def check_parts(
    data: Store, fence: Fence, rows: Mapping[str, Mapping[str, int]]
) -> dict[str, dict[str, tuple[int, int]]]:
    """The parts of all tables with their bytes, written down as the tables' index; `rows`: by table and key, as read.

    DataError unless the ledger has a row for every image of DATA that is scored.
    """
    stored = stored_sizes(fence.store, rows)
    parts = {table: {key: (n, stored.get(key, 0)) for key, n in of.items()} for table, of in rows.items()}
    check_stored(fence.store, parts)
    images = read_index(data, "images")
    ledger = rows.get(LEDGER_TABLE, {})
    if images is not None:  # else DATA is of a version that wrote no rows down
        wanted = sum(images[f"images/{images_part(key.rpartition('/')[2])}"][0] for key in ledger)
        if wanted != sum(ledger.values()):
            raise DataError(f"{wanted} images were to be scored but {sum(ledger.values())} are; please report this")
    put_index(fence, parts)
    return parts


def sweep(fence: Fence, data: Store, parts: Mapping[str, Sizes]) -> None:
    """Remove parts that this run, or those in whose place it has come, made and then replaced.

    A part is replaced if another one is about the same images, or if DATA's index names these images no more.
    """
    fence.check(now=True)
    images = read_index(data, "images")
    for table, of_table in parts.items():
        known = {without_number(key) for key in of_table}
        for key in stored_sizes(fence.store, [table]):
            of_images = f"images/{without_number(key).rpartition('/')[2]}"
            is_replaced = without_number(key) in known or (images is not None and of_images not in images)
            if key not in of_table and is_replaced and number_of(key) <= fence.number:
                fence.check()
                fence.store.delete(key)
