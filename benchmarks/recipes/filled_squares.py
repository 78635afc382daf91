"""What it is worth to fill the clinic's picture by graded scans, as score fills it: answers before, without and after.

Part of benchmarks/recipes/clinic_pictures.py. The visits are those that judge the default recipe and whose joints were
scanned. Grey scale and power Doppler of some joints are taken out of the clinic table; then each of these joints gets a
drawn scan of its true grades, graded in `rajobs score` by ultrasound_grading's default recipe, which has learnt from
other scans.
Score's own function asks the clinic's model each time: a scan without colour leaves its power Doppler open here too.
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
SHARES = (0.5, 1.0)  # of a visit's joints whose findings are taken out
EACH = 24  # scans of a pair of grades
GRADES = range(4)
Record = dict[str, Any]
Pair = tuple[int, int]
"""Grey-scale and power-Doppler grade of a joint."""


@dataclass(frozen=True, kw_only=True)
class Hidden:
    """A joint whose grades were taken out of the clinic table."""

    patient: str
    day: Any
    side: str
    site: str
    grades: Pair

    def column(self, target: str) -> str:
        return f"{self.side}_{self.site}_{SQUARES[target]}"


def draw_pool(seed: int) -> Iterator[Picture]:
    """Scans of every pair of grades, each of a person of their own."""
    for number, (grey, flow, _) in enumerate(product(GRADES, GRADES, range(EACH))):
        picture = sample_scan(np.random.default_rng([seed, number]), grade=flow, grey_grade=grey)
        yield replace(picture, patient=replace(picture.patient, number=number))


def graded(out: Path, patients: int, seed: int) -> dict[Pair, list[Record]]:
    """Score's rows of scans by their true grades; the model has learnt from the scans of so many patients."""
    fitted(GRADING, make_data(out / "scans", patients, seed, "standard", only="ultrasound"), out / "scans", "default")
    drawn, data, tables = (str(out / f"pool{what}") for what in ("", "-data", "-tables"))
    count = len(GRADES) ** 2 * EACH
    write_pictures(
        drawn, draw_pool(seed + 7), contact_sheet=contact_sheet, seed=seed, patients=count, damage=0.0,
        arguments={"benchmark": "pool"}, readable=True,
    )  # fmt: skip
    ingest_job.ingest(
        ingest_job.IngestRequest(sources=(f"{drawn}/archives",), out=data, labels=f"{drawn}/labels.csv", max_rejects=0)
    )
    score_job.score(score_job.ScoreRequest(data=data, models=str(out / "scans" / f"{GRADING}-default"), out=tables))
    labels = read_table(open_store(data), "labels", LABELS)
    truth = {name: _by_image(labels, name) for name in (GREY, FLOW)}
    pool: dict[Pair, list[Record]] = defaultdict(list)
    for row in read_table(open_store(tables), "ultrasound", ULTRASOUND).to_pylist():
        if row["image_id"] in truth[FLOW]:  # else a scan in grey scale alone
            pool[truth[GREY][row["image_id"]], truth[FLOW][row["image_id"]]].append(row)
    return pool


def _by_image(labels: pa.Table, target: str) -> dict[str, int]:
    agreed = consensus(labels, GRADING, target, ordered=True)
    return {image: int(value) for (image, _, _), value in agreed.items()}


def tell_grades(pool: Mapping[Pair, Sequence[Record]]) -> None:
    """How the scans of the pool are graded."""
    rows = [(pair, row) for pair, mine in pool.items() for row in mine]
    for at, name in enumerate((GREY, FLOW)):
        truth, said = (np.array(each, np.int64) for each in zip(*((pair[at], row[name]) for pair, row in rows)))
        given = metrics.Answers(
            truth=truth, predicted=said, p=np.eye(len(GRADES))[said],
            patients=np.array([row["patient"] for _, row in rows], np.str_),
        )  # fmt: skip
        show(f"the scans' {name}: quadratic kappa with the truth", metrics.figure(metrics.qwk, given))
        print(f"    {metrics.confusion(given).tolist()}, truth down")
    dark = sum(not row["doppler"] for _, row in rows)
    print(f"  {len(rows)} scans, {EACH} or fewer of each pair of grades; {dark} show no colour: their flow stays open")


def emptied(clinic: pa.Table, share: float, seed: int) -> tuple[pa.Table, list[Hidden]]:
    """The clinic table without the ultrasound of a share of each visit's joints, and what stood there."""
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
            if None not in (told := [row[name] for name in names]):
                hidden[patient, day, side, site] = (int(told[0]), int(told[1]))
            row.update(dict.fromkeys(names))
    found = [
        Hidden(patient=patient, day=day, side=side, site=site, grades=grades)
        for (patient, day, side, site), grades in hidden.items()
    ]
    return CLINIC.rows(rows), found


def scans_of(hidden: Sequence[Hidden], pool: Mapping[Pair, Sequence[Record]], seed: int) -> pa.Table:
    """A graded scan of each joint, as score's table has it."""
    rng = np.random.default_rng(seed)
    rows = []
    for number, joint in enumerate(hidden):
        mine = pool[joint.grades]
        about = {"patient": joint.patient, "visit_date": joint.day, "side": joint.side, "site": joint.site}
        rows.append({**mine[int(rng.integers(len(mine)))], **about, "image_id": f"joint-{number}"})
    return ULTRASOUND.rows(rows)


def tell_squares(hidden: Sequence[Hidden], scans: pa.Table) -> None:
    """How many of the squares are filled with what stood there before."""
    told = grades_by_visit(scans)
    for at, target in enumerate((GREY, FLOW)):
        found = [(joint.grades[at], told[joint.patient, joint.day].get(joint.column(target))) for joint in hidden]
        there = [(was, now) for was, now in found if now is not None]
        alike, near = (sum(abs(was - now) <= steps for was, now in there) for steps in (0, 1))
        left = sum(was == 0 for was, now in found if now is None)
        print(f"    {target}: {len(there)} filled, {alike} as they were, {near - alike} one grade off; "
              f"{len(found) - len(there)} stay empty, {left} of them a 0")  # fmt: skip


def scanned_visits(data: str, judged: Path) -> tuple[pa.Table, dict[str, int]]:
    """The clinic's rows of the visits that judge and have ultrasound, and the truth by visit."""
    answers = ordered(pq.read_table(judged / "predictions.parquet")).to_pylist()
    truth = {row["image_id"]: int(row["truth"]) for row in answers}
    names = [f"{side}_{site}_{square}" for side, site in product(SIDES, CLINIC_JOINTS) for square in SQUARES.values()]
    rows = [
        row
        for row in read_table(open_store(data), "clinic", CLINIC).to_pylist()
        if visit_id(row["patient"], row["visit_date"]) in truth and any(row[name] is not None for name in names)
    ]
    return CLINIC.rows(rows), truth


def asked(
    panel: VotingModels, clinic: pa.Table, scans: pa.Table, truth: Mapping[str, int]
) -> tuple[metrics.Answers, int]:
    """Score's answers to the visits, and how many squares it filled."""
    answers = ask_about_visits(ScoreSteps.of_all_studies(), {CLINICAL: panel}, clinic, scans)
    p = np.array([row["ra_clinical_p"] for row in answers])
    given = metrics.Answers(
        truth=np.array([truth[visit_id(row["patient"], row["visit_date"])] for row in answers], np.int64),
        predicted=(p > 0.5).astype(np.int64), p=np.stack([1 - p, p], axis=1),
        patients=np.array([row["patient"] for row in answers], np.str_),
    )  # fmt: skip
    return given, sum(row["squares_filled"] for row in answers)


def filling(out: Path, data: str, models: Path, judged: Path, patients: int, seed: int) -> None:
    """Answers with all findings, with a share of the joints' ultrasound taken out, and with those squares filled."""
    pool = graded(out, patients, seed)
    panel = VotingModels.load(studies.find(CLINICAL), list_bundles(str(models), CLINICAL))
    clinic, truth = scanned_visits(data, judged)
    nothing = ULTRASOUND.rows([])
    whole, _ = asked(panel, clinic, nothing, truth)
    print(f"\nfilling: {len(whole.truth)} of {len(truth)} visits that judge have ultrasound, {int(whole.truth.sum())} "
          f"with RA; scans graded by {GRADING}'s default recipe, learnt from {patients} drawn patients")  # fmt: skip
    tell_grades(pool)
    show("all findings there: balanced accuracy", metrics.figure(metrics.balanced_accuracy, whole))
    for share in SHARES:
        holes, hidden = emptied(clinic, share, seed)
        scans = scans_of(hidden, pool, seed)
        empty, _ = asked(panel, holes, nothing, truth)
        full, count = asked(panel, holes, scans, truth)
        print(f"  ultrasound of {share:.0%} of the joints taken out: {len(hidden)} joints, {2 * len(hidden)} squares; "
              f"{count} filled again")  # fmt: skip
        tell_squares(hidden, scans)
        beside(whole, empty, full)


def beside(whole: metrics.Answers, empty: metrics.Answers, full: metrics.Answers) -> None:
    """The three sets of answers, and their paired differences."""
    show("  emptied: balanced accuracy", metrics.figure(metrics.balanced_accuracy, empty))
    show("  filled: balanced accuracy", metrics.figure(metrics.balanced_accuracy, full))
    for what, one, other in (
        ("emptied less whole", empty, whole), ("filled less emptied", full, empty), ("filled less whole", full, whole),
    ):  # fmt: skip
        show(f"  {what}, paired", metrics.lead(metrics.balanced_accuracy, one, other))
        changed = one.predicted != other.predicted
        right = int((one.predicted == one.truth)[changed].sum())
        moved = float(np.abs(one.p[:, 1] - other.p[:, 1]).mean())
        print(f"      {int(changed.sum())} answers change, {right} of them to the truth; the probability of RA moves "
              f"by {moved:.3f} on average")  # fmt: skip
