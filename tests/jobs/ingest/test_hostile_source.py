"""An ingest of hostile inputs ends like any other: each object has one fate, and nothing of their names is left."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from rajobs.__main__ import main
from rajobs.records.store import open_store
from rajobs.records.tables.parquet_parts import read_table
from rajobs.records.tables.schemas import CROSSWALK
from tests.imaging.attacks.run import ATTACKS

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("here")]

NAMES = (
    *("pax-size.tar", "base-256.tar", "size.zip", "offset.zip", "names.tar", "twice.tar", "sparse-gnu.tar"),
    *(
        "hidden.zip",
        "streams.gz",
        "first-day.dcm",
        "tiny-slope.dcm",
        "preamble-pk.dcm",
        "rle-bomb.dcm",
        "pipe",
        "links",
        "latin",
    ),
)
CANARY = "CANARY-ward-7"


def test_every_object_of_a_hostile_source_is_accounted_for(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    attacks = {attack.name: attack for attack in ATTACKS}
    for name in NAMES:
        folder = tmp_path / "source" / f"{CANARY}-{name}"
        folder.mkdir(parents=True)
        attacks[name].make(folder)
    (tmp_path / "source" / "outside").rename(tmp_path / "outside")  # what a link led to, which now leads nowhere
    out, ledger = tmp_path / "out", tmp_path / "ledger"
    arguments = ["ingest", str(tmp_path / "source"), str(out), "--ledger", str(ledger), "--max-rejects", "1"]
    main([*arguments, "--pictures", "radiograph"])
    counts = json.loads((out / "manifest.json").read_text())["counts"]
    objects = sum(len(attacks[name].fates) for name in NAMES)
    assert counts["objects"] == objects
    assert counts["images"] + sum(counts["rejects"].values()) + sum(counts["ignored"].values()) == objects
    assert counts["ignored"]["not-a-file"] == 6 and counts["rejects"]["corrupt"] >= 6
    paths = read_table(open_store(str(ledger)), "crosswalk", CROSSWALK).column("path").to_pylist()
    assert len(paths) == objects and all(path.startswith(CANARY) for path in paths)
    printed = capfd.readouterr()
    assert CANARY not in printed.out + printed.err
    for file in out.rglob("*"):
        if file.suffix == ".parquet":
            table = pq.read_table(file)
            kept = table.drop_columns([name for name in ("pixels", "preview") if name in table.column_names])
            assert CANARY not in str(kept.to_pylist()), file.parent.name
        elif file.is_file():
            assert CANARY not in file.read_text()
