"""Jobs that write a model, an evaluation, sheets or the demo take the lease of their OUT, and give it back."""

from pathlib import Path

import pytest

from rajobs.__main__ import main
from rajobs.records.errors import LeaseLost
from rajobs.records.store import lease, open_store

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("here")]


def check_lease(place: Path, command: list[str], job: str, capsys: pytest.CaptureFixture[str]) -> None:
    """While another driver is at work on a place the command is refused; it may take over, and the other stops."""
    store = open_store(place)
    with lease.hold(store, job) as late:
        before = sorted(entry.key for entry in store.list())
        with pytest.raises(SystemExit) as refused:
            main(command)
        (line,) = capsys.readouterr().err.splitlines()[-1:]
        assert refused.value.code == 2 and f"is being written by rajobs {job} on" in line and "--take-over" in line
        assert sorted(entry.key for entry in store.list()) == before
        main([*command, "--take-over"])
        with pytest.raises(LeaseLost):
            late.check(now=True)
    assert lease.describe(store) is None
    capsys.readouterr()
    main(command)
    assert "nothing to do" in capsys.readouterr().out


def test_train_evaluate_and_sheet_take_the_lease_of_their_place(
    data: Path, models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (model,) = models.glob("hand_filter/*")
    place = tmp_path / "models" / "hand_filter" / model.name
    train = ["train", "hand_filter", str(data), str(tmp_path / "models"), "--budget", "0.1"]
    check_lease(place, train, "train", capsys)
    assert {path.name for path in place.glob("*.json")} == {"bundle.json"}
    judged, sheets = tmp_path / "judged", tmp_path / "sheets"
    check_lease(judged, ["evaluate", "hand_filter", str(data), str(models), str(judged)], "evaluate", capsys)
    sheet = ["sheet", "hand_filter", str(data), str(sheets), "--patients", "1", "--as", "csv"]
    check_lease(sheets, sheet, "sheet", capsys)


def test_the_demo_takes_the_lease_of_its_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with lease.hold(open_store(tmp_path), "demo"):
        with pytest.raises(SystemExit) as refused:
            main(["demo", str(tmp_path)])
        assert refused.value.code == 2 and "is being written by rajobs demo on" in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} == {"lease"}
