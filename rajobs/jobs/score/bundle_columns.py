"""Which columns each bundle fills, read off its description and its study's declaration."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from rajobs.imaging.rows import JOINTS
from rajobs.jobs.score.steps import ScoreSteps
from rajobs.learning.bundle_description import BundleDescription, read_description
from rajobs.learning.judging.calibration import Calibration, combine
from rajobs.learning.study import Study
from rajobs.learning.voting_models import BundleLocation
from rajobs.records.store import open_store
from rajobs.reports.score.bundles import BundleFacts

PLACED: Mapping[str, tuple[str, ...]] = MappingProxyType({
    "extremities": ("side", "box"), "joints": ("x", "y", "box", "confidence"),
})  # fmt: skip
"""The columns that finders of hands and joints fill, by table, where labels do not place the joints."""


def describe_bundles(steps: ScoreSteps, bundles: Mapping[str, Sequence[BundleLocation]]) -> list[BundleFacts]:
    """What each bundle that was asked fills and learnt from."""
    described = []
    for study in steps.studies:
        for uri, folder in bundles.get(study.name, ()):
            description = read_description(open_store(uri), folder)
            described.append(BundleFacts(
                hash=description.hash, study=study.name, columns=_columns(study, description),
                drawn=description.origin.drawn,
            ))  # fmt: skip
    return described


def joint_calibration(steps: ScoreSteps, bundles: Mapping[str, Sequence[BundleLocation]]) -> Calibration:
    """What validation says of all the models that score joints."""
    return combine([
        read_description(open_store(uri), folder).calibration
        for study in steps.filling(JOINTS)
        for uri, folder in bundles.get(study.name, ())
    ])  # fmt: skip


def _columns(study: Study, description: BundleDescription) -> dict[str, tuple[str, ...]]:
    recipe = description.origin.recipe
    answered = {target for target, sites in description.learned.items() if sites}
    columns: dict[str, tuple[str, ...]] = {}
    if study.scores is not None:
        names = [
            name
            for each in study.scores.columns
            if each.target in answered
            for name in each.names
            if name != each.conformal or each.target in description.calibration.least_p
        ]
        columns |= {study.scores.table: tuple(names)} if names else {}
    if study.points is not None and any(study.points.name in member.targets for member in recipe.members):
        columns |= PLACED
    return columns
