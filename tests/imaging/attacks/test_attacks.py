"""Each attack but the long ones ends in the fates that a careful reader gives; `make attack` also counts its costs."""

from collections.abc import Iterator

import pytest

from rajobs.imaging.archives.archive_reader import ArchiveReader
from rajobs.imaging.sandbox import Decoder
from tests.imaging.attacks.attack import Attack
from tests.imaging.attacks.run import ATTACKS, ingest_attack, written


@pytest.fixture(scope="module")
def reader() -> Iterator[ArchiveReader]:
    """One process for all archives: an attack must leave it fit for the next one."""
    with ArchiveReader() as shared:
        yield shared


def test_the_attacks_have_names_of_their_own() -> None:
    assert len({attack.name for attack in ATTACKS}) == len(ATTACKS) > 60


@pytest.mark.parametrize("attack", [pytest.param(each, id=each.name) for each in ATTACKS if not each.long])
@pytest.mark.slow
def test_an_attack_is_met(attack: Attack, reader: ArchiveReader, decoder: Decoder) -> None:
    with written(attack) as folder:
        _, faults = ingest_attack(attack, folder, reader, decoder)
    assert faults == []
