"""The error tree is the one in the docstring, and each error has an exit status."""

import inspect

import pytest

from rajobs.records import errors


def test_the_tree_in_the_docstring_is_the_real_one() -> None:
    kinds = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, Exception)]
    assert all(kind.__name__ in (errors.__doc__ or "") for kind in kinds)
    run_errors = [kind for kind in kinds if kind is not errors.Reject]
    assert all(issubclass(kind, errors.RajobsError) for kind in run_errors)
    assert not issubclass(errors.Reject, errors.RajobsError), "a file's fate must not end a job"
    assert {kind.__name__ for kind in run_errors if kind.status == 2} == {
        kind.__name__ for kind in run_errors if issubclass(kind, errors.UsageError)
    }


def test_a_name_that_is_unknown_is_answered_with_the_nearest() -> None:
    known = ("hand_filter", "svdh_scoring")
    assert "did you mean hand_filter?" in str(errors.UnknownName.among("study", "hand_filtr", known))
    assert "there are: hand_filter, svdh_scoring" in str(errors.UnknownName.among("study", "zzz", known))


def test_a_reject_has_a_reason_of_the_closed_list() -> None:
    assert errors.Reject("truncated", "decode", "12 of 20 bytes").reason == "truncated"
    with pytest.raises(AssertionError):
        errors.Reject("looked odd", "decode")
