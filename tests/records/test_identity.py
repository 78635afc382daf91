"""Pseudonyms and shifted dates reveal nothing of the patient or of the key."""

from datetime import date, timedelta

import pytest

from rajobs.records.errors import BadKey
from rajobs.records.identity import SHIFT_DAYS, Key, is_placeholder, patient_name, split_patient

KEY = Key(secret=b"0123456789abcdef0123456789abcdef")
OTHER = Key(secret=b"fedcba9876543210fedcba9876543210")


def test_a_pseudonym_depends_on_key_domain_and_value() -> None:
    name = KEY.pseudonym("patient", "Doe^Jane")
    assert name == KEY.pseudonym("patient", "Doe^Jane") and len(name) == 24 and "Doe" not in name
    others = {
        KEY.pseudonym("uid", "Doe^Jane"),
        KEY.pseudonym("patient", "Doe^John"),
        OTHER.pseudonym("patient", "Doe^Jane"),
        KEY.pseudonym("patien", "t:Doe^Jane"),
        KEY.pseudonym("patient:Doe", "^Jane"),
    }
    assert len(others) == 5 and name not in others


def test_a_patient_s_dates_move_back_together() -> None:
    first, gap = date(2015, 5, 1), timedelta(days=400)
    shifts = {first - KEY.shift(f"patient {n}", first) for n in range(50)}
    assert len(shifts) > 40 and all(1 <= shift.days <= SHIFT_DAYS for shift in shifts)
    assert KEY.shift("a", first + gap) - KEY.shift("a", first) == gap
    assert KEY.shift("a", date(1, 1, 1)) == date.min


def test_a_patient_s_id_belongs_to_who_issued_it() -> None:
    names = [patient_name("1234", issuer) for issuer in (None, "KIS A", "KIS B")]
    assert names == ["1234", "1234^^^KIS A", "1234^^^KIS B"]
    assert [split_patient(name) for name in names] == [("1234", None), ("1234", "KIS A"), ("1234", "KIS B")]
    assert split_patient("Doe^Jane") == ("Doe^Jane", None)


def test_ids_that_stand_for_nobody_are_known() -> None:
    for name in ("ANON", "anonymous^^^KIS", "Unknown", "N/A", "00000000", "----", "xxxx", "123456789", "TEST-PATIENT"):
        assert is_placeholder(name), name
    for name in ("1", "77", "ANON-0017", "1234", "P123456", "Doe^Jane", "Testa", "20151111"):
        assert not is_placeholder(name), name


def test_the_key_shows_nowhere_and_its_fingerprint_is_no_part_of_it() -> None:
    assert "0123456789" not in repr(KEY) and "0123456789" not in str(vars(KEY).keys())
    assert KEY.fingerprint != OTHER.fingerprint and KEY.fingerprint not in KEY.secret.decode()


def test_a_key_comes_from_the_environment_or_an_error_says_how_to_make_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SITE_KEY", KEY.secret.decode())
    assert Key.from_environment("SITE_KEY") == KEY
    monkeypatch.setenv("SITE_KEY", "tooshort")
    with pytest.raises(BadKey, match="has 8 characters, fewer than 32; make one with: export SITE_KEY=") as short:
        Key.from_environment("SITE_KEY")
    assert "tooshort" not in str(short.value)
    monkeypatch.delenv("SITE_KEY")
    with pytest.raises(BadKey, match="no key in SITE_KEY; make one with"):
        Key.from_environment("SITE_KEY")
