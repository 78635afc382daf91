"""Compares the training loop with a bare loop, and several workers with one, on the same prepared arrays.

    python benchmarks/speed/training_rate.py DATA [--study hand_filter] [--recipe default] [--epochs 1] [--rounds 8]
        [--workers 2] [--together 3]

DATA is an ingest's output. The bare loop is what one would write by hand: tensors in memory, with the same network,
augmentation, batches, precision and validation after each epoch. Rates are steps per second. The two sides take turns
at being first, because a shared machine is slower at some times than at others.
"""

import argparse
import dataclasses
import tempfile
import time
from collections.abc import Callable

import numpy as np
import torch

from rajobs import studies
from rajobs.jobs import cluster
from rajobs.jobs.train.dataset import build_dataset, open_labelled_data, prepare
from rajobs.jobs.train.driver import TrainingPlan
from rajobs.jobs.train.splits import frozen_split
from rajobs.jobs.train.worker import WorkerResources, run_workers
from rajobs.learning.ensemble import build_member, member_samples
from rajobs.learning.recipe import Member, Recipe, Training
from rajobs.learning.samples.dataset import Dataset
from rajobs.learning.targets import MISSING, Target
from rajobs.learning.training.augmentation import augment
from rajobs.learning.training.loop import mixed_precision
from rajobs.learning.training.members import build_run, train_member
from rajobs.records.store import absolute


def bare(lesson: Dataset, recipe: Recipe, member: Member) -> None:
    """Loop without checkpoints, history, workers or early stopping: AdamW and the sum of the targets' losses."""
    run = build_run(lesson, recipe, member, 0)
    training, targets = run.training, [target for target in run.targets if isinstance(target, Target)]
    train, validation = member_samples(lesson, member, "train"), member_samples(lesson, member, "validation")
    images, seen = (torch.from_numpy(lesson.arrays.take(part.at)) for part in (train, validation))
    truth = {target.name: torch.from_numpy(train.truth[target.name]) for target in targets}
    weights = {target.name: _class_weights(target, truth[target.name], training) for target in targets}
    network = build_member(lesson.study, member, lesson.arrays.shape, 0)
    optimiser = torch.optim.AdamW(network.parameters(), lr=training.learning_rate, weight_decay=training.weight_decay)
    generator = torch.Generator().manual_seed(0)
    for _ in range(training.epochs):
        network.train()
        order = torch.cat([torch.randperm(len(images)) for _ in range(training.copies)])
        for at in order.split(training.batch_size):
            if len(at) < training.batch_size:
                continue
            batch, _ = augment(images[at].float().div_(255), training.augment, generator)
            with mixed_precision("cpu"):
                logits = network(batch)
            losses = [
                target.loss(logits[target.name].float(), truth[target.name][at], weights[target.name]).mean()
                for target in targets
            ]
            optimiser.zero_grad(set_to_none=True)
            torch.stack(losses).sum().backward()
            optimiser.step()
        network.eval()
        with torch.inference_mode():
            for start in range(0, len(seen), 128):
                network(seen[start : start + 128].float().div_(255))


def _class_weights(target: Target, truth: torch.Tensor, training: Training) -> torch.Tensor:
    if not training.class_weights:
        return torch.ones(len(target.classes))
    counts = torch.bincount(truth[truth != MISSING], minlength=len(target.classes)).clamp(min=1)
    return (counts.sum() / (counts * len(counts))).float()


def seconds(work: Callable[[], object]) -> float:
    """Wall time of the work in seconds."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    """Run both comparisons and print their rates."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("data")
    parser.add_argument("--study", default="hand_filter")
    parser.add_argument("--recipe", default="default")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--together", type=int, default=3, help="rounds that compare several workers with one")
    args = parser.parse_args()
    study = studies.find(args.study)
    recipe = study.recipe(args.recipe)
    member = recipe.members[0]
    training = dataclasses.replace(recipe.training_of(member), epochs=args.epochs)
    member = dataclasses.replace(member, training=training)
    recipe = dataclasses.replace(recipe, members=(member,))
    source = open_labelled_data(args.data, study)
    arrays = prepare(source, recipe.view, None)
    lesson = build_dataset(source, arrays, frozen_split(source, "clean")[0], recipe)
    rows = len(member_samples(lesson, member, "train"))
    steps = args.epochs * (rows * training.copies // min(training.batch_size, rows * training.copies))
    print(f"{study.name} {args.recipe}: {rows} rows, {steps} steps, {torch.get_num_threads()} threads")
    loops: list[Callable[[], object]] = [
        lambda: bare(lesson, recipe, member),
        lambda: train_member(lesson, recipe, member, 0, lambda epoch, state: True),
    ]
    ratios = []
    for number in range(-1 if args.rounds else 0, args.rounds):
        order = (0, 1) if number % 2 else (1, 0)
        taken = {which: seconds(loops[which]) for which in order}
        if number < 0:
            continue  # this round only warmed up both loops
        plain, ours = taken[0], taken[1]
        ratios.append(plain / ours)
        print(
            f"  bare {steps / plain:.2f} steps/s, ours {steps / ours:.2f} steps/s, ratio {plain / ours:.3f}",
            flush=True,
        )
    if ratios:
        print(f"one worker relative to the bare loop: {np.median(ratios):.3f} (median of {args.rounds} rounds)")
    if args.together:
        compare_workers(args, lesson, recipe, member)


def compare_workers(args: argparse.Namespace, lesson: Dataset, recipe: Recipe, member: Member) -> None:
    """Compare seconds per epoch, measured from the end of the first epoch to the end of the last."""
    epochs = 1 + 2 * args.epochs
    training = dataclasses.replace(recipe.training_of(member), epochs=epochs)
    longer_member = dataclasses.replace(member, training=training)
    longer = dataclasses.replace(recipe, members=(longer_member,))
    ends: list[float] = []

    def note_end(*_: object) -> bool:
        ends.append(time.perf_counter())
        return True

    def alone() -> None:
        train_member(lesson, longer, longer_member, 0, note_end)

    def together() -> None:
        with tempfile.TemporaryDirectory(prefix="rajobs-bench-") as out:
            plan = TrainingPlan(
                study=args.study, data=absolute(args.data), finders="builtin", out=out, mode="clean", budget=1.0,
                recipe=longer, weights="none", number=0, folder="checkpoints",
            )  # fmt: skip
            (task,) = plan.tasks(longer.members[0], 1)
            run_workers(WorkerResources(workers=args.workers), task, lambda epoch: ends.append(time.perf_counter()))

    def seconds_per_epoch(work: Callable[[], None]) -> float:
        ends.clear()
        work()
        seconds: float = (ends[-1] - ends[0]) / (epochs - 1)
        return seconds

    rates = []
    with cluster.connected(None):
        for number in range(args.together):
            order = (alone, together) if number % 2 else (together, alone)
            taken = {work: seconds_per_epoch(work) for work in order}
            rates.append(taken[alone] / taken[together])
            print(
                f"  one epoch: one worker on all cores {taken[alone]:.2f} s, {args.workers} workers "
                f"{taken[together]:.2f} s, rate {rates[-1]:.3f}",
                flush=True,
            )
    print(f"{args.workers} workers relative to one: {np.median(rates):.3f} (median of {args.together} rounds)")


if __name__ == "__main__":
    main()
