"""How often evaluate's page names a stratum that is no worse than the rest, and one that is.

    python benchmarks/strata.py [--pages 200]
    python benchmarks/strata.py --data DATA --models MODELS OUT [--maker SIEMENS] [--blur 2.0]

The first draws cohorts of answers with six makers, both sexes, ages, sides, views and three centres; the old are
more ill. The second judges MODELS on DATA, then on a copy of DATA in which one maker's films are blurred
(`--blur` in mm), and prints what the two pages name. DATA is an ingested cohort with labels, a phantom's for example.
"""

import argparse
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa

from rajobs import studies
from rajobs.imaging.coding import decode, encode, preview
from rajobs.jobs.evaluate.job import EvaluateRequest, evaluate, read_metrics
from rajobs.learning.judging.strata import judge_strata
from rajobs.records.store import Store, open_store
from rajobs.records.tables.parquet_parts import list_parts, read_part, to_parquet
from rajobs.records.tables.schemas import IMAGES, PREDICTIONS

MAKERS = ("Agfa", "Carestream", "FUJIFILM", "Konica Minolta", "Philips", "SIEMENS", None)
VIEWS = ("PA", "PA", "PA", "AP", None)
SITES = ("MCP2", "MCP3", "MCP4", "PIP2", "PIP3", "PIP4")
STUDY = studies.find("svdh_scoring")
WORSE = "SIEMENS"
SIZES = (20, 40, 100)


def draw_cohort(rng: np.random.Generator, patients: int, times: float) -> pa.Table:
    """Answers to both hands of each patient; the errors of one maker's films are so many times as large."""
    rows: list[dict[str, Any]] = []
    for patient in range(patients):
        age, lean, level = int(rng.integers(16, 92)), rng.normal(0, 0.25), rng.beta(0.6, 2.0)
        about = {"sex": "FM"[int(rng.random() < 0.3)], "age_years": age, "centre": f"centre {rng.integers(3)}"}
        for side in "LR":
            maker, view = MAKERS[int(rng.integers(len(MAKERS)))], VIEWS[int(rng.integers(len(VIEWS)))]
            noise = 0.5 * (times if maker == WORSE else 1.0)
            for site in SITES:
                truth = int(rng.binomial(4, min(level * (1 + age / 90), 1.0)))
                answer = int(np.clip(round(truth + lean + rng.normal(0, noise * (1 + 0.2 * truth))), 0, 4))
                rows.append({
                    "image_id": f"{patient} {side}", "extremity": 0, "site": site, "side": side,
                    "patient": f"p{patient}", "target": "jsn", "truth": str(truth), "predicted": str(answer),
                    "p": [float(score == answer) for score in range(5)], "split": "test", "bundles": [],
                    "manufacturer": maker, "view_position": view, **about,
                })  # fmt: skip
    return PREDICTIONS.rows(rows)


def simulate(pages: int) -> None:
    print(f"{'patients':>9}{'errors of one maker':>21}{'it is named':>13}{'another one is':>16}")
    for patients in SIZES:
        for times in (1.0, 1.5, 2.0):
            rng = np.random.default_rng(patients)
            named = [
                {each.value for each in judge_strata(STUDY, draw_cohort(rng, patients, times)).worse}
                for _ in range(pages)
            ]
            right = np.mean([WORSE in values for values in named])
            wrong = np.mean([bool(values - {WORSE}) for values in named])
            print(f"{patients:9}{times:19.1f} x{100 * right:11.1f} %{100 * wrong:14.1f} %", flush=True)


def copy_blurred(data: str, out: str, maker: str, blur_mm: float) -> int:
    """A copy of an ingest, but for prepared arrays, in which a maker's films are blurred; how many they are."""
    source, copy, blurred = open_store(data), open_store(out), 0
    for entry in list(source.list()):
        if not entry.key.startswith(("images/", "prepared/")):
            copy.put(entry.key, source.get(entry.key))
    for key in list_parts(source, "images"):
        blurred += _copy_part(source, copy, key, maker, blur_mm)
    return blurred


def _copy_part(source: Store, copy: Store, key: str, maker: str, blur_mm: float) -> int:
    rows = read_part(source, key, IMAGES).to_pylist()
    chosen = [row for row in rows if row["manufacturer"] == maker and row["modality"] != "US"]
    for row in chosen:
        pixels = cv2.GaussianBlur(decode(row["pixels"]), (0, 0), blur_mm / (row["spacing_mm"] or 0.2))
        row["pixels"] = encode(pixels)
        window = row["window_centre"], row["window_width"]
        row["preview"] = preview(pixels, None if None in window else window)
    copy.put(key, to_parquet(IMAGES.rows(rows), IMAGES))
    return len(chosen)


def on_data(data: str, models: str, out: str, maker: str, blur_mm: float) -> None:
    films = copy_blurred(data, f"{out}/blurred", maker, blur_mm)
    print(f"{films} films of {maker} are blurred by {blur_mm:g} mm")
    for name, place in (("as it is", data), ("blurred", f"{out}/blurred")):
        judged = f"{out}/judged-{Path(place).name}"
        evaluate(EvaluateRequest(study=STUDY.name, data=place, models=models, out=judged))
        strata = read_metrics(judged)["strata"]
        worse = [
            f"{each['variable']} {each['value']} ({each['target']})" for each in strata["answers"] if each["worse"]
        ]
        print(f"{name}: {strata['compared']} comparisons; worse than the rest: {', '.join(worse) or 'none'}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", nargs="?")
    parser.add_argument("--pages", type=int, default=200)
    parser.add_argument("--data")
    parser.add_argument("--models")
    parser.add_argument("--maker", default=WORSE)
    parser.add_argument("--blur", type=float, default=2.0)
    args = parser.parse_args()
    if args.data and args.models and args.out:
        on_data(args.data, args.models, args.out, args.maker, args.blur)
    else:
        simulate(args.pages)


if __name__ == "__main__":
    main()
