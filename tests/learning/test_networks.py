"""Architectures: the papers' counts of parameters, and mistakes that are named."""

import pytest
import torch

from rajobs.learning import networks
from rajobs.learning.targets import Nominal, scores
from rajobs.records.errors import BadRecipe, UnknownName


def test_003_s_network_has_the_parameters_that_follow_from_its_figure() -> None:
    with torch.device("meta"):
        flat = networks.build("conv4", {}, {"view": 2}, (3, 252, 252))
        pool = networks.build("conv4", {"head": "pool"}, {"view": 2}, (3, 252, 252))
    assert networks.parameters(flat) == 244_101_826
    assert networks.parameters(pool) == 307_906


@pytest.mark.parametrize("architecture", networks.ARCHITECTURES)
@pytest.mark.parametrize("channels", [1, 3])
def test_every_architecture_gives_each_target_its_outputs(architecture: str, channels: int) -> None:
    targets = (Nominal(name="view", classes=("a", "b", "c")), scores("jsn", 4))
    network = networks.build(architecture, {}, networks.head_sizes(targets, ()), (channels, 36, 28)).eval()
    outputs = network(torch.rand(2, channels, 36, 28))
    assert {name: tuple(values.shape) for name, values in outputs.items()} == {"view": (2, 3), "jsn": (2, 4)}
    assert networks.head_sizes(targets[:1], (("a",), ("b", "c"))) == {"view": 2}


def test_compact_is_compact_and_its_settings_matter() -> None:
    sizes = [
        networks.parameters(networks.build("compact", settings, {"view": 4}, (1, 128, 128)))
        for settings in ({"width": 8}, {}, {"stages": 3}, {"batch_norm": False})
    ]
    assert max(sizes) < 1_000_000 and len(set(sizes)) == 4


@pytest.mark.parametrize(
    ("architecture", "settings", "shape", "words"),
    [
        ("conv5", {}, (1, 64, 64), "did you mean conv4?"),
        ("compact", {"widht": 3}, (1, 64, 64), "unknown setting of compact 'widht'; did you mean width?"),
        ("compact", {"shape": 3}, (1, 64, 64), "unknown setting of compact 'shape'"),
        ("conv4", {"head": "pol"}, (1, 64, 64), "did you mean pool?"),
        ("compact", {}, (1, 12, 64), "needs images of 16 pixels or more, not 12"),
        ("conv4", {}, (1, 8, 64), "at least 12 pixels, not 8"),
    ],
)
def test_what_cannot_be_built_is_named(
    architecture: str, settings: dict[str, object], shape: tuple[int, ...], words: str
) -> None:
    with pytest.raises((BadRecipe, UnknownName)) as error:
        networks.build(architecture, settings, {"view": 2}, shape)
    assert words in str(error.value)
