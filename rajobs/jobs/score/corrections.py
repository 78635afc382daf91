"""What a reader may correct on score's page: the answers about a film, hand or joint, each as the line of a label."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from rajobs.imaging.hand_geometry import POSITION_STUDY
from rajobs.imaging.rows import EXTREMITIES, JOINTS, RowKind
from rajobs.jobs.ingest.label_vocabulary import label_vocabulary
from rajobs.jobs.score.steps import Record, ScoreSteps
from rajobs.learning.targets import NO, YES
from rajobs.records.label_consensus import PRESENT
from rajobs.reports.page import Correction
from rajobs.reports.score.hand_sections import Place
from rajobs.reports.score.tallies import ShownFilm, ShownHand
from rajobs.reports.wording import humanize


def film_corrections(steps: ScoreSteps, films: Iterable[ShownFilm]) -> dict[str, tuple[Correction, ...]]:
    """What the filter answered about films, by image_id."""
    if steps.filter is None:
        return {}
    study = steps.filter.name
    labels = label_vocabulary()[study]
    return {
        film.image_id: tuple(
            Correction(
                name=humanize(target), start=f"{film.image_id},,{study},{target},,", values=label.sites[""],
                answer=film.view if film.view in label.sites[""] else "",
            )
            for target, label in labels.items()
        )
        for film in films
    }  # fmt: skip


def hand_corrections(
    steps: ScoreSteps, hands: Mapping[Place, ShownHand], joints: Mapping[Place, Sequence[Record]]
) -> dict[Place, tuple[Correction, ...]]:
    """What models answered about hands and their joints that were seen."""
    return {place: tuple(_corrections_of_hand(steps, hand, joints[place])) for place, hand in hands.items()}


def _corrections_of_hand(steps: ScoreSteps, hand: ShownHand, joints: Sequence[Record]) -> Iterator[Correction]:
    start = f"{hand.image_id},{hand.side or ''}"
    for target, line, values, answer in _answers(steps, EXTREMITIES, vars(hand), ""):
        yield Correction(name=humanize(target), start=f"{start},{line}", values=values, answer=answer)
    for joint in (row for row in joints if row["box"]):
        site = joint["site"]
        for target, line, values, answer in _answers(steps, JOINTS, joint, site):
            yield Correction(name=humanize(f"{site} {target}"), start=f"{start},{line}", values=values, answer=answer)
        place = f"{start},{POSITION_STUDY},{PRESENT},{site},"
        yield Correction(name=humanize(f"{site} {PRESENT}"), start=place, values=(NO, YES), answer=YES)


def _answers(
    steps: ScoreSteps, rows: RowKind, record: Record, site: str
) -> Iterator[tuple[str, str, tuple[str, ...], str]]:
    """Each target that was answered: its name, its label's line without image, side and value, values, and answer."""
    vocabulary = label_vocabulary()
    for study in steps.filling(rows):
        assert study.scores is not None, study.name
        for columns in study.scores.columns:
            values = vocabulary[study.name][columns.target].sites.get(site, ())
            if values and any(record.get(name) is not None for name in columns.names):
                answer = record.get(columns.answer or "")
                line = f"{study.name},{columns.target},{site},"
                yield columns.target, line, values, "" if answer is None else str(answer)
