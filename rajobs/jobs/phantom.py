"""rajobs phantom: draw a cohort and write its archives."""

from rajobs.jobs import say
from rajobs.phantoms.write import write_phantoms
from rajobs.records.errors import NotThereYet

FILMS = 9  # of a patient, over the visits, more or less


def phantom(
    out: str,
    *,
    patients: int = 24,
    seed: int = 0,
    damage: float = 0.05,
    only: str | None = None,
    size: str = "FULL",
    difficulty: str = "standard",
    like: str | None = None,
) -> None:
    """Draw and write, telling how far it is."""
    if like is not None:
        raise NotThereYet("this version cannot draw images like a table's errors; leave --like out")
    with say.Progress("films drawn", patients * FILMS) as progress:
        summary = write_phantoms(
            out, patients=patients, seed=seed, damage=damage, only=only, size=size, difficulty=difficulty,
            progress=lambda done: progress.step(done - progress.done),
        )  # fmt: skip
    if summary.already:
        say.line(f"nothing to do: {out} holds this phantom already")
        return
    say.table("drawn", {"pictures": summary.pictures, "files": summary.objects, **summary.fates})
    if summary.pictures:
        say.line(f"archives: {out}/archives  labels: {out}/labels.csv  a look: {out}/contact.png")
    if only in (None, "clinic"):
        say.line(f"clinic: {out}/clinic.csv")
