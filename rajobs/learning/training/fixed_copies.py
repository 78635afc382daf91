"""Fixed copies of rows to learn from and to validate by, as 004 has them: turned by set angles, each also flipped."""

from dataclasses import replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from rajobs.learning.recipe import Augment
from rajobs.learning.training.loop import Samples


def with_fixed_copies(samples: Samples, augment: Augment) -> Samples:
    """Every row once in each copy; the rows themselves come first."""
    maps = copy_maps(augment)
    count, copies = len(samples), len(maps)
    return replace(
        samples,
        at=np.tile(samples.at, copies),
        truth={name: np.tile(numbers, copies) for name, numbers in samples.truth.items()},
        kinds=np.tile(samples.kinds, copies),
        shares={name: np.tile(of_target, (copies, 1)) for name, of_target in samples.shares.items()},
        maps=np.repeat(maps, count, axis=0),
    )


def copy_maps(augment: Augment) -> NDArray[np.float32]:
    """The maps of `augmentation.move` (n x 2 x 3): turned by 0, `rotate` and `-rotate`, as it is and flipped."""
    turns = np.deg2rad((0.0, augment.rotate, -augment.rotate) if augment.rotate else (0.0,))
    flips = (1.0, -1.0) if augment.flip_horizontal else (1.0,)
    maps = [
        [[np.cos(turn) * flip, -np.sin(turn), 0.0], [np.sin(turn) * flip, np.cos(turn), 0.0]]
        for flip, turn in product(flips, turns)
    ]
    return np.array(maps, np.float32)
