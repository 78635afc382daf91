"""A model bundle: one weight file per network, and bundle.json (learning/bundle_description.py), written last.

OUT/<study>/<version>/weights-<network>.safetensors (a cascade's: .xml)   history.parquet   card.md   bundle.json
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType

import numpy as np
import safetensors
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rajobs.learning.bundle_description import BundleDescription, WeightFile, put_description, read_description
from rajobs.learning.cascade.detector import Cascade
from rajobs.learning.cascade.haar import Haar
from rajobs.learning.ensemble import FittedNetwork, build_member, member_points, member_targets, network_name
from rajobs.learning.networks import architectures
from rajobs.learning.networks.landmarks import Landmarks
from rajobs.learning.points import Points
from rajobs.learning.recipe import Member, Recipe
from rajobs.learning.study import Study
from rajobs.learning.targets import Target
from rajobs.learning.training.loop import pick_device
from rajobs.learning.voting import (
    MemberProbabilities,
    Numbers,
    Probabilities,
    combine_members,
    mean_points,
    member_votes,
    target_as_learnt,
)
from rajobs.records.errors import BadBundle, UsageError
from rajobs.records.store import Store

NUMBERS_AT_ONCE = {"cpu": 150_000, "cuda": 8_000_000}
"""How many numbers of the arrays a device processes at a time: they fit a core's cache, or keep a GPU busy."""
MOST_AT_ONCE = 64
_KIND = MappingProxyType({"gradient": "safetensors file", "cascade": "cascade"})


@dataclass(frozen=True, kw_only=True)
class TrainedNetwork:
    """A member's network with the temperature of each target."""

    network: FittedNetwork
    temperature: Mapping[str, float]


Images = NDArray[np.uint8]
"""(n, channels, rows, columns)."""

TrainedMembers = Mapping[str, Sequence[TrainedNetwork]]
"""By member: its network, or the networks of all folds, whose answers are averaged."""


def put_bundle(
    store: Store, folder: str, trained: TrainedMembers, description: BundleDescription, *, half: bool = False
) -> BundleDescription:
    """Write the weights (`half`: in half precision), then the description with their hashes."""
    members: dict[str, tuple[WeightFile, ...]] = {}
    for member, networks in trained.items():
        for fold, one in enumerate(networks):
            data, ending = _pack(one.network, half)
            file = f"weights-{network_name(member, fold, len(networks))}.{ending}"
            store.put(f"{folder}/{file}", data)
            weights = WeightFile(file=file, sha256=hashlib.sha256(data).hexdigest(), temperature=dict(one.temperature))
            members[member] = (*members.get(member, ()), weights)
    return put_description(store, folder, replace(description, members=members))


def _pack(network: FittedNetwork, half: bool) -> tuple[bytes, str]:
    """The bytes of a network's file, and the file's ending."""
    if isinstance(network, Cascade):
        return network.xml.encode(), "xml"
    weights = {key: t.detach().cpu().contiguous() for key, t in network.state_dict().items()}
    if half:
        weights = {key: t.half() if t.is_floating_point() else t for key, t in weights.items()}
    return safetensors.torch.save(weights), "safetensors"


def _unpack(data: bytes, study: Study, member: Member, shape: tuple[int, ...], device: str) -> FittedNetwork:
    try:
        architectures.check_member(member)
        if member.fit == "cascade":
            return Cascade.read(data.decode(), Haar(**member.settings))
        network = build_member(study, member, shape, 0)
        network.load_state_dict(safetensors.torch.load(data))
    except UsageError as error:
        raise BadBundle(f"{study.name}: member {member.name} cannot be built: {error}; train again") from None
    except (safetensors.SafetensorError, ValueError, KeyError):
        raise BadBundle(f"{study.name}: the weights of {member.name} are no {_KIND[member.fit]}; train again") from None
    except RuntimeError:
        raise BadBundle(f"{study.name}: the weights of {member.name} are another version's; train again") from None
    return network.eval().to(device).to(memory_format=torch.channels_last)


@dataclass(frozen=True, kw_only=True)
class Model:
    """A bundle's networks, ready to answer."""

    study: Study
    recipe: Recipe
    shape: tuple[int, ...]
    hash: str
    trained: TrainedMembers
    device: str
    best: str | None = None  # the member that answers alone in a recipe that keeps one

    @classmethod
    def load(cls, store: Store, folder: str, study: Study) -> "Model":
        """Read a bundle; the hash of every weight file is checked."""
        description = read_description(store, folder)
        if description.origin.study != study.name:
            raise BadBundle(f"{store.uri}/{folder} holds a model of {description.origin.study}, not of {study.name}")
        # A bundle answers what it learnt, also when the study has got another target since.
        learnt = description.classes.keys() & {target.name for target in study.targets}
        study = study.with_targets(learnt) if learnt else study
        recipe, device = description.origin.recipe, pick_device()
        trained: dict[str, list[TrainedNetwork]] = {}
        for member in recipe.members:
            if not description.members.get(member.name):
                raise BadBundle(f"{store.uri}/{folder} has no weight file of member {member.name}; train again")
            for weights in description.members[member.name]:
                data = store.get(f"{folder}/{weights.file}")
                if hashlib.sha256(data).hexdigest() != weights.sha256:
                    raise BadBundle(f"{store.uri}/{folder}/{weights.file} is not the file the bundle was made with")
                network = _unpack(data, study, member, description.shape, device)
                one = TrainedNetwork(network=network, temperature=weights.temperature)
                trained.setdefault(member.name, []).append(one)
        return cls(
            study=study, recipe=recipe, shape=description.shape, hash=description.hash, trained=trained,
            device=device, best=description.best,
        )  # fmt: skip

    @property
    def shows_points(self) -> bool:
        return any(member_points(self.study, member) for member in self.recipe.members)

    @property
    def answers_targets(self) -> bool:
        return any(member_targets(self.study, member) for member in self.recipe.members)

    @property
    def answered_targets(self) -> dict[str, Target]:
        """The targets as they are answered: scores that were learnt as names have no order."""
        answering = [member for member in self.recipe.members if member.name == self.best] or self.recipe.members
        ordered: dict[str, list[bool]] = {}
        for member in answering:
            for target in member_targets(self.study, member):
                ordered.setdefault(target.name, []).append(member.ordered)
        return {t.name: target_as_learnt(t, ordered[t.name]) for t in self.study.targets if t.name in ordered}

    def locate(self, images: Images) -> NDArray[np.float64]:
        """Column and row (shares of the side) and confidence of each point in arrays (n, channels, rows, columns).

        Not a number for a point that no member looks for.
        """
        points = self.study.points
        assert points is not None
        shown = []
        for networks in self.trained.values():
            for one in networks:
                if isinstance(one.network, Cascade):
                    shown.append(one.network.locate(images))
                elif isinstance(one.network, Landmarks):
                    ask = partial(_locate_points, one.network, points)
                    outputs = self._outputs(ask, images, np.zeros(len(images), np.int64))
                    nothing = np.zeros((0, points.outputs, 3))
                    shown.append(outputs[points.name].double().numpy() if outputs else nothing)
        return mean_points(shown)

    def predict(self, images: Images, kinds: Numbers | None = None) -> dict[str, tuple[Probabilities, Numbers]]:
        """By target, probabilities and answers for arrays (n, channels, rows, columns) of rows of these kinds."""
        return self.predict_with_votes(images, kinds)[0]

    def predict_with_votes(
        self, images: Images, kinds: Numbers | None = None
    ) -> tuple[dict[str, tuple[Probabilities, Numbers]], dict[str, Numbers]]:
        """`predict`, and the answer of each member alone (`voting.member_votes`)."""
        return self.combine(self.member_probabilities(images, kinds))

    def combine(
        self, members: MemberProbabilities
    ) -> tuple[dict[str, tuple[Probabilities, Numbers]], dict[str, Numbers]]:
        """The members' probabilities as one answer by target, and the answer of each member alone."""
        return (
            combine_members(self.study, self.recipe, members, self.best),
            member_votes(self.study, self.recipe, members),
        )

    def member_probabilities(self, images: Images, kinds: Numbers | None = None) -> dict[str, dict[str, Probabilities]]:
        """By member and target; for a cross-validated member, the mean over its folds' networks."""
        kinds = np.zeros(len(images), np.int64) if kinds is None else kinds
        answers: dict[str, dict[str, Probabilities]] = {}
        for member in self.recipe.members:
            folds: list[dict[str, Probabilities]] = []
            if not member_targets(self.study, member):
                answers[member.name] = {}
                continue
            for one in self.trained[member.name]:
                assert isinstance(one.network, nn.Module), member.name
                tell = one.network.classify if isinstance(one.network, Landmarks) else one.network
                logits = self._outputs(tell, images, kinds)
                folds.append({
                    target.name: probabilities(target, logits[target.name], one.temperature)
                    if len(images) else np.zeros((0, len(target.classes)))
                    for target in member_targets(self.study, member)
                })  # fmt: skip
            answers[member.name] = {name: np.mean([fold[name] for fold in folds], axis=0) for name in folds[0]}
        return answers

    def representations(self, images: Images) -> dict[str, NDArray[np.float64]]:
        """By member, what its heads read of each array (n x features); of several folds, the first one's."""
        shown = {}
        for name, networks in self.trained.items():
            network = networks[0].network
            if isinstance(network, architectures.Heads):
                outputs = self._outputs(partial(_represent, network), images, np.zeros(len(images), np.int64))
                shown[name] = outputs["features"].double().numpy()
        return shown

    def _outputs(
        self, ask: Callable[[Tensor, Tensor], Mapping[str, Tensor]], images: Images, kinds: Numbers
    ) -> dict[str, Tensor]:
        """The outputs by name, in batches of equal size, so that a row's answer does not depend on other rows."""
        outputs: dict[str, list[Tensor]] = {}
        numbers_at_once = NUMBERS_AT_ONCE[torch.device(self.device).type]
        batch = int(np.clip(numbers_at_once // max(images[:1].size, 1), 1, MOST_AT_ONCE))
        with torch.inference_mode():
            for start in range(0, len(images), batch):
                chunk = images[start : start + batch]
                padded = np.zeros((batch, *chunk.shape[1:]), chunk.dtype)
                padded[: len(chunk)] = chunk
                padded_kinds = np.zeros(batch, np.int64)
                padded_kinds[: len(chunk)] = kinds[start : start + batch]
                pixels = torch.from_numpy(padded).to(self.device).float().div_(255)
                pixels = pixels.contiguous(memory_format=torch.channels_last)
                for name, values in ask(pixels, torch.from_numpy(padded_kinds).to(self.device)).items():
                    outputs.setdefault(name, []).append(values[: len(chunk)].float().cpu())
        return {name: torch.cat(values) for name, values in outputs.items()}


def _represent(network: architectures.Heads, images: Tensor, kinds: Tensor) -> dict[str, Tensor]:
    return {"features": network.trunk(images)}


def _locate_points(network: Landmarks, points: Points, images: Tensor, kinds: Tensor) -> dict[str, Tensor]:
    """Only the points: a network's maps of them are large and are not kept."""
    return {points.name: points.answer(network.show(images))}


def probabilities(target: Target, logits: Tensor, temperature: Mapping[str, float]) -> Probabilities:
    """A target's probabilities, calibrated by its temperature."""
    values: Probabilities = target.p(logits / temperature.get(target.name, 1.0)).double().cpu().numpy()
    return values


def calibrate(target: Target, logits: Tensor, truth: Tensor) -> float:
    """The temperature with the lowest loss on the validation part (1 if nothing is labelled)."""
    labelled, weights = truth >= 0 if truth.dim() == 1 else truth.sum(dim=1) > 0, torch.ones(len(target.classes))
    if not bool(labelled.any()):
        return 1.0
    grid = [2 ** (step / 8) for step in range(-16, 25)]  # a quarter to eight
    losses = [float(target.loss(logits[labelled] / t, truth[labelled], weights).mean()) for t in grid]
    return grid[int(np.argmin(losses))]
