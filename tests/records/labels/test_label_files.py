"""Label files, long and wide: a mistake is named by its row, in one line that quotes no cell."""

from pathlib import Path

import pyarrow as pa
import pytest

from rajobs.records.errors import BadTable, RajobsError, StoreError, UnknownName
from rajobs.records.labels.label_files import labels_by_path, read_labels, values_by_image
from rajobs.records.labels.vocabulary import LabelTarget

SECRET = "Doe^Jane"
SCORES = ("0", "1", "2", "3", "4")
VOCABULARY = {
    "films": {"view": LabelTarget(sites={"": ("both", "foot")})},
    "scoring": {
        "jsn": LabelTarget(sites={"MCP2": SCORES, "PIP2": SCORES}),
        "erosion": LabelTarget(sites={"MCP2": (*SCORES, "5"), "MTP1": (*SCORES, "5", "10")}),
    },
    "staging": {"stage": LabelTarget(sites={"": SCORES})},
    "places": {"x": LabelTarget(sites={"MCP2": ()})},
}
HEAD = "image,study,target,value,site"
GOOD = "1.2.3,films,view,both,"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "labels.csv"


def read(path: Path) -> pa.Table:
    return read_labels([str(path)], VOCABULARY)


def test_optional_columns_of_labels_are_filled_with_nulls(path: Path) -> None:
    text = "image,study,target,value, patient\r\n1.2.3,films,view,both,P1\r\nfilms.zip!/a,films,view,foot,\r\n"
    path.write_text(f"\ufeff{text}")
    table = read(path)
    assert table.column("image").to_pylist() == ["1.2.3", "films.zip!/a"]
    assert table.column("side").null_count == 2 and table.column("patient").to_pylist() == ["P1", None]
    assert values_by_image(table, "patient") == {"1.2.3": "P1"}
    assert labels_by_path(table).column("image").to_pylist() == ["films.zip!/a"]


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("image,study,target,valu\n1,2,3,4\n", BadTable, "lacks value; it has image, study, target, valu"),
        (f"{HEAD},sites\n1,2,3,4,5,6\n", UnknownName, "did you mean site?"),
        (f"{HEAD},value\n1,2,3,4,5,6\n", BadTable, "two columns of one name"),
        (f"{HEAD}\n1,2,3,4,5,{SECRET}\n", BadTable, "rows all have the header's columns"),
        ("", BadTable, "is no CSV"),
        (f"films/{SECRET},films,view,both\n", BadTable, "names none of its columns image, study, target, value"),
        ("image,side,jsn_MPC2,jsn_PIP2\na,L,1,1\n", UnknownName, "did you mean jsn_mcp2?"),
        ("image,value,jsn_MCP2\na,1,1\n", BadTable, "lacks study, target"),
        (f"{HEAD}\n{GOOD}\n\n{SECRET},films,view,,\n", BadTable, "row 4: no value"),
        (f"{HEAD},side\n{SECRET},films,view,both,,l\n", BadTable, "row 2: side is none of L, R"),
        (f"{HEAD},split\n1,films,view,both,,{SECRET}\n", BadTable, "split is none of train, validation, test"),
        (f"{HEAD},frame\n1,films,view,both,,{SECRET}\n", BadTable, "frame is no number"),
        (
            f"{HEAD},derived_from\n1,films,view,both,,{SECRET}\n",
            BadTable,
            "derived_from is neither image_id nor SOP UID",
        ),
        (f"{HEAD}\n{GOOD}\n1,film,view,both,\n", UnknownName, "row 3: an unknown study; did you mean films?"),
        (f"{HEAD}\n1,{SECRET},view,both,\n", UnknownName, "there are: films, places, scoring, staging"),
        (f"{HEAD}\n1,films,viev,both,\n", UnknownName, "an unknown target of films; did you mean view?"),
        (f"{HEAD}\n1,scoring,jsn,1,mcp2\n", UnknownName, "jsn of scoring at an unknown site; did you mean MCP2?"),
        (f"{HEAD}\n1,scoring,jsn,1,\n", UnknownName, "jsn of scoring at no site; name one of MCP2, PIP2"),
        (f"{HEAD}\n1,staging,stage,1,MCP2\n", UnknownName, "it is of the whole hand or film; leave site empty"),
        (f"{HEAD}\n1,films,view,both,{SECRET}\n", UnknownName, "it is of the whole hand or film; leave site empty"),
        (f"{HEAD}\n{GOOD}\n1,scoring,jsn,7,MCP2\n", BadTable, "row 3: jsn at MCP2 of scoring is none of 0, 1, 2, 3, 4"),
        (f"{HEAD}\n1,scoring,erosion,10,MCP2\n", BadTable, "erosion at MCP2 of scoring is none of 0, 1, 2, 3, 4, 5"),
        (f"{HEAD}\n1,scoring,jsn,1.5,MCP2\n", BadTable, "jsn at MCP2"),
        (f"{HEAD}\n1,films,view,{SECRET},\n", BadTable, "view of films is none of both, foot"),
        (
            f"{HEAD}\n1,places,x,{SECRET},MCP2\n",
            BadTable,
            "x at MCP2 of places is no place on a film (a pixel, as 812.5)",
        ),
        (f"{HEAD}\n1,places,x,1e9,MCP2\n", BadTable, "no place on a film"),
        (f'{HEAD}\n1,places,x,"1,000",MCP2\n', BadTable, "no place on a film"),
        (
            f"{HEAD}\n" + f"{SECRET},films,view,hand,\n" * 8,
            BadTable,
            "labels.csv, rows 2, 3, 4, 5, 6 and 3 more: view of films is none of both, foot",
        ),
        (
            f"{HEAD}\na,scoring,jsn,1,MCP2\n{GOOD}\na,scoring,jsn,2,MCP2\n",
            BadTable,
            "rows 2, 4: one reading has two values; leave one of them, or name the readers",
        ),
    ],
)
def test_labels_that_do_not_fit(path: Path, text: str, error: type[RajobsError], words: str) -> None:
    path.write_text(text)
    with pytest.raises(error) as refused:
        read(path)
    assert words in str(refused.value) and SECRET not in str(refused.value) and "\n" not in str(refused.value)


def test_a_value_is_read_as_its_target_writes_it(path: Path) -> None:
    values = [
        ("scoring,jsn,1.0,MCP2", "1"),
        ('scoring,jsn,"2,0",PIP2', "2"),
        ("scoring,erosion,10,MTP1", "10"),
        ("films,view,Both ,", "both"),
        ('places,x,"812,5",MCP2', "812.5"),
        ("places,x,0000812.5000,MCP2", "812.5"),
        ("places,x,812.19530503,MCP2", "812.1953"),
        ("staging,stage,03,", "3"),
    ]
    path.write_text("\n".join([HEAD, *(f"{number},{row}" for number, (row, _) in enumerate(values))]))
    assert read(path).column("value").to_pylist() == [value for _, value in values]


def test_an_image_is_named_as_an_archive_names_its_members(path: Path) -> None:
    path.write_text(f"{HEAD}\n.\\day1\\a.png,films,view,both,\n./b.png,films,view,both,\n")
    assert read(path).column("image").to_pylist() == ["day1/a.png", "b.png"]


@pytest.mark.parametrize("sign", [";", "\t"])
def test_columns_may_be_separated_as_a_spreadsheet_does(path: Path, sign: str) -> None:
    plain = f"\ufeff{HEAD}\r\na/b,scoring,jsn,1,MCP2\r\n1.2.3,places,x,2.5,MCP2\r\n"
    path.write_text(plain.replace(",", sign).replace("2.5", "2,5"))
    assert read(path).column("value").to_pylist() == ["1", "2.5"]


@pytest.mark.parametrize("text", [f"{HEAD},größe\n1,2,3,4,5,6\n", f"{HEAD},reader\n1,2,3,4,5,Müller\n"])
def test_a_table_in_another_encoding_is_named_as_such(path: Path, text: str) -> None:
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(BadTable, match="no CSV in UTF-8"):
        read(path)


def test_a_file_that_is_not_there(path: Path) -> None:
    with pytest.raises(StoreError, match="there is no labels file"):
        read(path)


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        (
            "image,side,reader,jsn_MCP2,JSN_pip2,erosion_MCP2\na,L,anna,1.0,,5\n\nb,R,anna,,3,\n",
            [
                ("a", "L", "jsn", "MCP2", "1", 2),
                ("a", "L", "erosion", "MCP2", "5", 2),
                ("b", "R", "jsn", "PIP2", "3", 4),
            ],
        ),
        (
            "image,side,target,MCP2,PIP2\na,L,jsn,1,2\na,L,erosion,3,\n",
            [
                ("a", "L", "jsn", "MCP2", "1", 2),
                ("a", "L", "jsn", "PIP2", "2", 2),
                ("a", "L", "erosion", "MCP2", "3", 3),
            ],
        ),
        (
            "image,side,stage,view\na,L,2,both\n",
            [("a", "L", "stage", None, "2", 2), ("a", "L", "view", None, "both", 2)],
        ),
    ],
)
def test_a_wide_table_has_a_row_for_a_hand_and_a_column_for_a_site(
    path: Path, text: str, labels: list[tuple[object, ...]]
) -> None:
    path.write_text(text)
    rows = read(path).to_pylist()
    assert [tuple(row[name] for name in ("image", "side", "target", "site", "value", "row")) for row in rows] == labels
    studies = {"stage": "staging", "view": "films"}
    assert all(row["study"] == studies.get(row["target"], "scoring") for row in rows)


def test_a_mistake_in_a_wide_table_is_named_by_its_row_too(path: Path) -> None:
    path.write_text("image,side,jsn_MCP2,erosion_MCP2\na,L,1,2\nb,L,7,2\n")
    with pytest.raises(BadTable, match="row 3: jsn at MCP2 of scoring is none of"):
        read(path)


def test_rows_of_several_files_know_their_file(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).write_text(f"{HEAD}\n{GOOD}\n")
    uris = [str(tmp_path / name) for name in ("one", "two")]
    assert read_labels(uris, VOCABULARY).column("file").to_pylist() == uris, "they may say the same"
