"""Grades of drawn power-Doppler scans beside two simulated readers', and of the real frames of a folder.

    python benchmarks/recipes/scan_grading.py OUT [--patients 500] [--difficulty standard] [--real DIR] [--masks FILE]

Draws a cohort's scans with two readers (of a standard scan their linear kappa is 0.80), ingests it, trains
ultrasound_grading's default recipe in clean mode and looks once at the test part. Then all frames are scored as
`rajobs score` does it: what the rules for loops and for frames without colour come to. `--real` is a folder with
ultrasound files; their whole screens are read unless `--masks` (see `rajobs ingest --ultrasound-regions`) says where
the scan is. What is under OUT already is not made again. Figures of drawn scans are no clinical evidence.
"""

import argparse
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from default_recipes import fitted, make_data, own_key, show

from rajobs import studies
from rajobs.imaging import rows as row_kinds
from rajobs.imaging.formats.ultrasound_regions import read_options
from rajobs.imaging.rows import COLUMNS
from rajobs.jobs.ingest import job as ingest_job
from rajobs.jobs.score import job as score_job
from rajobs.learning.samples.row_arrays import draw_views
from rajobs.learning.voting_models import VotingModels, list_bundles
from rajobs.records import metrics
from rajobs.records.scan_grades import LIVELY, WITHOUT_COLOUR, P, loop_grade, scan_grade, split_into_scans
from rajobs.records.store import open_store
from rajobs.records.tables.parquet_parts import iterate_parts, list_parts, read_part, read_table
from rajobs.records.tables.schemas import CROSSWALK, IMAGES, ULTRASOUND

STUDY, GRADES = "ultrasound_grading", 4
Scan = Sequence[Mapping[str, Any]]
"""The frames of one."""
RULES: Mapping[str, Callable[[P], int]] = {
    f"of the frame that {1 - LIVELY:.0%} exceed, as score does": loop_grade,
    "of the highest frame": lambda p: loop_grade(p, 1.0),
    "of the middle frame": lambda p: loop_grade(p, 0.5),
    "of the first frame": lambda p: loop_grade(p[:1]),
}


def flash(p: P) -> P:
    """A loop on one of whose frames the probe moved: all of it lights up."""
    return np.concatenate([p[:-1], np.eye(GRADES)[-1:]])


def beats(p: P) -> P:
    """A loop whose vessels fill on every fourth frame alone."""
    return np.where(np.arange(len(p))[:, None] % 4 == 2, p, np.eye(GRADES)[WITHOUT_COLOUR])


HARMS: Mapping[str, Callable[[P], P]] = {
    "as drawn": lambda p: p,
    "one frame of each lit up by a moving probe": flash,
    "three frames of four without the signal": beats,
}
"""Drawn loops pulse a little and nothing moves; real ones do both."""


def beside_readers(judged: Path) -> bool:
    """The model and the readers against the truth; whether the Doppler grade is at least as good as theirs."""
    told = json.loads((judged / "metrics.json").read_text())
    leads = []
    for row in (each for each in told["readers"] if each["against"] == "reference"):
        show(f"{row['target']}: quadratic kappa, {row['who']} ({row['rows']} scans)", row["figures"]["qwk"])
        if "lead" in row:
            show(f"{row['target']}: the model's lead over {row['who']}, paired", row["lead"]["qwk"], "0")
            leads += [row["lead"]["qwk"]["value"]] if row["target"] == "grade" else []
    for name in ("grade.kappa_linear", "grade.any_sensitivity", "grade.any_specificity"):
        show(name.replace("_", " "), told["figures"][name])
    return bool(leads) and min(leads) >= 0


def scans_of(tables: str, judged: Path) -> Iterator[tuple[str, Scan]]:
    """True grade and frames of each scan of the test part, as score has them."""
    answers = pq.read_table(judged / "predictions.parquet", columns=["image_id", "target", "truth"]).to_pylist()
    truth = {row["image_id"]: row["truth"] for row in answers if row["target"] == "grade"}
    store = open_store(tables)
    for _, table in iterate_parts(store, "ultrasound", ULTRASOUND, ULTRASOUND.names):
        for _, frames in groupby(table.to_pylist(), key=lambda row: (row["patient"], row["visit_date"])):
            yield from (
                (truth[scan[0]["image_id"]], scan)
                for scan in split_into_scans(list(frames))
                if scan[0]["image_id"] in truth
            )


def rules(tables: str, judged: Path) -> bool:
    """What the rules for loops and for frames without colour come to; whether they lose no true signal."""
    found = list(scans_of(tables, judged))
    dark = [truth for truth, scan in found if not any(frame["doppler"] for frame in scan)]
    lost = sum(truth != "0" for truth in dark)
    nothing = sum(truth == "0" for truth, _ in found)
    print(f"  {len(dark)} of {len(found)} scans show no colour: {lost} of them with a true grade above 0;")
    print(f"  of {nothing} without a true signal these visits stay open about: {sum(t == '0' for t in dark)}")
    long = [(truth, scan) for truth, scan in found if len(scan) > 1 and scan_grade(scan) is not None]
    patients = np.array([scan[0]["patient"] for _, scan in long], np.str_)
    truth = np.array([int(true) for true, _ in long])
    for harm, harmed in HARMS.items():
        print(f"  quadratic kappa of {len(long)} loops, {harm}, by the grade")
        for name, rule in RULES.items():
            said = np.array([rule(harmed(np.array([_sure(frame) for frame in scan]))) for _, scan in long], np.int64)
            given = metrics.Answers(truth=truth, predicted=said, p=np.eye(GRADES)[said], patients=patients)
            show(f"    {name}", metrics.figure(metrics.qwk, given))
    return lost == 0


def _sure(frame: Mapping[str, Any]) -> Sequence[float]:
    """A frame's probabilities; by rule without colour."""
    return frame["grade_p"] or np.eye(GRADES)[WITHOUT_COLOUR].tolist()


def real(folder: str, masks: str | None, models: str, out: Path) -> bool:
    """The grades of real frames; whether those with colour are above 0 and those without are 0."""
    data, tables, ledger = (
        str(out / f"real{'-masked' if masks else ''}-{name}") for name in ("data", "tables", "ledger")
    )
    options = read_options(None, masks or "all", False)
    ingest_job.ingest(
        ingest_job.IngestRequest(sources=(folder,), out=data, ledger=ledger, max_rejects=0.99, options=options)
    )
    score_job.score(score_job.ScoreRequest(data=data, models=models, out=tables))
    crosswalk = read_table(open_store(ledger), "crosswalk", CROSSWALK).to_pylist()
    name_of = {image: Path(row["path"]).name for row in crosswalk for image in row["image_ids"]}
    rows = read_table(open_store(tables), "ultrasound", ULTRASOUND).to_pylist()
    alone = _without_rule(data, models)
    print(f"\nreal frames of {folder}, {'the masks of ' + masks if masks else 'their whole screens'}")
    for row in sorted(rows, key=lambda row: name_of[row["image_id"]]):
        told = f"{name_of[row['image_id']]:<40} {'colour' if row['doppler'] else 'no colour':<10} grade {row['grade']}"
        print(f"  {told} (the network alone: {alone[row['image_id']]})")
    lit, dark = ([row["grade"] for row in rows if row["doppler"] == flag] for flag in (True, False))
    return bool(lit and dark) and min(lit) > 0 and max(dark) == 0


def _without_rule(data: str, models: str) -> dict[str, int]:
    """What the networks say of every frame, coloured or not."""
    panel, store = VotingModels.load(studies.find(STUDY), list_bundles(models, STUDY)), open_store(data)
    found: dict[str, int] = {}
    for key in list_parts(store, "images"):
        images = read_part(store, key, IMAGES, COLUMNS)
        rows = row_kinds.ULTRASOUND.rows_of_part(images, {})
        if rows:
            vote = panel.vote(rows, draw_views(store, key, panel.view_requests(rows)))["grade"]
            found |= {row.image_id: loop_grade(p[None]) for row, p in zip(rows, vote.p)}
    return found


def main() -> None:
    """Runs and prints."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--patients", type=int, default=500)
    parser.add_argument("--seed", type=int, default=31)
    parser.add_argument("--difficulty", default="standard")
    parser.add_argument("--real", help="a folder with real ultrasound files")
    parser.add_argument("--masks", help="where on their screens the scan is")
    args = parser.parse_args()
    own_key(args.out)
    data = make_data(args.out, args.patients, args.seed, args.difficulty, only="ultrasound")
    judged = fitted(STUDY, data, args.out, "default")
    models, tables = str(args.out / f"{STUDY}-default"), str(args.out / "tables")
    score_job.score(score_job.ScoreRequest(data=data, models=models, out=tables))
    print(f"\n{args.patients} drawn patients, {args.difficulty}, clean mode; no clinical evidence: drawn scans")
    met = {"Doppler quadratic kappa at least that of both readers": beside_readers(judged)}
    met["no scan with a true signal counts as without colour"] = rules(tables, judged)
    for masks in {None, args.masks} if args.real else ():
        where = "masked" if masks else "whole screens"
        met[f"real frames ({where}): above 0 with colour, 0 without"] = real(args.real, masks, models, args.out)
    print("\ntargets")
    for what, reached in met.items():
        print(f"  {what:<66} {'met' if reached else 'MISSED'}")


if __name__ == "__main__":
    main()
