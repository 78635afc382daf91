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
PICTURES = {"films": 9, "ultrasound": 4, "clinic": 0, None: 13}  # of a patient, over the visits, more or less


def phantom(
    out: str,
    *,
    patients: int | None = None,
    seed: int = 0,
    damage: float | None = None,
    only: str | None = None,
    size: str | None = None,
    difficulty: str | None = None,
    like: str | None = None,
) -> None:
    """Draw and write, telling how far it is; `patients` is 24, or a drawing for each error, if not said."""
    if seed < 0:
        raise UsageError(f"--seed must be 0 or more, not {seed}")
    if like is not None:
        _check_like(only, {"--damage": damage, "--size": size, "--difficulty": difficulty})
        drawings = len(wrong_scans(read_predictions(like)[0])) if patients is None else patients
        with console.Progress("scans drawn", drawings) as progress:
            summary = write_like(
                out, like, drawings=drawings, seed=seed, on_progress=lambda done: progress.step(done - progress.done)
            )
    else:
        patients = PATIENTS if patients is None else patients
        with console.Progress("pictures drawn", patients * PICTURES.get(only, 0)) as progress:
            summary = write_phantoms(
                out, patients=patients, seed=seed, damage=DAMAGE if damage is None else damage, only=only,
                size=SIZE if size is None else size, difficulty=DIFFICULTY if difficulty is None else difficulty,
                on_progress=lambda done: progress.step(done - progress.done),
            )  # fmt: skip
    _tell(out, summary, clinic=like is None and only in (None, "clinic"))


def _check_like(only: str | None, given: Mapping[str, object]) -> None:
    """Drawings like images have those images' size and manner, and all their files are sound."""
    if only not in (None, "ultrasound"):
        raise UsageError(f"only ultrasound is drawn like other images; leave --only {only} away")
    idle = [name for name, value in given.items() if value is not None]
    if idle:
        raise UsageError(f"--like has no use for {' and '.join(idle)}; leave that away")


def _tell(out: str, summary: PhantomSummary, *, clinic: bool) -> None:
    if summary.already:
        console.line(f"nothing to do: {out} holds this phantom already")
        return
    console.table("drawn", {"pictures": summary.pictures, "files": summary.objects, **summary.fates})
    if summary.pictures:
        console.line(f"archives: {out}/archives  labels: {out}/labels.csv  a look: {out}/contact.png")
    if clinic:
        console.line(f"clinic: {out}/clinic.csv")
