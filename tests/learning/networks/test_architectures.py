"""Architectures: the papers' counts of parameters, heads, and mistakes that are named."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from rajobs import studies
from rajobs.learning.ensemble import build_member
from rajobs.learning.networks import architectures, backbones
from rajobs.learning.targets import Nominal, scores
from rajobs.records.errors import BadRecipe, UnknownName


def test_003_s_network_has_the_parameters_that_follow_from_its_figure() -> None:
    with torch.device("meta"):
        flat = architectures.build("conv4", {}, {"view": 2}, (3, 252, 252))
        pool = architectures.build("conv4", {"head": "pool"}, {"view": 2}, (3, 252, 252))
    assert architectures.parameters(flat) == 244_101_826
    assert architectures.parameters(pool) == 307_906


def test_003_s_published_networks_are_the_printed_ones_on_grey_films() -> None:
    study = studies.find("hand_filter")
    for member in study.recipe("published").members:
        with torch.device("meta"):
            assert architectures.parameters(build_member(study, member, (1, 252, 252), 0)) == 244_101_826
        small = build_member(study, replace(member, settings={"head": "pool", "hidden": 64}), (1, 20, 20), 0)
        layers = [layer for layer in small.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
        assert len(layers) == 6
        for layer in layers:
            # Of a uniform distribution on -limit to limit, which Glorot and Bengio derive from the layer's two sides.
            field = layer.weight[0, 0].numel() if isinstance(layer, nn.Conv2d) else 1
            limit = (6 / (field * sum(layer.weight.shape[:2]))) ** 0.5
            assert layer.weight.abs().max() <= limit and not bool(layer.bias.any())
            assert float(layer.weight.detach().std()) == pytest.approx(limit / 3**0.5, rel=0.15)


@pytest.mark.slow
def test_002_s_dropout_of_0_3_follows_the_new_layer_and_vgg_s_own_two_stay() -> None:
    study = studies.find("ultrasound_grading")
    recipe = study.recipe("published")
    assert [member.name for member in recipe.members] == ["trial1", "trial2", "trial3"]
    with torch.device("meta"):
        network = build_member(study, recipe.members[0], (3, 224, 224), 0)
    assert [layer.p for layer in network.get_submodule("trunk").modules() if isinstance(layer, nn.Dropout)] == [
        0.5,
        0.5,
    ]
    assert [layer.p for layer in network.modules() if isinstance(layer, nn.Dropout)] == [0.5, 0.5, 0.3]
    small = architectures.build("compact", {"dropout": 0.0}, {"grade": 4}, (1, 32, 32), head_dropout=0.3)
    images = torch.rand(2000, 1, 32, 32)
    with torch.no_grad():
        shown = small.train()(images)["grade"]
    assert float((shown == 0).float().mean()) == pytest.approx(0.3, abs=0.03), "it leaves out answers, not features"
    assert not bool((small.eval()(images[:9])["grade"] == 0).any())


def test_004_s_network_has_the_layers_it_prints() -> None:
    plain, normed = (
        architectures.build("conv2", {"batch_norm": norm}, {"jsn": 5}, (1, 48, 48)) for norm in (False, True)
    )
    hidden = 64 * 12 * 12 * 512 + 512
    assert architectures.parameters(plain) == (9 * 32 + 32) + (9 * 32 * 64 + 64) + hidden + (512 * 5 + 5)
    assert [layer.num_features for layer in normed.modules() if isinstance(layer, nn.BatchNorm2d)] == [32, 64]
    assert [layer.p for layer in plain.modules() if isinstance(layer, nn.Dropout)] == [0.5]


@pytest.mark.parametrize("architecture", [n for n in architectures.ARCHITECTURES if n not in architectures.SHOW_POINTS])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_architecture_gives_each_target_its_outputs(architecture: str, channels: int) -> None:
    targets = (Nominal(name="view", classes=("a", "b", "c")), scores("jsn", 4))
    large = architecture in (*backbones.LAST, "alexnet_matlab")
    shape = (channels, 72, 68) if large else (channels, 36, 28)
    with torch.device("meta" if large else "cpu"):
        network = architectures.build(architecture, {}, architectures.head_sizes(targets, ()), shape).eval()
        outputs = network(torch.rand(2, *shape))
    assert {name: tuple(values.shape) for name, values in outputs.items()} == {"view": (2, 3), "jsn": (2, 4)}
    assert architectures.head_sizes(targets[:1], (("a",), ("b", "c"))) == {"view": 2}


def test_a_row_is_answered_by_the_head_of_its_kind() -> None:
    torch.manual_seed(0)
    network = architectures.build("compact", {"width": 4}, {"jsn": 5}, (1, 32, 32), kinds=3).eval()
    images, kinds = torch.rand(4, 1, 32, 32), torch.tensor([2, 0, 1, 2])
    every = network.get_submodule("heads.jsn_head")(network.get_submodule("trunk")(images)).view(4, 3, 5)
    outputs = network(images, kinds)["jsn"]
    torch.testing.assert_close(outputs, torch.stack([every[row, kind] for row, kind in enumerate(kinds)]))
    torch.testing.assert_close(network(images)["jsn"], every[:, 0])
    outputs[1].sum().backward()  # a row of kind 0
    gradient = architectures.head_parameters(network)[0].grad
    assert gradient is not None and bool(gradient[:5].any()) and not bool(gradient[5:].any())
    one = architectures.build("compact", {"width": 4}, {"jsn": 5}, (1, 32, 32)).eval()
    assert "heads.jsn_head.weight" in one.state_dict()
    torch.testing.assert_close(one(images, kinds), one(images))


@pytest.mark.parametrize(
    ("architecture", "settings", "words"),
    [
        ("compact", {"width": 10**9}, "width of compact must lie between 1 and 1,024"),
        ("compact", {"dropout": float("nan")}, "dropout of compact must lie between 0 and 0.95, not be nan"),
        ("compact", {"width": "8"}, "width of compact must be a whole number, not '8'"),
        ("compact", {"batch_norm": 1}, "batch_norm of compact must be true or false, not 1"),
        ("compact", {"width": 1024, "stages": 6}, "parameters, more than 2,000,000,000: lower its settings"),
        ("conv4", {"hidden": 65_536}, "parameters, more than 2,000,000,000: lower its settings"),
    ],
)
def test_a_setting_that_no_machine_can_build_is_refused_without_trying(
    architecture: str, settings: dict[str, object], words: str
) -> None:
    with pytest.raises(BadRecipe) as error:
        architectures.build(architecture, settings, {"view": 2}, (3, 256, 256))
    assert words in str(error.value)


def test_heads_and_trunk_share_out_the_parameters() -> None:
    network = architectures.build("compact", {"width": 4}, {"jsn": 5, "erosion": 6}, (1, 32, 32))
    heads, trunk = architectures.head_parameters(network), architectures.trunk_parameters(network)
    assert [tuple(p.shape) for p in heads] == [(5, 32), (5,), (6, 32), (6,)]
    assert {*map(id, heads), *map(id, trunk)} == {*map(id, network.parameters())}
    assert len(heads) + len(trunk) == len(list(network.parameters()))


def test_tiles_share_their_layers_and_the_strongest_decides() -> None:
    settings = {"width": 4, "stages": 2, "dropout": 0.0}
    hand = architectures.build("compact", {**settings, "tiles": True}, {"stage": 3}, (3, 16, 16)).eval()
    joint = architectures.build("compact", settings, {"jsn": 2}, (1, 16, 16)).eval()
    hand.trunk.load_state_dict(joint.trunk.state_dict())  # the same names: one can start from the other
    images = torch.rand(2, 3, 16, 16)
    without = images.clone()
    without[:, 1] = 0.25  # an even plane is a joint that is not there, whatever its shade
    with torch.inference_mode():
        alone = torch.stack([joint.trunk(images[:, at : at + 1]) for at in range(3)])
        torch.testing.assert_close(hand.trunk(images), alone.amax(dim=0))
        torch.testing.assert_close(hand.trunk(images[:, [2, 0, 1]]), hand.trunk(images))
        torch.testing.assert_close(hand.trunk(without), alone[[0, 2]].amax(dim=0))


def test_compact_is_compact_and_its_settings_matter() -> None:
    sizes = [
        architectures.parameters(architectures.build("compact", settings, {"view": 4}, (1, 128, 128)))
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
        ("conv2", {}, (1, 3, 64), "at least 4 pixels, not 3"),
        ("resnet50", {"dropout": 0.5}, (1, 64, 64), "unknown setting of resnet50 'dropout'"),
    ],
)
def test_what_cannot_be_built_is_named(
    architecture: str, settings: dict[str, object], shape: tuple[int, ...], words: str
) -> None:
    with pytest.raises((BadRecipe, UnknownName)) as error:
        architectures.build(architecture, settings, {"view": 2}, shape)
    assert words in str(error.value)


def test_the_odds_of_every_step_of_a_score_and_of_no_score_are_divided_and_classes_stay() -> None:
    targets = (scores("jsn", 4), *(Nominal(name=name, classes=("0", "1")) for name in ("assessable", "colour")))
    network = architectures.build("compact", {}, architectures.head_sizes(targets, ()), (1, 32, 32), kinds=3).eval()
    images, kinds = torch.rand(6, 1, 32, 32), torch.tensor([0, 1, 2, 0, 1, 2])
    with torch.no_grad():
        before = network(images, kinds)
        architectures.divide_odds(network, targets, "assessable", 4.0)
        after = network(images, kinds)
    assert torch.allclose(torch.exp(after["jsn"]), torch.exp(before["jsn"]) / 4, rtol=1e-4)
    odds = [torch.exp(logits[:, 0] - logits[:, 1]) for logits in (before["assessable"], after["assessable"])]
    assert torch.allclose(odds[1], odds[0] / 4, rtol=1e-4)
    assert torch.equal(after["colour"], before["colour"])
