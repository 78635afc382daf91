"""Augmentation: by the generator alone, another draw for every sample, and each change is the one it is called."""

from dataclasses import fields

import pytest
import torch
from torch import Tensor

from rajobs.learning.recipe import Augment
from rajobs.learning.training.augmentation import augment as augmented

ALL = Augment(
    rotate=20, quarter_turns=True, shift=0.1, zoom=0.2, shear=10, flip_horizontal=True, flip_vertical=True,
    channel_shift=0.1, contrast=0.2, noise=0.05, gamma=0.3, sharpen=1.5, shade=0.3, cover=0.5,
)  # fmt: skip


def augment(images: Tensor, how: Augment, generator: torch.Generator) -> Tensor:
    return augmented(images, how, generator)[0]


@pytest.fixture
def images() -> Tensor:
    """32 times one picture, so that what differs was drawn."""
    return torch.rand(1, 1, 12, 12, generator=torch.Generator().manual_seed(0)).repeat(32, 1, 1, 1)


def seeded(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_settings_of_zero_change_nothing_and_equal_generators_give_equal_batches(images: Tensor) -> None:
    assert torch.equal(augment(images, Augment(), seeded()), images)
    assert torch.equal(augment(images, ALL, seeded()), augment(images, ALL, seeded()))
    assert not torch.equal(augment(images, ALL, seeded(1)), augment(images, ALL, seeded(2)))


@pytest.mark.parametrize("name", [f.name for f in fields(Augment) if f.name != "fixed"])
def test_every_setting_changes_each_sample_by_its_own_draw(images: Tensor, name: str) -> None:
    changed = augment(images, Augment(**{name: getattr(ALL, name)}), seeded())
    distinct = {tuple(picture.flatten().round(decimals=4).tolist()) for picture in changed}
    switch = {"quarter_turns": 4, "flip_horizontal": 2, "flip_vertical": 2}
    # A cover may be too small to hide the middle of one of so few pixels.
    assert len(distinct) == switch.get(name, 32) or (name == "cover" and len(distinct) > 20)
    assert changed.shape == images.shape and changed.dtype == images.dtype


@pytest.mark.parametrize(
    ("how", "kinds"),
    [
        (Augment(flip_horizontal=True), [lambda x: x, lambda x: x.flip(-1)]),
        (Augment(flip_vertical=True), [lambda x: x, lambda x: x.flip(-2)]),
        (Augment(quarter_turns=True), [lambda x, k=k: torch.rot90(x, k, (-2, -1)) for k in range(4)]),
    ],
    ids=["horizontal", "vertical", "quarter turns"],
)
def test_flips_and_quarter_turns_move_every_pixel_to_its_place(images: Tensor, how: Augment, kinds: list) -> None:
    changed = augment(images, how, seeded())
    fits = torch.tensor([[bool(torch.allclose(c, kind(images[0]), atol=1e-4)) for kind in kinds] for c in changed])
    assert bool((fits.sum(dim=1) == 1).all()), "each sample is one of the kinds"
    assert bool((fits.sum(dim=0) > 0).all()), "and every kind is drawn"


def test_brightness_contrast_and_noise_change_as_much_as_they_are_set(images: Tensor) -> None:
    lifted = augment(images, Augment(channel_shift=0.1), seeded()) - images
    assert float(lifted.abs().max()) <= 0.1 + 1e-6 and float(lifted.std(dim=(1, 2, 3)).max()) < 1e-6
    contrast = augment(images, Augment(contrast=0.2), seeded())
    assert torch.allclose(contrast.mean(dim=(1, 2, 3)), images.mean(dim=(1, 2, 3)), atol=1e-6)
    stretch = contrast.std(dim=(1, 2, 3)) / images.std(dim=(1, 2, 3))
    assert 0.8 - 1e-4 <= float(stretch.min()) < 0.9 and 1.1 < float(stretch.max()) <= 1.2 + 1e-4
    noisy = augment(images, Augment(noise=0.05), seeded()) - images
    assert abs(float(noisy.std()) - 0.05) < 0.005


def test_a_shift_is_a_share_of_the_side() -> None:
    dot = torch.zeros(200, 1, 41, 41)
    dot[:, :, 20, 20] = 1.0
    moved = augment(dot, Augment(shift=0.25), seeded()).flatten(1)
    at = torch.stack([moved.argmax(dim=1) // 41, moved.argmax(dim=1) % 41]) - 20
    assert 9 <= int(at.abs().max()) <= 11  # a quarter of 41 pixels


def test_a_cover_hides_a_rectangle_and_leaves_the_rest() -> None:
    images = torch.full((64, 1, 40, 40), 0.5)
    hidden = (augment(images, Augment(cover=0.5), seeded()) != 0.5).flatten(1).float().mean(dim=1)
    assert float(hidden.mean()) > 0 and float(hidden.max()) <= 0.5**2 + 0.05


def test_sharpening_changes_details_alone_and_a_shadow_is_smooth() -> None:
    ramp = torch.linspace(0.2, 0.8, 48).repeat(8, 1, 48, 1)
    sharpened = augment(ramp, Augment(sharpen=2.0), seeded())
    inner = (slice(None), slice(None), slice(None), slice(9, -9))
    torch.testing.assert_close(sharpened[inner], ramp[inner])
    shadow = augment(torch.full((8, 1, 48, 48), 0.5), Augment(shade=0.3), seeded()) - 0.5
    assert shadow.flatten(1).std(dim=1).min() > 1e-4 and shadow.diff(dim=-1).abs().max() < 0.05
