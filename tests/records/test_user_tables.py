"""Tables that users bring: a mistake is named in one line that quotes no cell."""

from datetime import date
from pathlib import Path

import pytest

from rajobs.records.errors import RajobsError
from rajobs.records.identity import Key
from rajobs.records.tables.schemas import CROSSWALK, READERS
from rajobs.records.user_tables import clinic_crosswalks, read_clinic

KEY = Key(secret=b"0123456789abcdef0123456789abcdef")
SECRET = "Doe^Jane"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "table.csv"


def test_a_clinic_table_gets_pseudonyms(path: Path) -> None:
    path.write_text("patient,visit_date,rf,sex,L_MCP2_pd\nP1,2015-05-01,31.5,F,2\nP1,2015-06-01,,F,\n")
    table = read_clinic(str(path), KEY)
    first, second = table.to_pylist()
    assert first["patient"] == KEY.pseudonym("patient", "P1") == second["patient"]
    assert first["visit_date"] == KEY.shift("P1", date(2015, 5, 1)) != date(2015, 5, 1)
    assert (second["visit_date"] - first["visit_date"]).days == 31
    assert (first["rf"], first["L_MCP2_pd"], second["rf"]) == (31.5, 2.0, None)


def test_everybody_whom_a_clinic_table_names_is_in_the_ledger_and_nowhere_else(path: Path) -> None:
    path.write_text(
        "patient,visit_date,derived_from,reader\nP2,2015-05-01,,Dr Roe\nP1,2015-05-01,P0,\nP1,2015-06-01,P0,\n"
    )
    crosswalks = clinic_crosswalks(str(path), KEY)
    rows = crosswalks[CROSSWALK].to_pylist()
    assert [(row["patient"], row["patient_id"]) for row in rows] == [
        (KEY.pseudonym("patient", name), name) for name in ("P0", "P1", "P2")
    ]
    assert not any(row["image_ids"] for row in rows)
    (reader,) = crosswalks[READERS].to_pylist()
    clinic = read_clinic(str(path), KEY).to_pylist()
    assert reader["name"] == "Dr Roe" and [row["reader"] for row in clinic] == [reader["reader"], None, None]
    assert not {"Dr Roe", "P0", "P1", "P2"} & {value for row in clinic for value in row.values()}


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
