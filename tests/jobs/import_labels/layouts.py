"""Small copies of the layouts of public data sets, with drawn hands and feet in the place of patients' films."""

import csv
import json
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from rajobs.imaging.hand_geometry import Box, Position, middle_finger_length
from rajobs.imaging.views import cut
from rajobs.jobs.import_labels import ra2_dream, ram_h1200
from rajobs.jobs.import_labels.imported import Joint
from rajobs.phantoms.picture import Picture
from rajobs.phantoms.radiographs.films import sample_film

PATIENTS = ("UAB001", "UAB002", "UAB003")
CASES = {"train": ("HMC0001", "HMC0002"), "val": ("HMC0003",), "test": ("HMC0004",)}


@cache
def film_of(kind: str) -> Picture:
    """The one drawn hand or foot that all pictures of it come from: drawing takes seconds."""
    return sample_film(np.random.default_rng(7), kind=kind, beside=False, even_scores=True)


def limb(kind: str, side: str, number: int) -> NDArray[np.uint8]:
    """The drawn hand or foot as one of a side, and as a film of its own by its brightness."""
    film = film_of(kind)
    deep = film.frames[0].astype(np.float32)
    grey = 200 * (deep - deep.min()) / (deep.max() - deep.min())
    pixels = (number * 4 + (200 - grey if film.inverted else grey)).astype(np.uint8)
    return np.ascontiguousarray(pixels if film.laterality == side else pixels[:, ::-1])


def scores_of(kind: str) -> dict[Joint, int]:
    """The drawing's true scores by target and site."""
    return {
        (truth.target, truth.site or ""): int(truth.value)
        for truth in film_of(kind).truths
        if truth.target in ("jsn", "erosion") and truth.reader == "truth"
    }


def make_ra2_dream(folder: Path) -> dict[str, int]:
    """A copy of RA2-DREAM's training set; how many scores it has by target."""
    rows, counts = [], {"jsn": 0, "erosion": 0}
    (folder / "training").mkdir(parents=True)
    for number, patient in enumerate(PATIENTS):
        row: dict[str, object] = {ra2_dream.PATIENT: patient}
        for name, columns in ra2_dream.LIMBS.items():
            kind = "unilateral" if name[1] == "H" else "foot"
            write(folder / "training" / f"{patient}-{name}.jpg", limb(kind, name[0], number))
            row |= {f"{name}_{column}": scores_of(kind).get(joint, 0) for column, joint in columns.items()}
        for total, targets in ra2_dream.TOTALS.items():
            own = [column for column, (_, joint) in ra2_dream.COLUMNS.items() if joint[0] in targets]
            row[total] = sum(int(str(row[column])) for column in own)
        rows.append(row)
    for target in counts:
        counts[target] = len(rows) * sum(joint[0] == target for _, joint in ra2_dream.COLUMNS.values())
    with (folder / "training.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, [ra2_dream.PATIENT, *ra2_dream.TOTALS, *ra2_dream.COLUMNS])
        writer.writeheader()
        writer.writerows(rows)
    return counts


def make_ram_h1200(folder: Path) -> dict[str, int]:
    """A copy of RAM-H1200's crops; how many scores it has by target. The crops of one hand differ by kind of score."""
    counts = {"jsn": 0, "erosion": 0}
    for split, cases in CASES.items():
        annotations: dict[str, dict[str, dict[str, int]]] = {kind: {} for kind in ram_h1200.JOINTS}
        for case in cases:
            for side in "LR":
                pixels, boxes = limb("unilateral", side, int(case[-1])), joint_boxes(side)
                for kind, joints in ram_h1200.JOINTS.items():
                    at = folder / "SvdH_Scoring" / f"SvdH_{kind}_Scoring" / split
                    wider = 6 if kind == "JSN" and case == "HMC0002" else 0
                    of_hand = annotations[kind].setdefault(f"{case}_{side}.bmp", {})
                    for stem, joint in joints.items():
                        if joint[1] in boxes:
                            x0, y0, x1, y1 = (round(edge) for edge in boxes[joint[1]])
                            crop = cut(pixels, (x0 - wider, y0 - wider, x1 + wider, y1 + wider))
                            write(at / f"{case}_{side}" / f"{stem}.bmp", crop)
                            of_hand[f"{kind}_{stem}"] = scores_of("unilateral").get(joint, 0)
                            counts[joint[0]] += 1
        for kind, of_kind in annotations.items():
            name = f"_annotation_{kind.casefold()}_scores.json"
            (folder / "SvdH_Scoring" / f"SvdH_{kind}_Scoring" / split / name).write_text(json.dumps(of_kind))
    return counts


def joint_boxes(side: str) -> dict[str, Box]:
    """A box around each joint of the drawn hand as one of a side, by site."""
    film = film_of("unilateral")
    at: dict[str, dict[str, float]] = {}
    for truth in film.truths:
        if truth.target in ("x", "y") and truth.site:
            at.setdefault(truth.site, {})[truth.target] = float(truth.value)
    last = film.frames[0].shape[1] - 1
    places = [
        Position(site=site, side=side, x=xy["x"] if film.laterality == side else last - xy["x"], y=xy["y"])
        for site, xy in at.items()
    ]
    half = middle_finger_length(places) * 0.28
    return {place.site: (place.x - half, place.y - half, place.x + half, place.y + half) for place in places}


def write(path: Path, pixels: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels)
