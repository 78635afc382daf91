"""Measures what models say of real pictures: views, joints, scores of sound hands, joint spaces, the Doppler flag.

    python benchmarks/real.py FOLDER OUT [--models builtin]

FOLDER has `films/` with the pictures, `views.csv` (image, view, side, adult, note), `labels.csv` (as `rajobs ingest
--labels` takes it, with the places of finger joints) and `healthy.csv` (image, side: hands whose joints are sound).
Shares of hands and pictures have Wilson intervals; shares of joints have intervals by hand, from 1,000 resamples of the
hands. Nothing is learnt here. Figures on pictures that guided a design are development figures.
"""

import argparse
import csv
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from numpy.typing import NDArray

from rajobs.records.anatomy import FINGER_JOINTS
from rajobs.records.statistics.intervals import wilson

KEY = "a key for pictures without patients"
HANDS = ("unilateral", "both")
JOINT_WIDTH = 0.28  # of the distance MCP3-PIP3
MOST_TOTAL = 5
RESAMPLES = 1000
RHEUMATOID = re.compile(r"\bRA\b")


@dataclass(frozen=True, kw_only=True)
class Tables:
    """What the product made of the pictures, by file name, and what is known of them."""

    views: pd.DataFrame
    labels: pd.DataFrame
    healthy: frozenset[tuple[str, str]]
    images: pd.DataFrame
    films: pd.DataFrame
    joints: pd.DataFrame


def run(*arguments: str) -> None:
    """A job of the product, with a key that no patient's pictures need."""
    done = subprocess.run(
        [sys.executable, "-m", "rajobs", *arguments], env={**os.environ, "RAJOBS_KEY": KEY}, capture_output=True,
        text=True,
    )  # fmt: skip
    if done.returncode:
        sys.exit(f"rajobs {arguments[0]} failed: {done.stderr.strip()[-500:]}")


def make_tables(folder: Path, out: Path, models: str) -> Tables:
    """Ingests the pictures of a folder, films and scans apart, and scores the films."""
    views = pd.read_csv(folder / "views.csv", dtype=str, keep_default_na=False)
    labels = pd.read_csv(folder / "labels.csv", dtype=str, keep_default_na=False)
    out.mkdir(parents=True, exist_ok=True)
    # Score would take the labelled places of joints for true: models have to find them here.
    labels[labels.study != "joint_detection"].to_csv(out / "labels.csv", index=False)
    scans = set(views.image[views["view"].str.startswith("ultrasound")])
    for kind, options in (
        ("films", ["--pictures", "radiograph", "--follow-links", "--labels", str(out / "labels.csv")]),
        ("scans", ["--pictures", "ultrasound", "--follow-links", "--ultrasound-regions", "all"]),
    ):
        (out / kind).mkdir(parents=True, exist_ok=True)
        for name in views.image:
            link = out / kind / name
            if (name in scans) == (kind == "scans") and not link.exists():
                link.symlink_to((folder / "films" / name).resolve())
        run("ingest", str(out / kind), str(out / f"{kind}-data"), "--ledger", str(out / f"{kind}-ledger"), *options)
    run("score", str(out / "films-data"), models, str(out / "tables"))
    names = {**names_by_image(out / "films-ledger"), **names_by_image(out / "scans-ledger")}
    read = {
        name: read_table(out / place, names)
        for name, place in (("films", "tables/films"), ("joints", "tables/joints"), ("images", "films-data/images"),
                            ("scans", "scans-data/images"))
    }  # fmt: skip
    with (folder / "healthy.csv").open() as file:
        healthy = frozenset((row["image"], row["side"]) for row in csv.DictReader(file))
    return Tables(
        views=views.set_index("image"), labels=labels, healthy=healthy,
        images=pd.concat([read["images"], read["scans"]]), films=read["films"], joints=read["joints"],
    )  # fmt: skip


def names_by_image(ledger: Path) -> dict[str, str]:
    """File names by image_id, from the crosswalk."""
    rows = pq.read_table(ledger / "crosswalk", columns=["path", "image_ids"]).to_pylist()
    return {image: Path(row["path"]).name for row in rows for image in row["image_ids"]}


def read_table(place: Path, names: Mapping[str, str]) -> pd.DataFrame:
    """A table without pixels, with a column `image` for the file name."""
    columns = [
        name for name in pq.read_schema(next(place.glob("*.parquet"))).names if name not in ("pixels", "preview")
    ]
    table = pq.read_table(place, columns=columns).to_pandas()
    return pd.DataFrame(table.assign(image=table.image_id.map(names)))


def print_share(what: str, right: Sequence[bool] | np.ndarray, noun: str) -> None:
    """A share of pictures or hands with its Wilson interval."""
    count, whole = int(np.sum(right)), len(right)
    if whole:
        low, high = wilson(count, whole)
        print(
            f"{what:58} {100 * count / whole:5.1f} %  ({100 * low:.1f} to {100 * high:.1f}), {count} of {whole} {noun}"
        )


def print_joint_share(what: str, rows: pd.DataFrame, right: "pd.Series[bool]") -> None:
    """A share of joints with an interval by resampled hands."""
    if not len(rows):
        return
    by_hand = pd.DataFrame({"hand": rows.image + rows.side.fillna(""), "right": right.astype(float)}).groupby("hand")
    sums, counts = by_hand.right.sum().to_numpy(), by_hand.right.count().to_numpy()
    drawn = np.random.default_rng(0).integers(0, len(sums), (RESAMPLES, len(sums)))
    low, high = np.percentile(sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1), (2.5, 97.5))
    print(
        f"{what:58} {100 * right.mean():5.1f} %  ({100 * low:.1f} to {100 * high:.1f}), {int(right.sum())} of "
        f"{len(rows)} joints of {len(sums)} hands"
    )


def print_views(tables: Tables) -> None:
    """Views of films, four ways and three ways, with what was taken for what."""
    films = tables.films.set_index("image")["view"].dropna()
    known = tables.views["view"].reindex(films.index)
    print_share("views, four ways", (films == known).to_numpy(), "films")
    merged = [series.replace(dict.fromkeys(HANDS, "hand")) for series in (films, known)]
    print_share("views, three ways", (merged[0] == merged[1]).to_numpy(), "films")
    for (known_view, shown_view), count in Counter(zip(known, films)).items():
        if known_view != shown_view:
            print(f"    {known_view} taken for {shown_view}: {count}")


def labelled_places(tables: Tables) -> pd.DataFrame:
    """The labelled places of finger joints: image, side, site, x, y and the joint's width in pixels."""
    rows = tables.labels[tables.labels.study == "joint_detection"]
    wide = rows.pivot_table(index=["image", "side", "site"], columns="target", values="value", aggfunc="first")
    places = wide.astype(float).reset_index()
    spans = {}
    for key, hand in places.groupby(["image", "side"]):
        at = hand.set_index("site")[["x", "y"]]
        ends = next(((f"MCP{k}", f"PIP{k}") for k in (3, 2, 4) if {f"MCP{k}", f"PIP{k}"} <= set(at.index)), None)
        spans[key] = np.hypot(*(at.loc[ends[0]] - at.loc[ends[1]])) if ends else np.nan
    places["span"] = [spans[key] for key in zip(places.image, places.side)]
    return places[places.span.notna()]


def group_of(tables: Tables) -> Callable[[str], str]:
    """The group of a picture: adults, or children by source."""
    adult, source = tables.views["adult"], tables.views["source"]
    return lambda image: "adults" if adult.get(image) == "1" else f"children, {source.get(image)}"


def print_places(tables: Tables, places: pd.DataFrame) -> None:
    """Finger joints within half a width of where they are labelled."""
    shown = tables.joints[["image", "side", "site", "x", "y", "confidence"]]
    both = places.merge(shown, on=["image", "side", "site"], how="left", suffixes=("", "_shown"))
    away = np.hypot(both.x - both.x_shown, both.y - both.y_shown) / (JOINT_WIDTH * both.span)
    both["right"], both["missing"] = (away <= 0.5) & both.x_shown.notna(), both.x_shown.isna()
    group = both.image.map(group_of(tables))
    for name in sorted(group.unique()):
        rows = both[group == name]
        print_joint_share(f"joints within half a width: {name}", rows, rows.right)
        print(f"    not shown: {int(rows.missing.sum())}, in a wrong place: {int((~rows.right & ~rows.missing).sum())}")


def print_scores(tables: Tables) -> None:
    """Scores of hands whose joints are sound, and totals of adults with and without rheumatoid arthritis."""
    joints = tables.joints[tables.joints.site.isin(FINGER_JOINTS) & tables.joints.x.notna()].copy()
    if joints.jsn.notna().sum() == 0:
        print("no scores: the models have none")
        return
    sound = joints[[(image, side) in tables.healthy for image, side in zip(joints.image, joints.side)]]
    print_joint_share("sound joints: not assessable", sound, sound.jsn.isna())
    for how, rows in (("left out", sound[sound.jsn.notna()]), ("as failures", sound)):
        print_joint_share(f"sound joints: JSN at most 1, not assessable ones {how}", rows, rows.jsn <= 1)
        print_joint_share(f"sound joints: JSN 0, not assessable ones {how}", rows, rows.jsn == 0)
        print_joint_share(f"sound joints: erosion 0, not assessable ones {how}", rows, rows.erosion == 0)
    joints["score"] = joints.jsn.fillna(0) + joints.erosion.fillna(0)
    sums = joints.groupby(["image", "side"], as_index=False).score.sum()
    totals = {(row.image, row.side): row.score for row in sums.itertuples()}
    of_sound = np.array([total for hand, total in totals.items() if hand in tables.healthy])
    print_share(f"sound hands: total of ten joints at most {MOST_TOTAL}", of_sound <= MOST_TOTAL, "hands")
    adults = tables.views[(tables.views.adult == "1") & tables.views["view"].isin(HANDS)]
    ill = {image for image, note in adults.note.items() if RHEUMATOID.search(note)}
    with_ra, without = (
        np.array([total for (image, _), total in totals.items() if image in adults.index and (image in ill) == wanted])
        for wanted in (True, False)
    )
    if len(with_ra) and len(without):
        rng = np.random.default_rng(0)
        drawn = [
            area_under_curve(rng.choice(with_ra, len(with_ra)), rng.choice(without, len(without)))
            for _ in range(RESAMPLES)
        ]
        low, high = np.percentile(drawn, (2.5, 97.5))
        print(
            f"adults, total of RA above that of others (AUC): {area_under_curve(with_ra, without):.2f} "
            f"({low:.2f} to {high:.2f}), {len(with_ra)} and {len(without)} hands"
        )


def area_under_curve(positive: NDArray[np.float64], negative: NDArray[np.float64]) -> float:
    """How often a positive value lies above a negative one; a tie counts half."""
    above = positive[:, None] > negative
    return float(np.mean(above + 0.5 * (positive[:, None] == negative)))


def print_spaces(tables: Tables, places: pd.DataFrame) -> None:
    """Joint spaces as shares of the distance MCP3-PIP3."""
    measured = tables.joints[tables.joints.jsw_px.notna()]
    both = places.merge(measured[["image", "side", "site", "jsw_px"]], on=["image", "side", "site"], how="left")
    both["share"] = both.jsw_px / both.span
    group = both.image.map(group_of(tables))
    for name in sorted(group.unique()):
        for kind in ("MCP", "PIP"):
            rows = both[(group == name) & both.site.str.match(f"{kind}[2-5]")]
            if rows.share.notna().any():
                print(
                    f"joint space as a share of MCP3-PIP3: {name}, {kind}: median {rows.share.median():.3f}, "
                    f"{rows.share.notna().sum()} of {len(rows)} joints measured"
                )


def print_flags(tables: Tables) -> None:
    """The Doppler flag of scans."""
    scans = tables.images[tables.images.image.map(tables.views["view"]).str.startswith("ultrasound", na=False)]
    for view, flag in (("ultrasound_grey", False), ("ultrasound_doppler", True)):
        rows = scans[scans.image.map(tables.views["view"]) == view]
        print_share(f"Doppler flag of {view}", (rows.doppler == flag).to_numpy(), "scans")


def main() -> None:
    """Print every figure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--models", default="builtin")
    arguments = parser.parse_args()
    tables = make_tables(arguments.folder, arguments.out, arguments.models)
    places = labelled_places(tables)
    print_views(tables)
    print_places(tables, places)
    print_scores(tables)
    print_spaces(tables, places)
    print_flags(tables)


if __name__ == "__main__":
    main()
