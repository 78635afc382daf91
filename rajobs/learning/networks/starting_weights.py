"""Which weights a recipe's networks start from: at random, or from a file that the user has (`--weights`)."""

import dataclasses
import hashlib
from dataclasses import dataclass

from torch import nn

from rajobs.learning.recipe import NONE, Recipe
from rajobs.records.errors import UsageError

GIVEN = "given"


@dataclass(frozen=True, kw_only=True)
class StartingWeights:
    """The weights a member starts from: a file's name and bytes."""

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
    """The recipe as `--weights` would have it: `none` starts every member at random; a place, those that ask for one.

    Where none asks, all start from it: a hand's network from a joint's, say.
    """
    if weights == NONE:
        members = tuple(dataclasses.replace(member, weights=NONE) for member in recipe.members)
        return dataclasses.replace(recipe, members=members)
    if weights is not None and all(member.weights == NONE for member in recipe.members):
        members = tuple(dataclasses.replace(member, weights=GIVEN) for member in recipe.members)
        return dataclasses.replace(recipe, members=members)
    return recipe


def find_starting_weights(recipe: Recipe, weights: str | None) -> dict[str, StartingWeights]:
    """The files of the members that start from one; where it is not said where they are, how to say it."""
    from rajobs.learning.networks.weights import expected_file, find

    found = {}
    for member in recipe.members:
        if member.weights == NONE:
            continue
        if weights is None:
            raise UsageError(
                f"{member.name} starts from {member.weights} weights: give the folder that holds "
                f"{expected_file(member.architecture)} by --weights FOLDER, or start at random by --weights none"
            )
        name, data = find(weights, member.architecture)
        found[member.name] = StartingWeights(architecture=member.architecture, name=name, data=data)
    return found
