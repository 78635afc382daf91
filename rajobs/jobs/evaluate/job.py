"""rajobs evaluate: a study's bundles asked about the rows that were kept from them, with figures and a page."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rajobs import studies
from rajobs.imaging.coding import preview
from rajobs.imaging.rows import Row
from rajobs.jobs import builtin, console
from rajobs.jobs.train.dataset import (
    LabelledData,
    build_dataset,
    frozen_split,
    open_labelled_data,
    prepare,
    read_clinic_visits,
)
from rajobs.learning import tabular_baseline
from rajobs.learning.bundle import Model, find_bundles, read_description
from rajobs.learning.comparison import Comparison
from rajobs.learning.ensemble import LEARNING_PARTS, Dataset, P, dissent, mean_of_known, target_as_learnt
from rajobs.learning.evaluation import Evaluation, evaluate_model, figures
from rajobs.learning.reader_agreement import compare_readers
from rajobs.learning.recipe import from_dict
from rajobs.learning.study import Study
from rajobs.learning.targets import MISSING, encode, predicted
from rajobs.learning.training.loop import Numbers
from rajobs.records import metrics
from rajobs.records.errors import BadTable, DataError, StoreError, UsageError
from rajobs.records.manifest import check_claim, claim, to_json
from rajobs.records.splits import check_mode
from rajobs.records.store import Store, absolute, open_store, split_uri
from rajobs.records.tables.parquet_parts import check_predictions, list_parts, read_file, read_part, to_parquet
from rajobs.records.tables.schemas import HISTORY, IMAGES, PREDICTIONS, SPLIT
from rajobs.reports.evaluation_page import EvaluationFacts, ModelFacts, evaluation_page, wrong_answers

PAGE = "report.html"
PICTURE = 256  # side of a visit's picture on the page


@dataclass(frozen=True, kw_only=True)
class EvaluateRequest:
    """What a person asks of evaluate."""

    study: str
    data: str
    models: str
    out: str
    mode: str = "clean"
    predictions: str | None = None
    ray: str | None = None


def evaluate(order: EvaluateRequest) -> str:
    """Judge the bundles together, on the test part where they learnt on these data, else on all labelled rows; the
    place of the page. Done work is not done again."""
    study = studies.find(order.study)
    check_mode(order.mode)
    if not study.targets:
        study = study.asked(study.recipe("default"))
    source = open_labelled_data(order.data, study)
    store = open_store(order.out)
    held = [] if order.predictions else _found(order, study)
    if order.predictions or any(bundle["key"] == source.key for bundle in held):
        split, split_hash = frozen_split(source, order.mode)
    else:  # no model has a split of these data: all of it judges
        split, split_hash = SPLIT.rows([]), ""
    bundles = _fair(order, source, held, split_hash)
    if not order.predictions:
        study = study.answered({name for bundle in bundles for name in _answered(study, bundle)})
        source = replace(source, study=study)
    told = {"study": study.name, "mode": order.mode, "data": source.data_hash, "bundles": [b["hash"] for b in bundles]}
    identity, page = {**told, "predictions": order.predictions}, f"{order.out}/{PAGE}"
    if check_claim(store, "evaluate", identity) and store.stat(PAGE):
        console.line(f"nothing to do: {page} is there already")
        return page
    given = _given(order.predictions, study) if order.predictions else None
    claim(store, "evaluate", identity)
    table = _ask(order, source, bundles, split) if given is None else given
    about = {"data": absolute(order.data)}  # where `phantom --like` finds the pictures of the errors
    store.put("predictions.parquet", to_parquet(table, PREDICTIONS, about=about))
    test = table.filter(pc.equal(table.column("split"), "test"))  # predictions from elsewhere may hold all parts
    found, read = _figures(study, test), compare_readers(study, test, source.readings)
    plain = _plain(source, split, test, bundles)
    all_rows = None if order.predictions else all_judge(bundles, source.key)
    judged = {
        "budget": _budget(bundles), "figures": found,
        "readers": [each.to_dict() for each in read], "baseline": [each.to_dict() for each in plain],
    }  # fmt: skip
    store.put("metrics.json", to_json({**told, **judged, "judges": all_rows or "the test part"}))
    facts = replace(
        _facts(order, study, bundles, table),
        figures=found, readers=tuple(read), baseline=tuple(plain), why_all_rows=all_rows,
    )  # fmt: skip
    history = _history(order, bundles)
    html, pictures = evaluation_page(study, facts, table, history, _thumbnails(source, table))
    for name, data in pictures.items():
        store.put(f"figures/{name}", data)
    store.put(PAGE, html.encode())
    part = "" if all_rows else " of the test part"
    _tell(f"{study.name} on {test.num_rows} answers{part}, {order.mode} mode", found, plain)
    console.line(f"{all_rows}\nreport: {page}" if all_rows else f"report: {page}")
    return page


def _tell(title: str, found: Mapping[str, dict[str, float]], plain: Sequence[Comparison]) -> None:
    rows = {name: console.figure(figure) for name, figure in found.items()}
    baselines = [each for each in plain if each.lead]
    rows |= {
        f"{each.who}: {name}": console.figure(figure) for each in baselines for name, figure in each.figures.items()
    }
    console.table(title, rows)
    for each in baselines:
        console.line(tabular_baseline.verdict(each.deciding_metric, each.lead[each.deciding_metric]))


def all_judge(bundles: Sequence[Mapping[str, Any]], key: str) -> str | None:
    """In a sentence, why all labelled rows judge; None where models have a split of these data, and its test part does.

    Another key does not prove other patients: the same archives may have been ingested under it.
    """
    foreign = {bundle["key"] for bundle in bundles} - {key}
    if not foreign:
        return None
    if foreign == {builtin.DRAWN}:
        return "The package's own models, which learnt from drawings alone, are judged here by all labelled rows."
    return (
        "The models were made with another key, so all labelled rows judge: whether they have learnt from these "
        "patients cannot be told from here."
    )


def _models(order: EvaluateRequest) -> Store:
    return open_store(builtin.resolve_models(order.models))


def _found(order: EvaluateRequest, study: Study) -> list[dict[str, Any]]:
    """The bundles' descriptions."""
    models = _models(order)
    read = [{**read_description(models, folder), "folder": folder} for folder in find_bundles(models, study.name)]
    found = [each for each in read if _answered(study, each)]
    if not found:
        raise StoreError(f"{order.models} holds no model of {study.name}; run `rajobs train {study.name}` first")
    return found


def _answered(study: Study, bundle: Mapping[str, Any]) -> list[str]:
    """The study's targets that a bundle answers."""
    return [target.name for target in study.asked(from_dict(bundle["recipe"])).targets if target in study.targets]


def _fair(
    order: EvaluateRequest, source: LabelledData, found: list[dict[str, Any]], split_hash: str
) -> list[dict[str, Any]]:
    """Those of this split, whose test part they have not learnt from, else those of another key (see `all_judge`)."""
    same_key = [bundle for bundle in found if bundle["key"] == source.key]
    foreign = [bundle for bundle in found if bundle["key"] != source.key]
    mine = [bundle for bundle in same_key if bundle["mode"] == order.mode and bundle["split"] == split_hash]
    if found and not mine and not foreign:
        raise UsageError(
            f"no model of {order.study} at {order.models} was trained in {order.mode} mode on the split of "
            f"{order.data}: what it learnt may be in the test part; train on this data or name another --mode"
        )
    return mine or foreign


def _ask(order: EvaluateRequest, source: LabelledData, bundles: list[dict[str, Any]], split: pa.Table) -> pa.Table:
    """Every bundle's answers to the rows that judge, as one."""
    models = _models(order)
    verdicts = []
    for bundle in bundles:
        recipe = from_dict(bundle["recipe"])
        arrays = prepare(source, recipe.view, order.ray)
        lesson = build_dataset(source, arrays, split, recipe)
        if bundle["key"] != source.key:  # the split is none of its own: all of it judges
            lesson = Dataset(**{**vars(lesson), "parts": np.full(len(arrays), "test")})
        with console.step(f"asking {bundle['hash']}"):
            verdicts.append(evaluate_model(Model.load(models, bundle["folder"], source.study), lesson, "test"))
    first = max(verdicts, key=lambda verdict: sum(np.sum(t != MISSING) for t in verdict.truth.values()))
    answers, hashes = vote(source.study, verdicts), [bundle["hash"] for bundle in bundles]
    apart = _dissent(verdicts, answers)
    if order.mode == "clean":  # the papers' networks were asked about every image
        images = first.rows(lesson.arrays.rows).column("image_id").to_pylist()
        answers, apart = by_rule(source, images, answers, apart)
    return predictions_table(first, answers, lesson, hashes, apart)


def vote(study: Study, verdicts: list[Evaluation]) -> dict[str, tuple[P, Numbers]]:
    """One bundle's answers as they are; of several the mean of the probabilities, in order if one learnt it so."""
    found = {}
    for target in study.targets:
        mine = [verdict for verdict in verdicts if target.name in verdict.p]
        p = mean_of_known([verdict.p[target.name] for verdict in mine])
        kind = target_as_learnt(target, (verdict.answered_targets.get(target.name, target).ordered for verdict in mine))
        found[target.name] = p, mine[0].predicted[target.name] if len(mine) == 1 else predicted(kind, p)
    return found


def _dissent(verdicts: list[Evaluation], answers: Mapping[str, tuple[P, Numbers]]) -> dict[str, P]:
    """Of each row the share of all bundles' members who say something else; points have no members' own answers."""
    return {
        name: dissent(np.concatenate([each.votes[name] for each in verdicts]), said)
        for name, (_, said) in answers.items()
        if all(name in each.votes for each in verdicts)
    }


def by_rule(
    source: LabelledData, images: Sequence[str], answers: Mapping[str, tuple[P, Numbers]], apart: Mapping[str, P]
) -> tuple[dict[str, tuple[P, Numbers]], dict[str, P]]:
    """Answers and dissent of rows of these images, with the study's rules in the place of models where they hold."""
    found, differ = dict(answers), dict(apart)
    for rule in source.study.rules:
        held: list[str] = []
        for key in list_parts(source.store, "images"):
            table = read_part(source.store, key, IMAGES, ["image_id", rule.column])
            held += table.filter(pc.equal(table.column(rule.column), rule.value)).column("image_id").to_pylist()
        there, (p, said) = np.isin(images, held), found[rule.target]
        number = source.study.target(rule.target).classes.index(rule.answer)
        found[rule.target] = np.where(there[:, None], np.eye(p.shape[1])[number], p), np.where(there, number, said)
        differ[rule.target] = np.where(there, np.nan, differ[rule.target])
    return found, differ


def predictions_table(
    verdict: Evaluation,
    answers: Mapping[str, tuple[P, Numbers]],
    lesson: Dataset,
    hashes: list[str],
    apart: Mapping[str, P],
) -> pa.Table:
    """Answers to labelled rows as the table of the contract; `apart`: the members' dissent."""
    rows: list[dict[str, object]] = []
    known = verdict.rows(lesson.arrays.rows).to_pylist()
    for target in lesson.study.targets:
        p, said = answers[target.name]
        differ = apart.get(target.name, np.full(len(said), np.nan)).tolist()
        for at, row in enumerate(known):
            truth = verdict.truth[target.name][at]
            if truth != MISSING:
                kept = {name: row[name] for name in ("image_id", "hand", "site", "side", "patient", "derived_from")}
                rows.append({
                    **kept, "target": target.name, "truth": target.classes[truth], "split": "test",
                    "predicted": target.classes[said[at]], "p": p[at].tolist(), "bundles": hashes,
                    "dissent": None if differ[at] != differ[at] else differ[at],
                })  # fmt: skip
    return PREDICTIONS.rows(rows)


def _given(uri: str, study: Study) -> pa.Table:
    """Predictions made elsewhere, in the schema of ours."""
    place, key = split_uri(uri)
    store = open_store(place)
    check_predictions(store, key, uri, "--predictions")
    table = read_file(store, key, PREDICTIONS)
    for target in study.targets:
        rows = [row for row in table.to_pylist() if row["target"] == target.name]
        wrong = sum(len(row["p"] or ()) != len(target.classes) for row in rows)
        if wrong:
            raise BadTable(
                f"predictions: {wrong} rows of {target.name} have not {len(target.classes)} probabilities in p"
            )
        unknown = sum(row[name] not in target.classes for row in rows for name in ("truth", "predicted"))
        if unknown:  # the values themselves may be anything
            raise BadTable(
                f"predictions: {unknown} values of {target.name} in truth or predicted are none of "
                f"{', '.join(target.classes)}; spell them so"
            )
    if "test" not in table.column("split").to_pylist():
        raise BadTable("predictions: no row is of the test part, which alone judges; name it in the column split")
    return table


def _answers(study: Study, table: pa.Table, target: str) -> metrics.Answers | None:
    rows = [row for row in table.to_pylist() if row["target"] == target]
    if not rows:
        return None
    kind = study.target(target)
    return metrics.Answers(
        truth=encode(kind, [row["truth"] for row in rows]),
        predicted=encode(kind, [row["predicted"] for row in rows]),
        p=np.array([row["p"] for row in rows], np.float64),
        patients=np.array([row["patient"] for row in rows], dtype=np.str_),
    )


def _figures(study: Study, table: pa.Table) -> dict[str, dict[str, float]]:
    answers = {target.name: _answers(study, table, target.name) for target in study.targets}
    found = figures(study, {name: given for name, given in answers.items() if given is not None})
    if not found:
        raise DataError(f"no answer to a target of {study.name}")
    return found


def _plain(
    source: LabelledData, split: pa.Table, table: pa.Table, bundles: Sequence[Mapping[str, Any]]
) -> list[Comparison]:
    """The study's plain model on the same rows; none where the rows are from elsewhere, as it has nothing to learn."""
    part_of = {row["image_id"]: row["split"] for row in split.to_pylist()}
    asked = {part_of.get(name) for name in table.column("image_id").to_pylist()}
    if source.study.baseline is None or asked != {"test"}:
        return []
    turns = any(from_dict(bundle["recipe"]).folds for bundle in bundles)  # the networks learn from both parts
    taught = LEARNING_PARTS if turns else ("train",)
    learns = {
        target: {image: value for (image, _, _), value in labels.items() if part_of.get(image) in taught}
        for target, labels in source.labels.items()
    }
    with console.step("asking a plain model"):
        return tabular_baseline.compare_baseline(source.study, table, read_clinic_visits(source.store), learns, taught)


def _budget(bundles: list[dict[str, Any]]) -> float:
    return min((bundle["budget"] for bundle in bundles), default=1.0)


def _facts(order: EvaluateRequest, study: Study, bundles: list[dict[str, Any]], table: pa.Table) -> EvaluationFacts:
    return EvaluationFacts(
        mode=order.mode,
        budget=_budget(bundles),
        rows={**(bundles[0]["rows"] if bundles else {}), **Counter(table.column("split").to_pylist())},
        models=tuple(_model_facts(bundle) for bundle in bundles),
        rules=() if order.predictions or order.mode != "clean" else tuple(rule.says for rule in study.rules),
    )


def _model_facts(bundle: Mapping[str, Any]) -> ModelFacts:
    names = ("hash", "mode", "seed", "budget")
    recipe = from_dict(bundle["recipe"])
    return ModelFacts(**{name: bundle[name] for name in names}, recipe=recipe, best=bundle.get("best"))


def _history(order: EvaluateRequest, bundles: list[dict[str, Any]]) -> pa.Table | None:
    if not bundles:
        return None
    return read_file(_models(order), f"{bundles[0]['folder']}/history.parquet", HISTORY)


def _thumbnails(source: LabelledData, table: pa.Table) -> dict[str, bytes]:
    wanted, view = set(wrong_answers(source.study, table)), source.study.view
    if source.study.rows != "visits":
        return previews(source.store, wanted, list_parts(source.store, "images"))
    found = [visit for visit in read_clinic_visits(source.store) if visit.image_id in wanted]
    how = view.with_settings({"size": PICTURE})
    return {
        each.image_id: preview(view.draw(each.findings, Row(image_id=each.image_id, at=0), **how), None)
        for each in found
    }


def previews(store: Store, wanted: set[str], keys: Iterable[str]) -> dict[str, bytes]:
    """Previews of some images of these parts, by image_id."""
    found: dict[str, bytes] = {}
    for key in keys:
        if not wanted - found.keys():
            break
        ids = read_part(store, key, IMAGES, ["image_id"]).column("image_id").to_pylist()
        if wanted & set(ids):
            shown = read_part(store, key, IMAGES, ["preview"]).column("preview")
            found |= {name: shown[at].as_py() for at, name in enumerate(ids) if name in wanted}
    return found


def read_metrics(out: str) -> dict[str, Any]:
    """The figures of an evaluation."""
    content: dict[str, Any] = json.loads(open_store(out).get("metrics.json"))
    return content
