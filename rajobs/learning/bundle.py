"""A model bundle: a weight file a member and `bundle.json`, which says what the model is and hashes the weights.

OUT/<study>/<version>/weights-<member>.safetensors (a cascade's: .xml)   history.parquet   card.md   bundle.json (last)
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rajobs.learning.cascade.detector import Cascade
from rajobs.learning.cascade.haar import Haar
from rajobs.learning.ensemble import (
    FittedNetwork,
    P,
    build_member,
    combine_members,
    mean_points,
    member_points,
    member_targets,
    member_votes,
    target_as_learnt,
)
from rajobs.learning.networks.landmarks import Landmarks
from rajobs.learning.points import Points
from rajobs.learning.recipe import Member, Recipe, from_dict
from rajobs.learning.study import Study
from rajobs.learning.targets import Target
from rajobs.learning.training.cross_validation import network_name
from rajobs.learning.training.loop import Numbers, pick_device
from rajobs.records.errors import BadBundle
from rajobs.records.manifest import digest, to_json
from rajobs.records.store import Store

BUNDLE = "bundle.json"
FORMAT = 2
NUMBERS_AT_ONCE = {"cpu": 150_000, "cuda": 8_000_000}
"""Numbers of the arrays that a device is given at a time: what stays in a core's cache, and what keeps a GPU busy."""


@dataclass(frozen=True, kw_only=True)
class TrainedNetwork:
    """A member's network with its temperatures, a target."""

    network: FittedNetwork
    temperature: Mapping[str, float]


TrainedMembers = Mapping[str, Sequence[TrainedNetwork]]
"""By member: its network, or of a cross-validated recipe one a turn, which answer as their mean."""


def put_bundle(
    store: Store, folder: str, trained: TrainedMembers, facts: Mapping[str, Any], *, short: bool = False
) -> dict[str, Any]:
    """Write the weights (`short`: in half as many bits), then the description that names their hashes; the latter."""
    members: dict[str, list[dict[str, Any]]] = {}
    for member, networks in trained.items():
        for turn, one in enumerate(networks):
            data, kind = _pack(one.network, short)
            file = f"weights-{network_name(member, turn, len(networks))}.{kind}"
            store.put(f"{folder}/{file}", data)
            held = {"file": file, "sha256": hashlib.sha256(data).hexdigest(), "temperature": dict(one.temperature)}
            members.setdefault(member, []).append(held)
    content = {"format": FORMAT, **facts, "members": members}
    content["hash"] = digest(content)
    store.put(f"{folder}/{BUNDLE}", to_json(content))
    return content


def _pack(network: FittedNetwork, short: bool) -> tuple[bytes, str]:
    """What was learnt as the bytes of a file, and the file's ending."""
    if isinstance(network, Cascade):
        return network.xml.encode(), "xml"
    weights = {key: t.detach().cpu().contiguous() for key, t in network.state_dict().items()}
    if short:
        weights = {key: t.half() if t.is_floating_point() else t for key, t in weights.items()}
    return safetensors.torch.save(weights), "safetensors"


def _unpack(data: bytes, study: Study, member: Member, shape: tuple[int, ...], device: str) -> FittedNetwork:
    if member.fit == "cascade":
        return Cascade.read(data.decode(), Haar(**member.settings))
    network = build_member(study, member, shape, 0)
    try:
        network.load_state_dict(safetensors.torch.load(data))
    except RuntimeError:
        raise BadBundle(f"{study.name}: the weights of {member.name} are another version's; train again") from None
    return network.eval().to(device).to(memory_format=torch.channels_last)


def find_bundles(store: Store, study: str) -> list[str]:
    """The folders of a study's bundles, in order."""
    return [
        entry.key.removesuffix(f"/{BUNDLE}") for entry in store.list(f"{study}/") if entry.key.endswith(f"/{BUNDLE}")
    ]


def read_description(store: Store, folder: str) -> dict[str, Any]:
    """A bundle's description, checked against its own hash."""
    try:
        content: dict[str, Any] = dict(json.loads(store.get(f"{folder}/{BUNDLE}")))
    except (ValueError, TypeError):
        content = {}
    held = {key: value for key, value in content.items() if key != "hash"}
    if content.get("hash") != digest(held):
        raise BadBundle(f"{store.uri}/{folder}/{BUNDLE} was changed after it was written; train again or restore it")
    if content["format"] != FORMAT:
        raise BadBundle(f"{store.uri}/{folder} has bundle format {content['format']}, this version reads {FORMAT}")
    return content


@dataclass(frozen=True, kw_only=True)
class Model:
    """A bundle ready to answer."""

    study: Study
    recipe: Recipe
    shape: tuple[int, ...]
    hash: str
    trained: TrainedMembers
    device: str
    best: str | None = None  # the member that answers, where the recipe has the most accurate one do so

    @classmethod
    def load(cls, store: Store, folder: str, study: Study) -> "Model":
        """The bundle's networks, their weights' hashes checked."""
        content = read_description(store, folder)
        recipe, shape, device = from_dict(content["recipe"]), tuple(content["shape"]), pick_device()
        trained: dict[str, list[TrainedNetwork]] = {}
        for member in recipe.members:
            for held in content["members"][member.name]:
                data = store.get(f"{folder}/{held['file']}")
                if hashlib.sha256(data).hexdigest() != held["sha256"]:
                    raise BadBundle(f"{store.uri}/{folder}/{held['file']} is not the file the bundle was made with")
                network = _unpack(data, study, member, shape, device)
                one = TrainedNetwork(network=network, temperature=held["temperature"])
                trained.setdefault(member.name, []).append(one)
        return cls(
            study=study, recipe=recipe, shape=shape, hash=content["hash"], trained=trained, device=device,
            best=content.get("best"),
        )  # fmt: skip

    @property
    def shows_points(self) -> bool:
        """Whether it shows where things are."""
        return any(member_points(self.study, member) for member in self.recipe.members)

    @property
    def answers_targets(self) -> bool:
        """Whether it says what they are like."""
        return any(member_targets(self.study, member) for member in self.recipe.members)

    @property
    def answered_targets(self) -> dict[str, Target]:
        """The targets it answers, as they are answered: scores that were learnt as names are names."""
        chosen = [member for member in self.recipe.members if member.name == self.best] or self.recipe.members
        ordered: dict[str, list[bool]] = {}
        for member in chosen:
            for target in member_targets(self.study, member):
                ordered.setdefault(target.name, []).append(member.ordered)
        return {t.name: target_as_learnt(t, ordered[t.name]) for t in self.study.targets if t.name in ordered}

    def locate(self, images: np.ndarray[Any, Any]) -> P:
        """Column and row in shares of the side, and sureness, of each place in arrays (n, channels, rows, columns).

        Not a number of a place that no member looks for.
        """
        points = self.study.points
        assert points is not None
        given = []
        for several in self.trained.values():
            for one in several:
                if isinstance(one.network, Cascade):
                    given.append(one.network.locate(images))
                    continue
                if isinstance(one.network, Landmarks):
                    asked = partial(_shown, one.network, points)
                    answers = self._outputs(asked, images, np.zeros(len(images), np.int64))
                    given.append(answers[points.name].double().numpy() if answers else np.zeros((0, points.outputs, 3)))
        return mean_points(given)

    def predict(self, images: np.ndarray[Any, Any], kinds: Numbers | None = None) -> dict[str, tuple[P, Numbers]]:
        """Probabilities and answers, a target, of arrays (n, channels, rows, columns) of rows of these kinds."""
        return self.predict_with_votes(images, kinds)[0]

    def predict_with_votes(
        self, images: np.ndarray[Any, Any], kinds: Numbers | None = None
    ) -> tuple[dict[str, tuple[P, Numbers]], dict[str, NDArray[np.int64]]]:
        """`answer`, and beside it what each member says alone (`ensemble.voices`)."""
        if not len(images):
            nothing = np.zeros(0, np.int64)
            answers = {name: (np.zeros((0, len(t.classes))), nothing) for name, t in self.answered_targets.items()}
            return answers, {name: np.zeros((len(self.recipe.members), 0), np.int64) for name in answers}
        members = self._members(images, np.zeros(len(images), np.int64) if kinds is None else kinds)
        return combine_members(self.study, self.recipe, members, self.best), member_votes(
            self.study, self.recipe, members
        )

    def _members(self, images: np.ndarray[Any, Any], kinds: Numbers) -> dict[str, dict[str, P]]:
        """Each member's own probabilities, a target; of a cross-validated one the mean of its networks'."""
        answers: dict[str, dict[str, P]] = {}
        for member in self.recipe.members:
            turns: list[dict[str, P]] = []
            if not member_targets(self.study, member):
                answers[member.name] = {}
                continue
            for one in self.trained[member.name]:
                assert isinstance(one.network, nn.Module), member.name
                tell = one.network.tell if isinstance(one.network, Landmarks) else one.network
                logits = self._outputs(tell, images, kinds)
                turns.append({
                    target.name: probabilities(target, logits[target.name], one.temperature)
                    for target in member_targets(self.study, member)
                })  # fmt: skip
            answers[member.name] = {name: np.mean([turn[name] for turn in turns], axis=0) for name in turns[0]}
        return answers

    def _outputs(
        self, ask: Callable[[Tensor, Tensor], Mapping[str, Tensor]], images: np.ndarray[Any, Any], kinds: Numbers
    ) -> dict[str, Tensor]:
        """What is answered, a target, when images and kinds are given in batches."""
        found: dict[str, list[Tensor]] = {}
        # Batches are of one size and filled up, so that a row's answer does not hang on its neighbours.
        batch = int(np.clip(NUMBERS_AT_ONCE[torch.device(self.device).type] // max(images[:1].size, 1), 1, 64))
        with torch.inference_mode():
            for start in range(0, len(images), batch):
                chunk = images[start : start + batch]
                padded = np.zeros((batch, *chunk.shape[1:]), chunk.dtype)
                padded[: len(chunk)] = chunk
                of_kinds = np.zeros(batch, np.int64)
                of_kinds[: len(chunk)] = kinds[start : start + batch]
                pixels = torch.from_numpy(padded).to(self.device).float().div_(255)
                pixels = pixels.contiguous(memory_format=torch.channels_last)
                outputs = ask(pixels, torch.from_numpy(of_kinds).to(self.device))
                for name, values in outputs.items():
                    found.setdefault(name, []).append(values[: len(chunk)].float().cpu())
        return {name: torch.cat(values) for name, values in found.items()}


def _shown(network: Landmarks, points: Points, images: Tensor, kinds: Tensor) -> dict[str, Tensor]:
    """Where a network shows the points; its maps are many, and end here."""
    return {points.name: points.answer(network.show(images).float())}


def probabilities(target: Any, logits: Tensor, temperature: Mapping[str, float]) -> P:
    """A target's probabilities at its temperature."""
    values: P = target.p(logits / temperature.get(target.name, 1.0)).double().cpu().numpy()
    return values


def calibrate(target: Any, logits: Tensor, truth: Tensor) -> float:
    """The temperature with the lowest loss on the validation part (1 where nothing is labelled)."""
    if not len(truth) or not bool((truth >= 0).any()):
        return 1.0
    there, weights = truth >= 0, torch.ones(len(target.classes))
    grid = [2 ** (step / 8) for step in range(-16, 25)]  # a quarter to eight
    losses = [float(target.loss(logits[there] / t, truth[there], weights).mean()) for t in grid]
    return grid[int(np.argmin(losses))]
