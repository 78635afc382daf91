"""Reading weights to start from: torchvision's state dict or safetensors. Nothing is downloaded, no code is run."""

import hashlib
import io
import re
from collections.abc import Mapping
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from rajobs.learning.networks.backbones import LAST
from rajobs.records.errors import DataError, UsageError
from rajobs.records.store import open_store, split_uri

_HASHED = re.compile(r"-([0-9a-f]{8})\.pth$")
_ZIP, _PICKLE = b"PK\x03\x04", b"\x80"
_LEFT_OUT = ("aux1.", "aux2.")  # auxiliary heads of googlenet, which learns without them here


def expected_file(architecture: str) -> str:
    """Name of the file of ImageNet weights that torchvision publishes; for a network of ours, the name to give it."""
    if architecture not in LAST:
        return f"{architecture}.safetensors"
    from torchvision.models import get_model_weights

    url: str = get_model_weights(architecture)["IMAGENET1K_V1"].url
    return url.rpartition("/")[2]


def find(uri: str, architecture: str) -> tuple[str, bytes]:
    """The name and bytes of the file at a URI, or of an architecture's file in the folder that it names."""
    wanted = dict.fromkeys((expected_file(architecture), f"{architecture}.safetensors"))
    place, key = split_uri(uri)
    for where, name in ((place, key), *((uri, name) for name in wanted)):
        if where == "s3:/":
            continue  # a bucket has no folder above it
        store = open_store(where)
        if store.stat(name) is not None:
            return name, store.get(name)
    raise UsageError(
        f"there are no weights for {architecture} at {uri}: give a file, or a folder that holds {' or '.join(wanted)}"
    )


def load_into(network: nn.Module, architecture: str, data: bytes, name: str) -> str:
    """Load a file's weights into a network's trunk, all or none, and return its SHA-256; heads stay unchanged."""
    sha256 = hashlib.sha256(data).hexdigest()
    hash_in_name = _HASHED.search(name)
    if hash_in_name and not sha256.startswith(hash_in_name[1]):
        raise DataError(f"{name} is damaged or another file: its SHA-256 begins with {sha256[:8]}; fetch it again")
    trunk = network.trunk
    assert isinstance(trunk, nn.Module)
    state = _onto_trunk(_read(data, name), architecture)
    own = trunk.state_dict()
    # Files older than batch norm's count of batches lack it; no network of ours uses it.
    missing = [key for key in own if key not in state and not key.endswith(".num_batches_tracked")]
    _refuse(missing, f"{name} does not fit {architecture}: tensors missing: {{count}}, the first {{first}}")
    unknown = [key for key in state if key not in own]
    _refuse(unknown, f"{name} does not fit {architecture}: tensors unknown to it: {{count}}, the first {{first}}")
    _check_shapes(state, own, architecture, name)
    trunk.load_state_dict(state, strict=False)
    return sha256


def _read(data: bytes, name: str) -> dict[str, Tensor]:
    """A file's tensors by name; the first bytes tell the format."""
    if data.startswith((_ZIP, _PICKLE)):
        content = _read_torch(data, name)
    elif data[8:9] == b"{":
        try:
            content = safetensors.torch.load(data)
        except safetensors.SafetensorError:
            raise DataError(f"{name} is a damaged safetensors file") from None
    else:
        raise DataError(f"{name} is neither a state dict of torch nor a safetensors file")
    plain = isinstance(content, Mapping) and all(
        isinstance(key, str) and isinstance(value, Tensor) for key, value in content.items()
    )
    if not plain or not content:
        raise DataError(f"{name} is no plain state dict: save `network.state_dict()` alone, names and tensors")
    return dict(content)


def _read_torch(data: bytes, name: str) -> Any:
    try:
        return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception:  # noqa: BLE001 - a damaged or hostile file can raise anything; its own text is not repeated
        raise DataError(f"{name} is damaged, or holds more than tensors, which is not loaded") from None


def _onto_trunk(state: Mapping[str, Tensor], architecture: str) -> dict[str, Tensor]:
    """A file's tensors by their names in the trunk, without the last layer and auxiliary heads."""
    if all(key.startswith(("trunk.", "heads.")) for key in state):  # a bundle's weights
        return {key.removeprefix("trunk."): value for key, value in state.items() if key.startswith("trunk.")}
    if architecture not in LAST:
        return dict(state)
    left = (f"{LAST[architecture]}.", *(_LEFT_OUT if architecture == "googlenet" else ()))
    return {f"net.{key}": value for key, value in state.items() if not key.startswith(left)}


def _refuse(keys: list[str], message: str) -> None:
    if keys:
        raise DataError(message.format(count=len(keys), first=keys[0].removeprefix("net.")))


def _check_shapes(state: Mapping[str, Tensor], own: Mapping[str, Tensor], architecture: str, name: str) -> None:
    other = [key for key in own if key in state and state[key].shape != own[key].shape]
    if not other:
        return
    shape, wanted = tuple(state[other[0]].shape), tuple(own[other[0]].shape)
    first = len(shape) == len(wanted) == 4 and other[0] == next(key for key in own if own[key].ndim == 4)
    channels = f": it is for images of {shape[1]} channels, not {wanted[1]}" if first and shape[1] != wanted[1] else ""
    raise DataError(
        f"{name} does not fit {architecture}: tensors of another shape: {len(other)}, the first "
        f"{other[0].removeprefix('net.')} with {shape}, not {wanted}{channels}"
    )
