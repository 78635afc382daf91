"""The sections of evaluate's page that a trial asks for."""

from rajobs.learning.judging.trial_facts import TrialFacts
from rajobs.reports.page import Section
from rajobs.reports.trial.progression import progression_sections
from rajobs.reports.trial.reader_totals import reader_total_sections
from rajobs.reports.trial.strata import strata_sections


def trial_sections(facts: TrialFacts, drawn: dict[str, bytes]) -> list[Section]:
    """Changes between visits, totals by reader, and strata; the figures' PNG are added to `drawn`."""
    changes = progression_sections(facts.detectable, facts.progressions, drawn) if facts.detectable else []
    return [*reader_total_sections(facts.readings, facts.totals, drawn), *changes, *strata_sections(facts.strata)]
