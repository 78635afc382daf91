"""Readers' labels become one value per place."""

import pyarrow as pa
import pytest

from rajobs.records.errors import BadTable
from rajobs.records.label_consensus import agree, consensus, coordinates, presence, readers
from rajobs.records.tables.schemas import LABELS


def labels(*readings: tuple[str, str], target: str = "jsn", site: str | None = "MCP2") -> pa.Table:
    """One film's labels: reader and value."""
    return LABELS.rows([
        {"image_id": "i", "side": "L", "study": "s", "target": target, "site": site, "value": value, "reader": reader}
        for reader, value in readings
    ])  # fmt: skip


PLACE = ("i", "L", "MCP2")


@pytest.mark.parametrize(
    ("readings", "agreed"),
    [
        ((("a", "3"),), "3"),
        ((("a", "1"), ("b", "4"), ("c", "2")), "2"),
        ((("a", "1"), ("b", "2")), "2"),  # a half goes to the even score: doubt shifts scores neither up nor down
        ((("a", "0"), ("b", "1")), "0"),
        ((("a", "0"), ("b", "3")), "2"),
        ((("a", "9"), ("b", "10")), "10"),  # compared as numbers, not as text
        ((("a", "0"), ("b", "0"), ("truth", "4")), "4"),
        ((("truth", "4"), ("consensus", "1")), "1"),
        ((("truth", "4"), ("consensus", "1"), ("adjudicated", "3")), "3"),
    ],
)
def test_scores_agree_on_the_median(readings: tuple[tuple[str, str], ...], agreed: str) -> None:
    assert consensus(labels(*readings), "s", "jsn", ordered=True) == {PLACE: agreed}


def test_a_class_needs_a_majority_and_places_without_one_are_counted() -> None:
    most = labels(("a", "foot"), ("b", "other"), ("c", "foot"))
    assert consensus(most, "s", "jsn", ordered=False) == {PLACE: "foot"}
    for readings in ((("a", "foot"), ("b", "other")), (("a", "foot"), ("b", "foot"), ("c", "other"), ("d", "both"))):
        agreed = agree(labels(*readings), "s", "jsn", ordered=False)
        assert agreed.values == {} and agreed.without_majority == 1 and agreed.shares == {}


def test_a_score_is_the_readers_shares_where_they_differ() -> None:
    read = pa.concat_tables([
        labels(("a", "0"), ("b", "3")), labels(("a", "2"), ("b", "2"), site="PIP2"),
        labels(("a", "0"), ("b", "3"), ("truth", "1"), site="PIP3"),
        labels(("a", "1"), ("b", "1"), ("c", "4"), site="IP"),
    ])  # fmt: skip
    shares = agree(read, "s", "jsn", ordered=True).shares
    assert shares == {
        PLACE: {"0": 0.5, "3": 0.5}, ("i", "L", "IP"): {"1": pytest.approx(2 / 3), "4": pytest.approx(1 / 3)},
    }  # fmt: skip


def test_a_place_is_the_readers_mean() -> None:
    read = labels(("a", "800"), ("b", "812.5"), target="x")
    assert consensus(read, "s", "x", ordered=True) == {PLACE: "806.25"}


def test_a_joint_is_there_or_not_by_a_majority_of_those_who_place_it_or_say_it_is_not() -> None:
    def there(place: tuple[str, ...], gone: tuple[str, ...]) -> str | None:
        placed = labels(*((name, "1") for name in place), target="x")
        missing = labels(*((name, "0") for name in gone), target="present")
        return presence(pa.concat_tables([placed, missing]), "s").get(PLACE, "unknown")

    assert [there(("a",), ()), there((), ("a",)), there((), ())] == ["1", "0", "unknown"]
    assert [there(("a",), ("b",)), there(("a",), ("b", "c")), there(("truth",), ("b", "c"))] == [None, "0", "1"]


def test_only_joints_that_are_there_have_a_place() -> None:
    placed = [labels(("a", "10"), target=axis, site=site) for axis in "xy" for site in ("MCP2", "PIP2")]
    gone = labels(("b", "0"), ("c", "0"), target="present", site="PIP2")
    table = pa.concat_tables([*placed, gone])
    assert coordinates(table, "s", presence(table, "s")) == {axis: {PLACE: "10"} for axis in "xy"}


def test_places_studies_and_targets_stay_apart() -> None:
    table = pa.concat_tables(
        [labels(("a", "1")), labels(("a", "2"), site="MCP3"), labels(("a", "3"), target="erosion")]
    )
    assert consensus(table, "s", "jsn", ordered=True) == {PLACE: "1", ("i", "L", "MCP3"): "2"}
    assert consensus(table, "other study", "jsn", ordered=True) == {}
    assert readers(table, "s", "erosion") == {"a": {PLACE: "3"}}


@pytest.mark.parametrize("order", [1, -1])
def test_labels_of_a_whole_image_agree_whatever_side_and_site_they_name(order: int) -> None:
    voices = [labels(("a", "0")), labels(("b", "2"), site="MCP3"), labels(("c", "1"), site=None)]
    read = pa.concat_tables(voices[::order])
    assert consensus(read, "s", "jsn", ordered=True, whole=True) == {("i", None, None): "1"}
    assert len(consensus(read, "s", "jsn", ordered=True)) == 3, "joints stay apart"
    read = pa.concat_tables([labels(("truth", "3"), site=None), *voices][::order])
    assert consensus(read, "s", "jsn", ordered=True, whole=True) == {("i", None, None): "3"}


def test_a_score_that_is_no_number_is_refused_and_not_quoted() -> None:
    with pytest.raises(BadTable, match="labels jsn of s have values that are no numbers") as error:
        consensus(labels(("a", "Doe^Jane")), "s", "jsn", ordered=True)
    assert "Doe" not in str(error.value)
