"""rajobs phantom: draw a cohort and write its archives."""

from rajobs.jobs import say
from rajobs.phantoms.likeness import read_predictions, write_like, wrong_scans
from rajobs.phantoms.write import PhantomSummary, write_phantoms
from rajobs.records.errors import UsageError

PATIENTS = 24
PICTURES = {"films": 9, "ultrasound": 4, "clinic": 0, None: 13}  # of a patient, over the visits, more or less


def phantom(
    out: str,
    *,
    patients: int | None = None,
    seed: int = 0,
    damage: float = 0.05,
    only: str | None = None,
    size: str = "FULL",
    difficulty: str = "standard",
    like: str | None = None,
) -> None:
    """Draw and write, telling how far it is; `patients` is 24, or a drawing for each error, if not said."""
    if like is not None:
        if only not in (None, "ultrasound"):
            raise UsageError(f"only ultrasound is drawn like other images; leave --only {only} away")
        drawings = len(wrong_scans(read_predictions(like)[0])) if patients is None else patients
        with say.Progress("scans drawn", drawings) as progress:
            summary = write_like(
                out, like, drawings=drawings, seed=seed, progress=lambda done: progress.step(done - progress.done)
            )
    else:
        patients = PATIENTS if patients is None else patients
        with say.Progress("pictures drawn", patients * PICTURES.get(only, 0)) as progress:
            summary = write_phantoms(
                out, patients=patients, seed=seed, damage=damage, only=only, size=size, difficulty=difficulty,
                progress=lambda done: progress.step(done - progress.done),
            )  # fmt: skip
    _tell(out, summary, clinic=like is None and only in (None, "clinic"))


def _tell(out: str, summary: PhantomSummary, *, clinic: bool) -> None:
    if summary.already:
        say.line(f"nothing to do: {out} holds this phantom already")
        return
    say.table("drawn", {"pictures": summary.pictures, "files": summary.objects, **summary.fates})
    if summary.pictures:
        say.line(f"archives: {out}/archives  labels: {out}/labels.csv  a look: {out}/contact.png")
    if clinic:
        say.line(f"clinic: {out}/clinic.csv")
