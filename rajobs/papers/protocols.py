"""What is run of each paper: its studies' published recipes, each in the paper's protocol and in the clean one."""

import tomllib
from dataclasses import dataclass
from importlib.resources import files

from rajobs import studies
from rajobs.learning.recipe import Recipe
from rajobs.learning.study import Study
from rajobs.papers.paper_data import PAPERS
from rajobs.records.errors import UnknownName

PUBLISHED, CLEAN = "published", "clean"
APART = "apart"  # both modes side by side, paired
MISSING = "missing.json"  # of a run: by mode, why the data do not allow it


@dataclass(frozen=True, kw_only=True)
class PaperRun:
    """One recipe of a study, trained and judged in each mode."""

    paper: str
    name: str  # unique within the paper
    what: str  # in words
    study: str
    recipe: str
    modes: tuple[str, ...] = (PUBLISHED, CLEAN)
    end_to_end: bool = False  # whether models place the joints, too

    @property
    def place(self) -> str:
        """Its folder within OUT."""
        return f"runs/{self.paper}/{self.name}"

    @property
    def checks(self) -> tuple[str, ...]:
        """The folders within its own in which its figures lie: one for each mode, and one where modes are compared."""
        return (*self.modes, *((APART,) if len(self.modes) > 1 else ()))

    @property
    def declared_study(self) -> Study:
        """The study as this recipe answers it."""
        study = studies.find(self.study)
        return study.for_recipe(study.recipe(self.recipe))

    @property
    def declared_recipe(self) -> Recipe:
        return studies.find(self.study).recipe(self.recipe)

    @property
    def is_heavy(self) -> bool:
        """Whether its recipe is meant for a GPU."""
        return self.declared_recipe.heavy


def read_protocol(paper: str) -> tuple[PaperRun, ...]:
    """What is run of a paper."""
    document = tomllib.loads((files("rajobs.papers") / f"{paper}.toml").read_text(encoding="utf-8"))
    return tuple(
        PaperRun(paper=paper, **{**entry, "modes": tuple(entry.get("modes", (PUBLISHED, CLEAN)))})
        for entry in document["run"]
    )


def choose_papers(only: tuple[str, ...]) -> tuple[str, ...]:
    """The papers of these numbers, or all; UnknownName for one that does not exist."""
    for number in only:
        if number not in PAPERS:
            raise UnknownName.among("paper", number, PAPERS)
    return tuple(paper for paper in PAPERS if not only or paper in only)
