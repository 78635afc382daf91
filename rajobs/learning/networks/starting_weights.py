"""The weights that a recipe's networks start from: random ones, or a file of the user's (`--weights`)."""

import dataclasses
import hashlib
from dataclasses import dataclass

from torch import nn

from rajobs.learning.recipe import NONE, Recipe
from rajobs.records.errors import UsageError

FROM_FILE = "given"  # as recipes and bundles store it


@dataclass(frozen=True, kw_only=True)
class StartingWeights:
    """The file of weights that a member starts from."""

    architecture: str
    name: str
    data: bytes = dataclasses.field(repr=False)

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    def load_into(self, network: nn.Module) -> None:
        from rajobs.learning.networks.weights import load_into

        load_into(network, self.architecture, self.data, self.name)


def apply_weights_option(recipe: Recipe, weights: str | None) -> Recipe:
    """The recipe changed by `--weights`: with `none` every member starts at random.

    With a file or folder those members start from it whose recipe asks for weights; if none asks, all do (a hand's
    network from a joint's, say).
    """
    if weights == NONE:
        members = tuple(dataclasses.replace(member, weights=NONE) for member in recipe.members)
        return dataclasses.replace(recipe, members=members)
    if weights is not None and all(member.weights == NONE for member in recipe.members):
        members = tuple(dataclasses.replace(member, weights=FROM_FILE) for member in recipe.members)
        return dataclasses.replace(recipe, members=members)
    return recipe


def find_starting_weights(recipe: Recipe, weights: str | None) -> dict[str, StartingWeights]:
    """The file of each member that starts from one; without `weights` the error says how to name them."""
    from rajobs.learning.networks.weights import expected_file, find

    files = {}
    for member in recipe.members:
        if member.weights == NONE:
            continue
        if weights is None:
            raise UsageError(
                f"{member.name} starts from {member.weights} weights: give the folder that holds "
                f"{expected_file(member.architecture)} by --weights FOLDER, or start at random by --weights none"
            )
        name, data = find(weights, member.architecture)
        files[member.name] = StartingWeights(architecture=member.architecture, name=name, data=data)
    return files
