"""Measures the benefit of filling the clinic's picture with grades of scans: answers before, without and after.

Part of benchmarks/recipes/clinic_pictures.py. The visits are those of the test part whose joints were scanned. Grey
scale and power Doppler of some joints are removed from the clinic table. Then each of these joints gets a drawn scan
with its true grades, which `rajobs score` grades with ultrasound_grading's default recipe, trained on other scans. The
answers come from score's own function, so power Doppler stays open where a scan shows no colour.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from default_recipes import fitted, make_data, ordered, show

from rajobs import studies
from rajobs.imaging.clinic_visits import visit_id
from rajobs.jobs.ingest import job as ingest_job
from rajobs.jobs.score import job as score_job
from rajobs.jobs.score.steps import ScoreSteps
from rajobs.jobs.score.tables import ask_about_visits
from rajobs.learning.voting_models import VotingModels, list_bundles
from rajobs.phantoms.packaging.contact_sheet import contact_sheet
from rajobs.phantoms.picture import Picture
from rajobs.phantoms.ultrasound.scans import sample_scan
from rajobs.phantoms.write import write_pictures
from rajobs.records import metrics
from rajobs.records.anatomy import CLINIC_JOINTS, SIDES
from rajobs.records.label_consensus import consensus
from rajobs.records.scan_grades import FLOW, GREY, SQUARES
from rajobs.records.store import open_store
from rajobs.records.tables.parquet_parts import read_table
from rajobs.records.tables.schemas import CLINIC, LABELS, ULTRASOUND
from rajobs.records.visits import grades_by_visit

CLINICAL, GRADING = "clinical_array", "ultrasound_grading"
SHARES = (0.5, 1.0)  # of a visit's joints whose findings are removed
EACH = 24  # scans per pair of grades
GRADES = range(4)
Record = dict[str, Any]
Pair = tuple[int, int]
"""Grey-scale and power-Doppler grade of a joint."""


@dataclass(frozen=True, kw_only=True)
class Hidden:
    """A joint whose grades were removed from the clinic table."""

    patient: str
    day: Any
    side: str
    site: str
    grades: Pair

    def column(self, target: str) -> str:
        """The joint's column of the clinic table for a target."""
        return f"{self.side}_{self.site}_{SQUARES[target]}"


def draw_pool(seed: int) -> Iterator[Picture]:
    """Scans of every pair of grades, one per person."""
    for number, (grey, flow, _) in enumerate(product(GRADES, GRADES, range(EACH))):
        picture = sample_scan(np.random.default_rng([seed, number]), grade=flow, grey_grade=grey)
        yield replace(picture, patient=replace(picture.patient, number=number))


def graded(out: Path, patients: int, seed: int) -> dict[Pair, list[Record]]:
    """Score's rows of scans by their true grades; the model is trained on the scans of `patients` patients."""
    fitted(GRADING, make_data(out / "scans", patients, seed, "standard", only="ultrasound"), out / "scans", "default")
    drawn, data, tables = (str(out / f"pool{what}") for what in ("", "-data", "-tables"))
    count = len(GRADES) ** 2 * EACH
    write_pictures(
        drawn, draw_pool(seed + 7), contact_sheet=contact_sheet, seed=seed, patients=count, damage=0.0,
        arguments={"benchmark": "pool"}, readable=True,
    )  # fmt: skip
    ingest_job.ingest(
        ingest_job.IngestRequest(
            sources=(f"{drawn}/archives",), out=data, labels=(f"{drawn}/labels.csv",), max_rejects=0
        )
    )
    score_job.score(score_job.ScoreRequest(data=data, models=str(out / "scans" / f"{GRADING}-default"), out=tables))
    labels = read_table(open_store(data), "labels", LABELS)
    truth = {name: _by_image(labels, name) for name in (GREY, FLOW)}
    pool: dict[Pair, list[Record]] = defaultdict(list)
    for row in read_table(open_store(tables), "ultrasound", ULTRASOUND).to_pylist():
        if row["image_id"] in truth[FLOW]:  # others are scans in grey scale only
            pool[truth[GREY][row["image_id"]], truth[FLOW][row["image_id"]]].append(row)
    return pool


def _by_image(labels: pa.Table, target: str) -> dict[str, int]:
    agreed = consensus(labels, GRADING, target, ordered=True)
    return {image: int(value) for (image, _, _), value in agreed.items()}


def print_grades(pool: Mapping[Pair, Sequence[Record]]) -> None:
    """Print how the scans of the pool are graded."""
    rows = [(pair, row) for pair, scans in pool.items() for row in scans]
    for at, name in enumerate((GREY, FLOW)):
        truth, grades = (np.array(each, np.int64) for each in zip(*((pair[at], row[name]) for pair, row in rows)))
        answers = metrics.Answers(
            truth=truth, predicted=grades, p=np.eye(len(GRADES))[grades],
            patients=np.array([row["patient"] for _, row in rows], np.str_),
        )  # fmt: skip
        show(f"the scans' {name}: quadratic kappa with the truth", metrics.figure(metrics.qwk, answers))
        print(f"    {metrics.confusion(answers).tolist()}, one row per true grade")
    dark = sum(not row["doppler"] for _, row in rows)
    print(f"  {len(rows)} scans, at most {EACH} per pair of grades; {dark} show no colour, so their flow stays open")


def emptied(clinic: pa.Table, share: float, seed: int) -> tuple[pa.Table, list[Hidden]]:
    """The clinic table without the ultrasound of a share of each visit's joints, and the removed grades."""
    rng = np.random.default_rng(seed)
    rows, hidden = clinic.to_pylist(), {}
    chosen = {
        day: [joint for joint in product(SIDES, CLINIC_JOINTS) if rng.random() < share]
        for day in dict.fromkeys((row["patient"], row["visit_date"]) for row in rows)
    }
    for row in rows:
        patient, day = row["patient"], row["visit_date"]
        for side, site in chosen[patient, day]:
            names = [f"{side}_{site}_{SQUARES[target]}" for target in (GREY, FLOW)]
            if None not in (grades := [row[name] for name in names]):
                hidden[patient, day, side, site] = (int(grades[0]), int(grades[1]))
            row.update(dict.fromkeys(names))
    joints = [
        Hidden(patient=patient, day=day, side=side, site=site, grades=pair)
        for (patient, day, side, site), pair in hidden.items()
    ]
    return CLINIC.rows(rows), joints


def scans_of(hidden: Sequence[Hidden], pool: Mapping[Pair, Sequence[Record]], seed: int) -> pa.Table:
    """One graded scan per joint, as in score's table."""
    rng = np.random.default_rng(seed)
    rows = []
    for number, joint in enumerate(hidden):
        scans = pool[joint.grades]
        about = {"patient": joint.patient, "visit_date": joint.day, "side": joint.side, "site": joint.site}
        rows.append({**scans[int(rng.integers(len(scans)))], **about, "image_id": f"joint-{number}"})
    return ULTRASOUND.rows(rows)


def print_squares(hidden: Sequence[Hidden], scans: pa.Table) -> None:
    """Print how many squares are filled with the grade that was removed."""
    graded_visits = grades_by_visit(scans)
    for at, target in enumerate((GREY, FLOW)):
        pairs = [
            (joint.grades[at], graded_visits[joint.patient, joint.day].get(joint.column(target))) for joint in hidden
        ]
        there = [(was, now) for was, now in pairs if now is not None]
        alike, near = (sum(abs(was - now) <= steps for was, now in there) for steps in (0, 1))
        left = sum(was == 0 for was, now in pairs if now is None)
        print(f"    {target}: {len(there)} filled, {alike} with the same grade, {near - alike} one off; "
              f"{len(pairs) - len(there)} stay empty, {left} of which were 0")  # fmt: skip


def scanned_visits(data: str, judged: Path) -> tuple[pa.Table, dict[str, int]]:
    """The clinic's rows of the test part's visits with ultrasound, and the truth by visit."""
    answers = ordered(pq.read_table(judged / "predictions.parquet")).to_pylist()
    truth = {row["image_id"]: int(row["truth"]) for row in answers}
    names = [f"{side}_{site}_{square}" for side, site in product(SIDES, CLINIC_JOINTS) for square in SQUARES.values()]
    rows = [
        row
        for row in read_table(open_store(data), "clinic", CLINIC).to_pylist()
        if visit_id(row["patient"], row["visit_date"]) in truth and any(row[name] is not None for name in names)
    ]
    return CLINIC.rows(rows), truth


def score_visits(
    panel: VotingModels, clinic: pa.Table, scans: pa.Table, truth: Mapping[str, int]
) -> tuple[metrics.Answers, int]:
    """Score's answers about the visits, and the number of squares that it filled."""
    rows = ask_about_visits(ScoreSteps.of_all_studies(), {CLINICAL: panel}, clinic, scans)
    p = np.array([row["ra_clinical_p"] for row in rows])
    answers = metrics.Answers(
        truth=np.array([truth[visit_id(row["patient"], row["visit_date"])] for row in rows], np.int64),
        predicted=(p > 0.5).astype(np.int64), p=np.stack([1 - p, p], axis=1),
        patients=np.array([row["patient"] for row in rows], np.str_),
    )  # fmt: skip
    return answers, sum(row["squares_filled"] for row in rows)


def measure_filling(out: Path, data: str, models: Path, judged: Path, patients: int, seed: int) -> None:
    """Compare the answers with all findings, without some joints' ultrasound, and with those squares filled."""
    pool = graded(out, patients, seed)
    panel = VotingModels.load(studies.find(CLINICAL), list_bundles(str(models), CLINICAL))
    clinic, truth = scanned_visits(data, judged)
    nothing = ULTRASOUND.rows([])
    whole, _ = score_visits(panel, clinic, nothing, truth)
    print(f"\nfilling: {len(whole.truth)} of {len(truth)} visits of the test part have ultrasound, "
          f"{int(whole.truth.sum())} with RA; scans are graded by {GRADING}'s default recipe, trained on {patients} "
          "drawn patients")  # fmt: skip
    print_grades(pool)
    show("all findings present: balanced accuracy", metrics.figure(metrics.balanced_accuracy, whole))
    for share in SHARES:
        holes, hidden = emptied(clinic, share, seed)
        scans = scans_of(hidden, pool, seed)
        empty, _ = score_visits(panel, holes, nothing, truth)
        full, count = score_visits(panel, holes, scans, truth)
        print(f"  ultrasound of {share:.0%} of the joints removed: {len(hidden)} joints, {2 * len(hidden)} squares; "
              f"{count} filled again")  # fmt: skip
        print_squares(hidden, scans)
        compare_answers(whole, empty, full)


def compare_answers(whole: metrics.Answers, empty: metrics.Answers, full: metrics.Answers) -> None:
    """Print the figures of the three sets of answers and their paired differences."""
    show("  emptied: balanced accuracy", metrics.figure(metrics.balanced_accuracy, empty))
    show("  filled: balanced accuracy", metrics.figure(metrics.balanced_accuracy, full))
    for what, one, other in (
        ("emptied minus whole", empty, whole),
        ("filled minus emptied", full, empty),
        ("filled minus whole", full, whole),
    ):
        show(f"  {what}, paired", metrics.lead(metrics.balanced_accuracy, one, other))
        changed = one.predicted != other.predicted
        right = int((one.predicted == one.truth)[changed].sum())
        moved = float(np.abs(one.p[:, 1] - other.p[:, 1]).mean())
        print(f"      {int(changed.sum())} answers change, {right} of them to the truth; the probability of RA moves "
              f"by {moved:.3f} on average")  # fmt: skip
