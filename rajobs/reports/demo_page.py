"""The page that `rajobs demo` ends with: the steps of the pipeline, with links to the pages that they made."""

from collections.abc import Sequence
from pathlib import PurePosixPath

from rajobs.reports.page import Section, Step, Steps, render

LEAD = (
    "From an archive of drawn films to a scored cohort, on this machine, "
    "with the same commands and the same code as for a real archive on a cluster."
)


def demo_page(steps: Sequence[Step]) -> str:
    """The page as HTML."""
    for href in (step.href for step in steps if step.href is not None):
        # If the page is copied elsewhere with its folder, its links must still work.
        assert ":" not in href and not PurePosixPath(href).is_absolute(), href
    section = Section(title="Step by step", parts=(Steps(steps=tuple(steps)),))
    return render("rajobs: the whole pipeline on phantoms", LEAD, [section])
