"""The page that `rajobs demo` ends in: the steps of the line, with the pages they led to."""

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from rajobs.reports.page import Section, Step, Steps, render

LEAD = (
    "From an archive of drawn films to a scored cohort, on this machine: "
    "the same commands, and the same code, as for a real archive on a cluster."
)


def demo_page(steps: Sequence[Mapping[str, Any]]) -> str:
    """The page.

    A step: `name`, `line` (a sentence), `counts` (words to number or text) and, where it has them, `png` (a picture),
    `href` (a page, relative to this one) and `link` (its words).
    """
    for step in steps:
        href = step.get("href")
        # A page that is copied elsewhere with its folder must still find the others.
        assert href is None or (":" not in href and not PurePosixPath(href).is_absolute()), href
    shown = tuple(
        Step(
            name=step["name"],
            line=step["line"],
            counts=tuple(step.get("counts", {}).items()),
            png=step.get("png"),
            href=step.get("href"),
            link=step.get("link", "Open the report"),
        )
        for step in steps
    )
    return render(
        "rajobs: the whole line on phantoms", LEAD, [Section(title="Step by step", parts=(Steps(steps=shown),))]
    )
