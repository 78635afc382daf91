"""Measures how well a fixed network tells drawn joints from real ones: the area under its curve, over folds by hand.

    python benchmarks/drawn_or_real.py FOLDER [--films 120]

FOLDER is as for `real.py`; its sound hands are compared with sound drawn hands of the same ages. All patches have the
same size and have gone through the same JPEG. 0.5: it cannot tell them; 1.0: it always can. The network, its epochs
and the folds are fixed, so that two states of the drawings can be compared. It is for measuring alone: nothing learns
from what it finds, and it is no part of the product.
"""

import argparse
import csv
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from torch.nn import functional as F

from rajobs.imaging.hand_geometry import Position
from rajobs.imaging.rows import EXTREMITIES
from rajobs.imaging.views import ViewInput, boxed
from rajobs.imaging.windowing import to_bytes
from rajobs.learning.networks.architectures import build
from rajobs.phantoms.people.cohort import plan_sample
from rajobs.phantoms.radiographs.films import draw_film
from rajobs.phantoms.radiographs.spoiling import joint_places
from rajobs.records.anatomy import FINGER_JOINTS

SIDE, FOLDS, EPOCHS, BATCH, JPEG = 64, 5, 12, 64, 85
AGES = (5.0, 17.0)  # years; the sound hands come from bone-age sets

Patches = NDArray[np.uint8]


def cut_patches(pixels: NDArray[Any], positions: list[Position]) -> list[Patches]:
    """The finger joints of a film's hands, upright, as right hands, each by its own grey range."""
    image = ViewInput(pixels=to_bytes(pixels, None), deep=pixels)
    patches = []
    for hand in EXTREMITIES.cut("film", 0, positions):
        for joint in hand.joints:
            if joint.site in FINGER_JOINTS:
                patch = boxed(image, joint, size=SIDE, margin=0.1, upright=True, mirror=True, levels="own")
                coded = cv2.imencode(".jpg", patch, (cv2.IMWRITE_JPEG_QUALITY, JPEG))[1]
                patches.append(np.asarray(cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE), np.uint8))
    return patches


def real_hands(folder: Path) -> list[list[Patches]]:
    """Patches of the sound hands, hand by hand."""
    with (folder / "healthy.csv").open() as file:
        healthy = {(row["image"], row["side"]) for row in csv.DictReader(file)}
    places: dict[tuple[str, str], dict[str, dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
    with (folder / "labels.csv").open() as file:
        for row in csv.DictReader(file):
            if row["study"] == "joint_detection" and (row["image"], row["side"]) in healthy:
                places[row["image"], row["side"]][row["site"]][row["target"]] = float(row["value"])
    hands = []
    for (image, side), sites in places.items():
        pixels = cv2.imread(str(folder / "films" / image), cv2.IMREAD_GRAYSCALE)
        assert pixels is not None, image
        positions = [Position(site=site, side=side or None, x=at["x"], y=at["y"]) for site, at in sites.items()]
        hands.append(cut_patches(pixels, positions))
    return hands


def drawn_hands(films: int) -> list[list[Patches]]:
    """Patches of sound drawn hands, hand by hand."""
    hands = []
    for seed in range(films):
        rng = np.random.default_rng((2026, seed))
        film = plan_sample(rng, kind="unilateral", size="FULL", difficulty="standard", beside=False)
        film = replace(film, age=float(rng.uniform(*AGES)), scores={}, drift=0.0)
        picture = draw_film(film)
        pixels = picture.frames[0]
        if picture.inverted:
            pixels = np.subtract((1 << picture.bits) - 1, pixels).astype(np.uint16)
        positions = [
            Position(site=str(site), side=side, x=float(x), y=float(y))
            for (side, site), (x, y) in joint_places(picture).items()
        ]
        hands.append(cut_patches(pixels, positions))
    return [hand for hand in hands if hand]


def learn_and_ask(images: torch.Tensor, drawn: torch.Tensor, test: torch.Tensor) -> NDArray[np.float64]:
    """How likely the test patches are drawn, by a network that learnt from the others."""
    torch.manual_seed(0)
    network = build("compact", {"width": 8, "stages": 3}, {"drawn": 2}, (1, SIDE, SIDE))
    optimiser = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=0.02)
    learning = torch.nonzero(~test).flatten()
    for epoch in range(EPOCHS):
        order = learning[torch.randperm(len(learning), generator=torch.Generator().manual_seed(epoch))]
        network.train()
        for rows in order.split(BATCH):
            if len(rows) > 1:
                loss = F.cross_entropy(network(images[rows])["drawn"], drawn[rows])
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
    network.eval()
    with torch.no_grad():
        answers: NDArray[np.float64] = network(images[test])["drawn"].softmax(1)[:, 1].double().numpy()
    return answers


def main() -> None:
    """Print the area under the curve of every fold, and their mean."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--films", type=int, default=120)
    arguments = parser.parse_args()
    hands = [(patches, 0) for patches in real_hands(arguments.folder)]
    count = len(hands)
    hands += [(patches, 1) for patches in drawn_hands(arguments.films)]
    print(f"{count} real hands, {len(hands) - count} drawn ones, {sum(len(patches) for patches, _ in hands)} joints")
    images = torch.from_numpy(np.stack([patch for patches, _ in hands for patch in patches]))[:, None].float() / 255
    drawn = torch.tensor([kind for patches, kind in hands for _ in patches])
    folds = np.random.default_rng(0).integers(0, FOLDS, len(hands))
    fold_of_patch = torch.tensor([int(folds[number]) for number, (patches, _) in enumerate(hands) for _ in patches])
    areas = []
    for fold in range(FOLDS):
        test = fold_of_patch == fold
        areas.append(float(roc_auc_score(drawn[test].numpy(), learn_and_ask(images, drawn, test))))
        print(f"fold {fold + 1}: {areas[-1]:.3f}")
    print(f"drawn or real, area under the curve: {np.mean(areas):.3f}")


if __name__ == "__main__":
    main()
