"""The large published networks: torchvision's own, less the last layer. Those of many millions are only outlined."""

import ast
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn

from rajobs import studies
from rajobs.learning.networks import architectures, backbones, weights
from rajobs.records.errors import BadRecipe

pytestmark = pytest.mark.slow
NAMES_OF_ALEXNET = ("alexnet_matlab", "alexnet")
EVERY = pytest.mark.parametrize("architecture", backbones.LAST)


def torchvision_models() -> ModuleType:
    """Imported late: it takes seconds, which the collection of other tests spares."""
    from torchvision import models

    return models


def published(architecture: str) -> Any:
    return torchvision_models().get_model_weights(architecture)["IMAGENET1K_V1"]


@EVERY
def test_a_backbone_with_the_classes_of_imagenet_has_the_parameters_that_torchvision_prints(architecture: str) -> None:
    facts = published(architecture).meta
    assert facts["min_size"] == (backbones.LEAST[architecture],) * 2
    with torch.device("meta"):
        network = architectures.build(architecture, {}, {"class": 1000}, (3, 224, 224))
    assert architectures.parameters(network) == facts["num_params"]


@EVERY
def test_images_below_the_least_size_are_refused(architecture: str) -> None:
    least = backbones.LEAST[architecture]
    with torch.device("meta"):
        network = architectures.build(architecture, {}, {"ra": 2}, (1, least, least)).eval()
        assert network(torch.rand(2, 1, least, least))["ra"].shape == (2, 2)
        with pytest.raises(BadRecipe, match=f"{architecture} needs images of at least {least} pixels, not {least - 1}"):
            architectures.build(architecture, {}, {"ra": 2}, (1, least, least - 1))
        with pytest.raises(BadRecipe, match=f"{architecture} takes grey or colour images, of 1 or 3 channels, not 4"):
            architectures.build(architecture, {}, {"ra": 2}, (4, 224, 224))


@pytest.mark.parametrize("architecture", ["resnet18", "googlenet", "efficientnet_b2"])
def test_a_backbone_computes_what_torchvision_computes(architecture: str) -> None:
    """GoogLeNet's published weights come with a step of their own before the first layer."""
    torch.manual_seed(0)
    extra = {"transform_input": True, "init_weights": True} if architecture == "googlenet" else {}
    theirs = getattr(torchvision_models(), architecture)(weights=None, **extra).eval()
    ours, features = architectures.ARCHITECTURES[architecture](shape=(1, 64, 48))
    ours.eval().get_submodule("net").load_state_dict(theirs.state_dict(), strict=False)
    grey = torch.rand(2, 1, 64, 48)
    normalise = published(architecture).transforms()
    mean, deviation = (torch.tensor(numbers).view(3, 1, 1) for numbers in (normalise.mean, normalise.std))
    assert theirs.get_submodule(backbones.LAST[architecture]).in_features == features
    theirs.set_submodule(backbones.LAST[architecture], nn.Identity())
    with torch.inference_mode():
        wanted = theirs((grey.repeat(1, 3, 1, 1) - mean) / deviation)
        # What a fresh network gives can be tiny: close is by its own measure.
        torch.testing.assert_close(ours(grey), wanted, rtol=1e-4, atol=1e-4 * float(wanted.abs().max()))


def test_dropout_and_normalisation_are_the_recipe_s() -> None:
    with torch.device("meta"):
        network = architectures.build("vgg16", {"dropout": 0.3, "normalise": False}, {"grade": 4}, (3, 224, 224))
    rates = {layer.p for layer in network.modules() if isinstance(layer, nn.Dropout)}
    assert rates == {0.3} and not network.trunk.normalise
    assert [tuple(p.shape) for p in architectures.head_parameters(network)] == [(4, 4096), (4,)]
    raw, _ = architectures.ARCHITECTURES["resnet18"](shape=(3, 32, 32), normalise=False)
    images = torch.rand(2, 3, 32, 32)
    torch.testing.assert_close(raw.eval()(images), raw.get_submodule("net")(images))


@pytest.mark.parametrize("module", [architectures, backbones, weights])
def test_a_recipe_can_be_checked_without_torchvision(module: ModuleType) -> None:
    assert module.__file__
    first = {ast.unparse(node) for node in ast.parse(Path(module.__file__).read_text()).body}
    assert "import torch" in first and not [line for line in first if line.startswith(("import torchv", "from torchv"))]


def test_000_s_alexnet_is_matlab_s_and_torchvision_s_stands_beside_it() -> None:
    """Krizhevsky's of 2012: grouped convolutions and local response normalisation, which torchvision's has not."""
    with torch.device("meta"):
        matlab, other = (architectures.build(name, {}, {"class": 1000}, (3, 227, 227)) for name in NAMES_OF_ALEXNET)
        assert matlab(torch.zeros(2, 3, 227, 227))["class"].shape == (2, 1000)
        assert architectures.build("alexnet_matlab", {}, {"ra": 2}, (1, 67, 67))(torch.zeros(2, 1, 67, 67))
        with pytest.raises(BadRecipe, match="alexnet_matlab needs images of at least 67 pixels, not 66"):
            architectures.build("alexnet_matlab", {}, {"ra": 2}, (1, 67, 66))
    assert architectures.parameters(matlab) == 60_965_224 != architectures.parameters(other)
    groups = [layer.groups for layer in matlab.modules() if isinstance(layer, nn.Conv2d)]
    assert groups == [1, 2, 1, 2, 2] and sum(isinstance(layer, nn.LocalResponseNorm) for layer in matlab.modules()) == 2
    assert {layer.groups for layer in other.modules() if isinstance(layer, nn.Conv2d)} == {1}
    study = studies.find("clinical_array")
    used = {name: {member.architecture for member in recipe.members} for name, recipe in study.recipes.items()}
    assert used["published"] == used["published-cruciforms"] == used["published-squares"] == {"alexnet_matlab"}
    assert used["published-torchvision"] == {"alexnet"} and "MATLAB's" in study.assumptions[0]
