"""Compares the grades of drawn power-Doppler scans with two simulated readers, and grades a folder of real frames.

    python benchmarks/recipes/scan_grading.py OUT [--patients 500] [--difficulty standard] [--real DIR] [--masks FILE]

Draws the scans of a cohort with two readers (their linear kappa on standard scans is 0.80), ingests them, trains
ultrasound_grading's default recipe in clean mode and evaluates it once on the test part. Then `rajobs score` grades all
frames, which tests its rules for loops and for frames without colour. `--real` is a folder of ultrasound files; their
whole screens are read unless `--masks` (see `rajobs ingest --ultrasound-regions`) says where the scan is. A second
start uses what is under OUT already. Figures of drawn scans are no clinical evidence.
"""

import argparse
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from default_recipes import fitted, make_data, show, use_own_key

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
"""The frames of one scan."""
RULES: Mapping[str, Callable[[P], int]] = {
    f"of the frame that {1 - LIVELY:.0%} of frames exceed, as score does": loop_grade,
    "of the highest frame": lambda p: loop_grade(p, 1.0),
    "of the middle frame": lambda p: loop_grade(p, 0.5),
    "of the first frame": lambda p: loop_grade(p[:1]),
}


def flash(p: P) -> P:
    """A loop with one frame that lights up entirely because the probe moved."""
    return np.concatenate([p[:-1], np.eye(GRADES)[-1:]])


def beats(p: P) -> P:
    """A loop whose vessels show flow in every fourth frame only."""
    return np.where(np.arange(len(p))[:, None] % 4 == 2, p, np.eye(GRADES)[WITHOUT_COLOUR])


DISTURBANCES: Mapping[str, Callable[[P], P]] = {
    "as drawn": lambda p: p,
    "one frame of each loop lit up by a moving probe": flash,
    "three of four frames without the signal": beats,
}
"""Real loops pulse and the probe moves; drawn loops only pulse a little."""


def compare_with_readers(judged: Path) -> bool:
    """Print kappas of model and readers with the truth; whether the model's Doppler grade is at least as good."""
    evaluation = json.loads((judged / "metrics.json").read_text())
    leads = []
    for row in (each for each in evaluation["readers"] if each["against"] == "reference"):
        show(f"{row['target']}: quadratic kappa, {row['who']} ({row['rows']} scans)", row["figures"]["qwk"])
        if "lead" in row:
            show(f"{row['target']}: the model's lead over {row['who']}, paired", row["lead"]["qwk"], "0")
            leads += [row["lead"]["qwk"]["value"]] if row["target"] == "grade" else []
    for name in ("grade.kappa_linear", "grade.any_sensitivity", "grade.any_specificity"):
        show(name.replace("_", " "), evaluation["figures"][name])
    return bool(leads) and min(leads) >= 0


def scans_of(tables: str, judged: Path) -> Iterator[tuple[str, Scan]]:
    """True grade and frames of each scan of the test part, from score's tables."""
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
    """Print the effects of the rules for loops and frames without colour; whether no true signal is lost."""
    scans = list(scans_of(tables, judged))
    dark = [truth for truth, scan in scans if not any(frame["doppler"] for frame in scan)]
    lost = sum(truth != "0" for truth in dark)
    nothing = sum(truth == "0" for truth, _ in scans)
    print(f"  {len(dark)} of {len(scans)} scans show no colour: {lost} of them with a true grade above 0;")
    print(
        f"  of the {nothing} scans without a true signal, score leaves without a grade: {sum(t == '0' for t in dark)}"
    )
    long = [(truth, scan) for truth, scan in scans if len(scan) > 1 and scan_grade(scan) is not None]
    patients = np.array([scan[0]["patient"] for _, scan in long], np.str_)
    truth = np.array([int(true) for true, _ in long])
    for disturbance, disturb in DISTURBANCES.items():
        print(f"  quadratic kappa of {len(long)} loops, {disturbance}, by the grade")
        for name, rule in RULES.items():
            grades = np.array(
                [rule(disturb(np.array([_probabilities(frame) for frame in scan]))) for _, scan in long], np.int64
            )
            answers = metrics.Answers(truth=truth, predicted=grades, p=np.eye(GRADES)[grades], patients=patients)
            show(f"    {name}", metrics.figure(metrics.qwk, answers))
    return lost == 0


def _probabilities(frame: Mapping[str, Any]) -> Sequence[float]:
    """A frame's probabilities; for a frame without colour those of the rule."""
    p: Sequence[float] = frame["grade_p"] or np.eye(GRADES)[WITHOUT_COLOUR].tolist()
    return p


def real(folder: str, masks: str | None, models: str, out: Path) -> bool:
    """Print the grades of real frames; whether they are above 0 with colour and 0 without."""
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
    alone = _network_grades(data, models)
    print(f"\nreal frames of {folder}, {'the masks of ' + masks if masks else 'their whole screens'}")
    for row in sorted(rows, key=lambda row: name_of[row["image_id"]]):
        line = f"{name_of[row['image_id']]:<40} {'colour' if row['doppler'] else 'no colour':<10} grade {row['grade']}"
        print(f"  {line} (the network alone: {alone[row['image_id']]})")
    lit, dark = ([row["grade"] for row in rows if row["doppler"] == flag] for flag in (True, False))
    return bool(lit and dark) and min(lit) > 0 and max(dark) == 0


def _network_grades(data: str, models: str) -> dict[str, int]:
    """The networks' own grade of every frame, with or without colour."""
    panel, store = VotingModels.load(studies.find(STUDY), list_bundles(models, STUDY)), open_store(data)
    grades: dict[str, int] = {}
    for key in list_parts(store, "images"):
        images = read_part(store, key, IMAGES, COLUMNS)
        rows = row_kinds.ULTRASOUND.rows_of_part(images, {})
        if rows:
            vote = panel.vote(rows, draw_views(store, key, panel.view_requests(rows)))["grade"]
            grades |= {row.image_id: loop_grade(p[None]) for row, p in zip(rows, vote.p)}
    return grades


def main() -> None:
    """Run all comparisons and print which targets are met."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--patients", type=int, default=500)
    parser.add_argument("--seed", type=int, default=31)
    parser.add_argument("--difficulty", default="standard")
    parser.add_argument("--real", help="a folder with real ultrasound files")
    parser.add_argument("--masks", help="file that says where on their screens the scan is")
    args = parser.parse_args()
    use_own_key(args.out)
    data = make_data(args.out, args.patients, args.seed, args.difficulty, only="ultrasound")
    judged = fitted(STUDY, data, args.out, "default")
    models, tables = str(args.out / f"{STUDY}-default"), str(args.out / "tables")
    score_job.score(score_job.ScoreRequest(data=data, models=models, out=tables))
    print(f"\n{args.patients} drawn patients, {args.difficulty}, clean mode; no clinical evidence: drawn scans")
    met = {"Doppler quadratic kappa at least that of both readers": compare_with_readers(judged)}
    met["no scan with a true signal counts as without colour"] = rules(tables, judged)
    for masks in {None, args.masks} if args.real else ():
        where = "masked" if masks else "whole screens"
        met[f"real frames ({where}): above 0 with colour, 0 without"] = real(args.real, masks, models, args.out)
    print("\ntargets")
    for what, reached in met.items():
        print(f"  {what:<66} {'met' if reached else 'MISSED'}")


if __name__ == "__main__":
    main()
