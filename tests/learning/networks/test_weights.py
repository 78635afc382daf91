"""Weights to start from: which files are taken, which are refused and why, and that none of them runs code."""

import hashlib
import io
import os
import pickle
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from rajobs.learning.networks import architectures, backbones, weights
from rajobs.records.errors import DataError, UsageError

pytestmark = pytest.mark.slow


@cache
def theirs(architecture: str = "resnet18") -> nn.Module:
    return torchvision_network(architecture)


def torchvision_network(architecture: str) -> nn.Module:
    from torchvision import models  # it takes seconds, which the collection of other tests spares

    extra = {"init_weights": True} if architecture == "googlenet" else {}
    return getattr(models, architecture)(weights=None, **extra)


def saved(content: Any, zipped: bool = True) -> bytes:
    file = io.BytesIO()
    torch.save(content, file, _use_new_zipfile_serialization=zipped)
    return file.getvalue()


def network(architecture: str = "resnet18", channels: int = 1) -> nn.Module:
    return architectures.build(architecture, {}, {"ra": 2}, (channels, 64, 64))


def load(content: Mapping[str, Tensor]) -> str:
    return weights.load_into(network(), "resnet18", saved(content), "some.pth")


def small(channels: int = 1) -> nn.Module:
    return architectures.build("compact", {"width": 4}, {"ra": 2}, (channels, 32, 32))


@pytest.mark.parametrize("architecture", ["resnet18", "googlenet", "efficientnet_b2"])
def test_a_file_of_torchvision_becomes_the_trunk_and_leaves_the_heads(architecture: str) -> None:
    source, ours = theirs(architecture).state_dict(), network(architecture)
    heads = [parameter.detach().clone() for parameter in architectures.head_parameters(ours)]
    data = saved(source)
    assert weights.load_into(ours, architecture, data, "w.pth") == hashlib.sha256(data).hexdigest()
    trunk = ours.get_submodule("trunk.net").state_dict()
    assert len(trunk) > 50 and all(torch.equal(values, source[key]) for key, values in trunk.items())
    assert all(map(torch.equal, heads, architectures.head_parameters(ours)))


@pytest.mark.parametrize("architecture", backbones.LAST)
def test_every_trunk_s_names_are_torchvision_s(architecture: str) -> None:
    """Of the large ones outlines do: names and shapes, no numbers."""
    with torch.device("meta"):
        ours = architectures.build(architecture, {}, {"ra": 2}, (3, 224, 224)).get_submodule("trunk").state_dict()
        source = torchvision_network(architecture).state_dict()
    mapped = weights._onto_trunk(source, architecture)
    assert {key: values.shape for key, values in mapped.items()} == {key: values.shape for key, values in ours.items()}


def test_safetensors_an_older_torch_file_and_a_bundle_s_own_are_taken() -> None:
    source = {key: values for key, values in theirs().state_dict().items() if "num_batches" not in key}
    for data in (safetensors.torch.save(source), saved(source, zipped=False)):
        ours = network()
        weights.load_into(ours, "resnet18", data, "w")
        torch.testing.assert_close(ours.get_submodule("trunk.net.conv1").weight, source["conv1.weight"])
    trained, fresh = small(), small()
    data = safetensors.torch.save(trained.state_dict())
    weights.load_into(fresh, "compact", data, "weights-net.safetensors")
    assert all(map(torch.equal, architectures.trunk_parameters(fresh), architectures.trunk_parameters(trained)))
    assert not any(map(torch.equal, architectures.head_parameters(fresh), architectures.head_parameters(trained)))


def test_a_hash_in_the_name_is_checked() -> None:
    data = saved(theirs().state_dict())
    ours = network()
    before = ours.get_submodule("trunk.net.conv1").weight.detach().clone()
    with pytest.raises(DataError, match=r"resnet18-f37072fd\.pth is damaged or another file: its SHA-256 begins with"):
        weights.load_into(ours, "resnet18", data, "resnet18-f37072fd.pth")
    assert torch.equal(ours.get_submodule("trunk.net.conv1").weight, before)
    sha = hashlib.sha256(data).hexdigest()
    assert weights.load_into(ours, "resnet18", data, f"resnet18-{sha[:8]}.pth") == sha


def test_a_file_that_does_not_fit_is_refused_in_one_line() -> None:
    source = dict(theirs().state_dict())
    less = {key: values for key, values in source.items() if not key.startswith("layer4.1.conv")}
    with pytest.raises(DataError, match=r"resnet18: tensors missing: 2, the first layer4.1.conv1.weight$"):
        load(less)
    with pytest.raises(DataError, match=r"tensors unknown to it: 1, the first extra$"):
        load({**source, "extra": torch.zeros(1)})
    grey = {**source, "conv1.weight": torch.zeros(64, 1, 7, 7)}
    with pytest.raises(DataError, match=r"conv1.weight with \(64, 1, 7, 7\), not .*for images of 1 channels, not 3$"):
        load(grey)
    with pytest.raises(DataError, match=r"tensors of another shape: 2, the first bn1.weight with \(3,\), not"):
        load({**source, "bn1.weight": torch.zeros(3), "bn1.bias": torch.zeros(3)})
    with pytest.raises(DataError, match="for images of 3 channels, not 1"):
        weights.load_into(small(), "compact", safetensors.torch.save(small(3).state_dict()), "w.safetensors")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "neither"),
        (b"<html>Not found</html>", "neither"),
        (saved({"state_dict": {"a": torch.zeros(1)}}), "no plain state dict"),
        (saved([torch.zeros(1)]), "no plain state dict"),
        (saved({}), "no plain state dict"),
        (saved({"a": torch.zeros(1)})[:-40], "damaged"),
        (saved({"a": torch.zeros(100)}, zipped=False)[:60], "damaged"),
        (safetensors.torch.save({"a": torch.zeros(9)})[:-4], "damaged safetensors"),
    ],
)
def test_what_is_no_state_dict_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(DataError, match=words) as error:
        weights.load_into(small(), "compact", data, "w.pth")
    assert "\n" not in str(error.value)


class Canary:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.path,)


def test_no_code_in_a_file_is_run(tmp_path: Path) -> None:
    canary = {"net.conv1.weight": Canary(tmp_path / "sung")}
    for data in (saved(canary), saved(canary, zipped=False), pickle.dumps(canary)):
        with pytest.raises(DataError, match="holds more than tensors, which is not loaded"):
            weights.load_into(small(), "compact", data, "w.pth")
    assert not (tmp_path / "sung").exists()
    pickle.loads(pickle.dumps(canary))  # noqa: S301 - the canary can sing
    assert (tmp_path / "sung").exists()


def test_weights_are_found_as_a_file_or_in_a_folder(tmp_path: Path) -> None:
    assert weights.expected_file("vgg16") == "vgg16-397923af.pth"
    assert weights.expected_file("efficientnet_b2") == "efficientnet_b2_rwightman-c35c1473.pth"
    for name in ("vgg16-397923af.pth", "vgg16.safetensors", "resnet18.safetensors", "mine.pth"):
        (tmp_path / name).write_bytes(name.encode())
    assert weights.find(str(tmp_path), "vgg16") == ("vgg16-397923af.pth", b"vgg16-397923af.pth")
    assert weights.find(f"{tmp_path}/", "resnet18") == ("resnet18.safetensors", b"resnet18.safetensors")
    assert weights.find(str(tmp_path / "mine.pth"), "vgg16") == ("mine.pth", b"mine.pth")
    with pytest.raises(UsageError, match=r"folder that holds alexnet-owt-7be5be79.pth or alexnet.safetensors"):
        weights.find(str(tmp_path), "alexnet")
    with pytest.raises(UsageError, match=r"no weights for compact at .*: give a file, or a folder that holds compact"):
        weights.find(str(tmp_path / "nowhere"), "compact")
