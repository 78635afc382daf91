"""Tables that users bring: a mistake is named in one line that quotes no cell."""

from datetime import date
from pathlib import Path

import pytest

from rajobs.records.errors import BadTable, RajobsError, StoreError, UnknownName
from rajobs.records.identity import Key
from rajobs.records.user_tables import (
    LabelNames,
    check_names,
    clinic_crosswalk,
    label_rows,
    labels_by_path,
    read_clinic,
    read_labels,
    values_by_image,
)

KEY = Key(secret=b"0123456789abcdef0123456789abcdef")
HEAD = "image,study,target,value"
SECRET = "Doe^Jane"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "table.csv"


def test_optional_columns_of_labels_are_filled_with_nulls(path: Path) -> None:
    path.write_text(
        f"\ufeff{HEAD}, patient\r\n1.2.3,hand_filter,view,both,P1\r\nfilms.zip!/a,hand_filter,view,foot,\r\n"
    )
    table = read_labels(str(path))
    assert table.column("image").to_pylist() == ["1.2.3", "films.zip!/a"]
    assert table.column("side").null_count == 2 and table.column("patient").to_pylist() == ["P1", None]
    assert values_by_image(table, "patient") == {"1.2.3": "P1"}
    assert labels_by_path(table).column("image").to_pylist() == ["films.zip!/a"]


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("image,study,target,valu\n1,2,3,4\n", BadTable, "lacks value; it has image, study, target, valu"),
        (f"{HEAD},sites\n1,2,3,4,5\n", UnknownName, "did you mean site?"),
        (f"{HEAD},value\n1,2,3,4,5\n", BadTable, "two columns of one name"),
        (f"{HEAD}\n1,2,3,4,{SECRET}\n", BadTable, "rows all have the header's columns"),
        (f"{HEAD}\n1,2,3,\n{SECRET},2,3,4\n", BadTable, "has 1 rows without value"),
        (f"{HEAD},side\n1,2,3,4,{SECRET}\n", BadTable, "1 rows whose side is none of L, R"),
        (f"{HEAD},split\n1,2,3,4,{SECRET}\n", BadTable, "1 rows whose split is none of train, validation, test"),
        (f"{HEAD},frame\n1,2,3,4,{SECRET}\n", BadTable, "1 rows whose frame is no number"),
        (f"{HEAD},derived_from\n1,2,3,4,{SECRET}\n", BadTable, "derived_from is neither image_id nor SOP UID"),
        ("", BadTable, "is no CSV"),
        (f"films/{SECRET},hand_filter,view,both\n", BadTable, "names none of its columns image, study, target, value"),
    ],
)
def test_labels_that_do_not_fit(path: Path, text: str, error: type[RajobsError], words: str) -> None:
    path.write_text(text)
    with pytest.raises(error) as refused:
        read_labels(str(path))
    assert words in str(refused.value) and SECRET not in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize("sign", [";", "\t"])
def test_columns_may_be_separated_as_a_spreadsheet_does(path: Path, sign: str) -> None:
    plain = f"\ufeff{HEAD},site\r\na/b,s,x,1,\r\n1.2.3,s,x,2.5,\r\n"
    path.write_text(plain.replace(",", sign).replace("2.5", "2,5"))
    table = read_labels(str(path))
    assert table.column("value").to_pylist() == ["1", "2,5"]
    path.write_text("patient;visit_date;rf\nDoe^Jane;2015-05-01;31,5\n")
    with pytest.raises(BadTable, match="a value in rf that is not a number"):
        read_clinic(str(path), KEY)


@pytest.mark.parametrize("text", [f"{HEAD},größe\n1,2,3,4,5\n", f"{HEAD},reader\n1,2,3,4,Müller\n"])
def test_a_table_in_another_encoding_is_named_as_such(path: Path, text: str) -> None:
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(BadTable, match="no CSV in UTF-8"):
        read_labels(str(path))


def test_a_file_that_is_not_there(path: Path) -> None:
    with pytest.raises(StoreError, match="there is no labels file"):
        read_labels(str(path))


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("films,view,both,", None),
        ("joints,x,3,MCP2", None),
        ("joints,x,3,", None),
        ("films,view,both,anywhere", None),
        ("film,view,both,", "an unknown study; did you mean films?"),
        (f"{SECRET},view,both,", "an unknown study; there are: films, joints"),
        ("films,viev,both,", "films with an unknown target; did you mean view?"),
        ("joints,x,3,mcp2", "joints with an unknown site; did you mean MCP2?"),
        ("joints,clear,0,MCP2", None),
        (f"joints,clear,{SECRET},MCP2", "joints whose clear is none of 0, 1"),
    ],
)
def test_labels_name_a_known_study_target_and_site(path: Path, row: str, words: str | None) -> None:
    joints = LabelNames(targets=("x", "y", "clear"), sites=("MCP2", "PIP2"), values={"clear": ("0", "1")})
    known = {"films": LabelNames(targets=("view",)), "joints": joints}
    path.write_text(f"{HEAD},site\n1.2.3,{row}\n")
    if words is None:
        check_names(str(path), read_labels(str(path)), known)
        return
    with pytest.raises(BadTable if "whose" in words else UnknownName) as refused:
        check_names(str(path), read_labels(str(path)), known)
    assert f"has 1 rows of {words}" in str(refused.value) and SECRET not in str(refused.value)


def test_labels_get_image_ids_and_those_without_an_image_are_counted(path: Path) -> None:
    path.write_text(
        f"{HEAD},frame,reader,patient\n1.2.3,ultrasound_grading,grade,2,4,ann,P1\n1.2.3,s,t,0,,,\nlost,s,t,1,,,\n"
    )
    table, lost = label_rows(read_labels(str(path)), {("1.2.3", 4): "loop-4", ("1.2.3", 0): "loop-0"})
    assert lost == 1 and table.column("image_id").to_pylist() == ["loop-4", "loop-0"]
    assert table.column("reader").to_pylist() == ["ann", "reader"]
    assert "P1" not in str(table.to_pylist()), "a label's patient is an original identifier"


def test_a_clinic_table_gets_pseudonyms(path: Path) -> None:
    path.write_text("patient,visit_date,rf,sex,L_MCP2_pd\nP1,2015-05-01,31.5,F,2\nP1,2015-06-01,,F,\n")
    table = read_clinic(str(path), KEY)
    first, second = table.to_pylist()
    assert first["patient"] == KEY.pseudonym("patient", "P1") == second["patient"]
    assert first["visit_date"] == KEY.shift("P1", date(2015, 5, 1)) != date(2015, 5, 1)
    assert (second["visit_date"] - first["visit_date"]).days == 31
    assert (first["rf"], first["L_MCP2_pd"], second["rf"]) == (31.5, 2.0, None)


def test_every_patient_of_a_clinic_table_is_in_the_crosswalk(path: Path) -> None:
    path.write_text("patient,visit_date,derived_from\nP2,2015-05-01,\nP1,2015-05-01,P0\nP1,2015-06-01,P0\n")
    rows = clinic_crosswalk(str(path), KEY).to_pylist()
    assert [(row["patient"], row["patient_id"]) for row in rows] == [
        (KEY.pseudonym("patient", name), name) for name in ("P0", "P1", "P2")
    ]
    assert not any(row["image_ids"] for row in rows)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("patient,visit_date,rf\nP1,2015-05-01,Doe^Jane\n", "a value in rf that is not a number (31.5)"),
        ("patient,visit_date\nP1,01.05.2015 Doe^Jane\n", "not a date (YYYY-MM-DD)"),
        ("patient,visit_date,sex\nP1,2015-05-01,Doe^Jane\n", "none of F, M, O"),
        ("patient,visit_date\n,2015-05-01\n", "rows without patient"),
        ("patient,visit_date\nDoe^Jane,\n", "visit_date has 1 empty values"),
        ("patient,visit_date,rff\nP1,2015-05-01,1\n", "did you mean rf?"),
    ],
)
def test_a_clinic_table_that_does_not_fit(path: Path, text: str, words: str) -> None:
    path.write_text(text)
    with pytest.raises(RajobsError) as refused:
        read_clinic(str(path), KEY)
    assert words in str(refused.value) and SECRET not in str(refused.value)
