"""rajobs phantom: draw a cohort and write its archives."""

from collections.abc import Mapping

from rajobs.jobs import console
from rajobs.phantoms.likeness import read_predictions, write_like, wrong_scans
from rajobs.phantoms.write import PhantomSummary, write_phantoms
from rajobs.records.errors import UsageError

PATIENTS = 24
DAMAGE = 0.05
SIZE = "FULL"
DIFFICULTY = "standard"
PICTURES = {"films": 9, "ultrasound": 4, "clinic": 0, None: 13}  # pictures per patient over all visits, roughly
HAND_FILMS = 3  # of these


def phantom(
    out: str,
    *,
    patients: int | None = None,
    seed: int = 0,
    damage: float | None = None,
    only: str | None = None,
    size: str | None = None,
    difficulty: str | None = None,
    repeats: bool = False,
    like: str | None = None,
) -> None:
    """Draw and write with a progress bar. By default `patients` is 24; with `like`, one drawing per error."""
    if seed < 0:
        raise UsageError(f"--seed must be 0 or more, not {seed}")
    if like is not None:
        _check_like(only, {
            "--damage": damage, "--size": size, "--difficulty": difficulty, "--repeats": repeats or None,
        })  # fmt: skip
        drawings = len(wrong_scans(read_predictions(like)[0])) if patients is None else patients
        with console.Progress("scans drawn", drawings) as progress:
            summary = write_like(
                out, like, drawings=drawings, seed=seed, on_progress=lambda done: progress.step(done - progress.done)
            )
    else:
        patients = PATIENTS if patients is None else patients
        pictures = PICTURES.get(only, 0) + (HAND_FILMS if repeats else 0)
        with console.Progress("pictures drawn", patients * pictures) as progress:
            summary = write_phantoms(
                out, patients=patients, seed=seed, damage=DAMAGE if damage is None else damage, only=only,
                size=SIZE if size is None else size, difficulty=DIFFICULTY if difficulty is None else difficulty,
                repeats=repeats,
                on_progress=lambda done: progress.step(done - progress.done),
            )  # fmt: skip
    _print_summary(out, summary, clinic=like is None and only in (None, "clinic"))


def _check_like(only: str | None, options: Mapping[str, object]) -> None:
    """Refuse options that --like has no use for: its drawings have the images' own size, and no file is damaged."""
    if only not in (None, "ultrasound"):
        raise UsageError(f"only ultrasound is drawn like other images; leave --only {only} out")
    unused = [name for name, value in options.items() if value is not None]
    if unused:
        raise UsageError(f"--like has no use for {' and '.join(unused)}; leave it out")


def _print_summary(out: str, summary: PhantomSummary, *, clinic: bool) -> None:
    if summary.already:
        console.line(f"nothing to do: {out} holds this phantom already")
        return
    console.table("drawn", {"pictures": summary.pictures, "files": summary.objects, **summary.fates})
    if summary.pictures:
        console.line(f"archives: {out}/archives  labels: {out}/labels.csv  a look: {out}/contact.png")
    if clinic:
        console.line(f"clinic: {out}/clinic.csv")
