"""The command line answers quickly; a mistake ends in one line with its mend and an exit status, and writes nothing."""

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rajobs import __version__, studies
from rajobs.__main__ import cli, main
from rajobs.records.manifest import claim, put_manifest, to_json
from rajobs.records.store import open_store

KEY = "a key for tests alone, drawn by nobody"
HELP_SECONDS = 0.3  # of CPU time
HELP = """
import sys
from rajobs.__main__ import main
main(["--help"])
heavy = ("ray", "torch", "numpy", "pyarrow", "pydicom", "boto3")
print([name for name in heavy if name in sys.modules], file=sys.stderr)
"""


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment with nothing but a key, and a Ray that must not start."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "RAJOBS_")) or name == "RAY_ADDRESS"]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("RAJOBS_KEY", KEY)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a mistake started Ray")

    monkeypatch.setattr("rajobs.jobs.cluster.connected", refuse)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a source of one file, and places with other content."""
    for name, content in (("src/a.txt", b"no image"), ("holiday/beach.jpg", b"no table"), ("file", b"no folder")):
        open_store(tmp_path).put(name, content)
    claim(open_store(tmp_path / "scored"), "score", {"key": "k"})
    (tmp_path / "near.csv").write_text("image,study,target,valu\n1.2.3,hand_filter,view,both\n")
    (tmp_path / "typo.csv").write_text("image,study,target,value\n1.2.3,hand_filtre,view,both\n")
    (tmp_path / "latin.toml").write_bytes("[training]\n# größe\n".encode("latin-1"))
    member = 'members = [{ name = "n", architecture = "compact" }]\n'
    space = 'study = "hand_filter"\n[axes]\n'
    for name, text in (
        ("nan", f"{member}[training]\nlearning_rate = nan"),
        ("slash", member.replace('"n"', '"../n"')),
        ("deep", f"a = {'[' * 3000}{']' * 3000}"),
        ("wide", member.replace(" }]", ", settings.width = 1000000000 }]")),
        ("inf", f'{space}"training.learning_rate" = {{ low = 1e-4, high = inf }}'),
    ):
        (tmp_path / f"{name}.toml").write_text(text)
    return tmp_path


def snapshot(place: Path) -> dict[str, str]:
    return {entry.key: entry.etag for entry in open_store(place).list()}


def mistake(line: str, place: Path, capsys: pytest.CaptureFixture[str], status: tuple[int, ...] = (2,)) -> str:
    """The message about a wrong command line, after a check that the command has written nothing."""
    before = snapshot(place)
    with pytest.raises(SystemExit) as ended:
        main([word.replace("@", str(place)) for word in line.split()])
    message = capsys.readouterr().err
    assert ended.value.code in status, message
    assert message.startswith("rajobs: ") and message.count("\n") == 1 and "Traceback" not in message
    assert snapshot(place) == before and KEY not in message
    return message


def test_help_is_quick_and_imports_nothing_heavy() -> None:
    spent = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run([sys.executable, "-m", "rajobs", "--help"], capture_output=True, text=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(spent) <= HELP_SECONDS, spent
    assert all(f"\n  {name} " in done.stdout for name in cli.commands)
    asked = subprocess.run([sys.executable, "-c", HELP], capture_output=True, text=True, check=True)
    assert asked.stderr == "[]\n"


@pytest.mark.parametrize("name", cli.commands)
def test_every_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    main([name, "--help"])
    output = capsys.readouterr().out
    assert output.startswith(f"Usage: rajobs {name}")
    options = [p for p in cli.commands[name].params if isinstance(p, click.Option)]
    assert all(option.opts[0] in output for option in options)


def test_studies_lists_all_and_describes_one(capsys: pytest.CaptureFixture[str]) -> None:
    main(["studies"])
    assert all(name in capsys.readouterr().out for name in studies.names()[:1])
    for name in studies.names():
        main(["studies", name])
        output, study = capsys.readouterr(), studies.find(name)
        option, header = ("--clinic", "patient,") if study.rows.table == "clinic" else ("--labels", "image,side,study,")
        assert all(target.name in output.err for target in study.targets) and option in output.err
        assert output.out.startswith(header), "`rajobs studies NAME > template.csv` writes a CSV"
    main(["--version"])
    assert __version__ in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("trian", "No such command 'trian'"),
        ("train", "Missing argument 'STUDY'"),
        ("train hand_filter @/src @/out --recip x", "--recipe"),
        ("ingest @/src @/out --centre St.John's", "--centre must be a short word of letters, digits, - and _"),
        ("train hand_filter @/src @/out --seed x", "'x' is not a valid integer"),
        ("train hand_filtr @/src @/out", "unknown study 'hand_filtr'; did you mean hand_filter?"),
        ("tune hand_filtr @/src @/out", "did you mean hand_filter?"),
        ("evaluate hand_filtr @/src @/src @/out", "did you mean hand_filter?"),
        ("evaluate hand_filter @/src builtin @/out --mode clena", "unknown mode 'clena'; did you mean clean?"),
        (
            "evaluate joint_detection @/src builtin @/out --end-to-end",
            "cut out where joints lie (ra_recognition, ra_staging, svdh_scoring), not for joint_detection",
        ),
        (
            "evaluate ra_staging @/src builtin @/out --review-error 1",
            "scores add up to totals (svdh_scoring), not for ra",
        ),
        ("evaluate svdh_scoring @/src @/src @/out --end-to-end --predictions @/p", "leave --predictions out"),
        ("studies hand_filtr", "did you mean hand_filter?"),
        ("sheet hand_filtr @/src @/out", "did you mean hand_filter?"),
        ("sheet clinical_array @/src @/out", "has no pictures to score"),
        ("sheet hand_filter @/src @/out --order doubts", "unknown order 'doubts'; did you mean doubt?"),
        ("sheet hand_filter @/src @/out --order doubt", "--order doubt needs --tables TABLES"),
        ("sheet hand_filter @/src @/out --as xls", "unknown kind of sheet 'xls'"),
        ("sheet hand_filter @/src @/out --patients 0", "--patients must be 1 or more, not 0"),
        ("sheet hand_filter @/src @/out --readers anna,anna", "--readers takes different short names"),
        ("sheet hand_filter @/src @/out --double 0.2", "--double needs two readers"),
        ("sheet hand_filter @/src @/out --double 2", "--double must lie between 0 and 1, not be 2"),
        ("train hand_filter @/src @/out --recipe publishd", "did you mean published?"),
        ("train hand_filter @/src @/out --budget 3", "--budget must be above 0 and at most 1"),
        ("phantom @/out --seed -1", "--seed must be 0 or more, not -1"),
        ("phantom @/out --like @/p.parquet --only films", "leave --only films out"),
        (
            "phantom @/out --like @/p.parquet --damage 0.05 --size FULL",
            "--like has no use for --damage and --size; leave",
        ),
        ("phantom @/out --like @/p.parquet --difficulty hard", "--like has no use for --difficulty; leave"),
        ("ingest @/src @/out --labels @/near.csv", "lacks value; it has image, study, target, valu"),
        ("ingest @/src @/out --labels @/typo.csv", "typo.csv, row 2: an unknown study; did you mean hand_filter?"),
        ("ingest @/src @/out --replace-labels", "name the new ones with --labels FILE"),
        ("ingest @/src @/out --max-rejects 3", "--max-rejects must lie between 0 and 1"),
        ("ingest @/src @/out --pictures xray", "ultrasound or radiograph"),
        ("ingest @/src @/out --ultrasound-regions some", "tagged or all"),
        ("ingest @/src @/out --key-env NOBODYS_KEY", "export NOBODYS_KEY=$(python3 -c"),
        ("ingest @/src @/scored", "holds the output of rajobs score, not of ingest; choose another OUT"),
        ("ingest @/src @/holiday", "choose an empty place for OUT"),
        ("train hand_filter @/src @/out --recipe @/latin.toml", "latin.toml"),
        ("tune hand_filter @/src @/out --space @/latin.toml", "latin.toml"),
        (
            "train hand_filter @/src @/out --recipe @/nan.toml",
            "learning_rate must lie between 1e-12 and 100, not be nan",
        ),
        ("train hand_filter @/src @/out --recipe @/slash.toml", "a member's name has letters, digits, - and _"),
        ("train hand_filter @/src @/out --recipe @/wide.toml", "width of compact must lie between 1 and 1,024"),
        ("train hand_filter @/src @/out --recipe @/deep.toml", "the recipe is nested too deeply"),
        ("tune hand_filter @/src @/out --space @/deep.toml", "the space is nested too deeply"),
        ("tune hand_filter @/src @/out --space @/inf.toml", "learning_rate must lie between 1e-12 and 100, not be inf"),
    ],
)
def test_wrong_use_is_named_with_its_mend(
    line: str, words: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert words in mistake(line, place, capsys)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("train hand_filter @/src @/out", "holds no finished ingest; run `rajobs ingest SRC"),
        ("tune hand_filter @/src @/out", "holds no finished ingest; run `rajobs ingest SRC"),
        ("evaluate hand_filter @/src @/src @/out", "holds no finished ingest; run `rajobs ingest SRC"),
        ("score @/src @/src @/out", "holds no finished ingest; run `rajobs ingest SRC"),
        ("sheet hand_filter @/src @/out", "holds no finished ingest; run `rajobs ingest SRC"),
        ("train hand_filter @/src @/out --recipe @/none.toml", "there is no recipe file"),
        ("tune hand_filter @/src @/out --space @/none.toml", "there is no space file"),
        ("ingest @/nothing @/out", "there is nothing at"),
        ("ingest @/src @/out --labels @/none.csv", "there is no labels file"),
        ("ingest @/src @/file/out", "Not a directory"),
        ("ingest gs://bucket/films @/out", "use a local path or s3://bucket/prefix"),
    ],
)
def test_a_missing_place_is_named(line: str, words: str, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert words in mistake(line, place, capsys, status=(1, 2))


def test_a_key_that_is_too_short_is_not_repeated(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAJOBS_KEY", "swordfish")
    message = mistake("ingest @/src @/out", place, capsys)
    assert "has 9 characters, fewer than 32" in message and "swordfish" not in message


@pytest.mark.parametrize(
    "line", ["ingest s3://films/2015 @/out", "ingest @/src s3://films/out", "score s3://d @/src @/out"]
)
def test_a_server_that_does_not_answer_is_named_soon(
    line: str, place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "reader")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    start = time.monotonic()
    message = mistake(line, place, capsys, status=(1, 2))
    assert "http://127.0.0.1:9" in message and "is the server up, and AWS_ENDPOINT_URL right?" in message
    assert time.monotonic() - start < 15


def test_an_endpoint_without_a_scheme_is_named(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "localhost:9000")
    message = mistake("ingest s3://films/2015 @/out", place, capsys)
    assert "localhost:9000 is no address; write AWS_ENDPOINT_URL with its scheme, as http://host:9000" in message


def heeds(process: int, number: signal.Signals) -> bool:
    """Whether a process has a handler of a signal."""
    status = Path(f"/proc/{process}/status").read_text()
    return bool(int(status.partition("SigCgt:")[2].split()[0], 16) >> number - 1 & 1)


@pytest.mark.parametrize("background", [False, True], ids=["as in a terminal", "as in a shell's background"])
def test_sigterm_ends_a_job_like_ctrl_c(tmp_path: Path, background: bool) -> None:
    """A shell that starts a job in the background has it ignore Ctrl-C, but not SIGTERM."""
    way = signal.SIG_IGN if background else signal.default_int_handler
    before = signal.signal(signal.SIGINT, way)
    try:
        command = [sys.executable, "-m", "rajobs", "phantom", str(tmp_path / "out"), "--patients", "2000"]
        job = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    finally:
        signal.signal(signal.SIGINT, before)
    try:
        end = time.monotonic() + 120
        while not heeds(job.pid, signal.SIGTERM) and time.monotonic() < end:
            time.sleep(0.05)
        job.send_signal(signal.SIGTERM)
        _, message = job.communicate(timeout=60)
    finally:
        job.kill()
    assert job.returncode == 130
    assert message.strip() == "rajobs: stopped; the same command continues from here"


def test_rajobs_without_a_command_shows_its_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([])
    output = capsys.readouterr()
    assert ended.value.code == 2 and f"{output.out}{output.err}".startswith("Usage: rajobs")


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """Outputs as schema 1 wrote them (an ingest, its ledger, scores, predictions), and a source and data of today."""
    for folder, job in (("data", "ingest"), ("tables", "score")):
        for name, more in (("run.json", {"key": "k"}), ("manifest.json", {"hash": "h", "counts": {}})):
            open_store(tmp_path / folder).put(name, to_json({"job": job, "schema": 1, **more}))
    hand = {"image_id": ["i"], "hand": [0], "patient": ["p"], "side": ["L"], "svdh_total": [3], "bundles": [["b"]]}
    parts: dict[str, tuple[str, dict[str, list[object]]]] = {
        "tables/hands/part-1.parquet": ("hands", hand),
        "ledger/crosswalk/part-1.parquet": ("crosswalk", {"source": ["s"], "path": ["p"], "image_ids": [["i"]]}),
        "predictions.parquet": ("predictions", {"image_id": ["i"], "hand": [0], "site": [""], "target": ["grade"]}),
    }
    for key, (table, columns) in parts.items():
        metadata = {"rajobs.table": table, "rajobs.schema": "1"}
        (tmp_path / key).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table(columns).replace_schema_metadata(metadata), tmp_path / key)
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a.txt").write_text("no image")
    (tmp_path / "ids.csv").write_text("image_id\ni\n")
    put_manifest(open_store(tmp_path / "new"), {"job": "ingest", "key": "k", "hash": "h"})
    return tmp_path


@pytest.mark.parametrize(
    ("line", "what", "job"),
    [
        ("ingest @/src @/data", "data", "ingest"),
        ("ingest @/src @/fresh --ledger @/ledger", "crosswalk at @/ledger", "ingest"),
        ("train hand_filter @/data @/out", "data", "ingest"),
        ("tune hand_filter @/data @/out", "data", "ingest"),
        ("evaluate hand_filter @/data builtin @/out", "data", "ingest"),
        ("score @/data builtin @/out", "data", "ingest"),
        ("score @/new builtin @/tables", "tables", "score"),
        ("status @/data", "data", "ingest"),
        ("status @/tables", "tables", "score"),
        ("link @/tables/hands @/ledger @/out.csv", "@/tables/hands", "score"),
        ("link @/ids.csv @/ledger @/out.csv", "crosswalk at @/ledger", "ingest"),
        ("phantom @/out --like @/predictions.parquet", "predictions at @", "evaluate"),
    ],
)
def test_outputs_of_schema_1_are_refused_and_what_to_run_is_named(
    line: str, what: str, job: str, old: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    message = mistake(line, old, capsys)
    assert f"{what.replace('@', str(old))} has schema 1, this version reads 2; run `rajobs {job}` again" in message
