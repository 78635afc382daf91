"""The command line, kept thin: every command imports its job only when it runs, so that help is quick."""

import os
import sys
from collections.abc import Callable
from typing import Any

import click

from rajobs import __version__
from rajobs.records.errors import TRACEBACK, RajobsError, internal_error_line
from rajobs.records.signals import sigterm_as_ctrl_c

Command = Callable[..., Any]


def ray_option(command: Command) -> Command:
    """Add --ray, the cluster that a job runs on."""
    return click.option(
        "--ray",
        metavar="ADDRESS",
        help="Ray cluster; by default RAY_ADDRESS, or else a cluster on this machine.",
    )(command)


def take_over_option(command: Command) -> Command:
    """Add --take-over, for a driver that is gone without having given its lease back."""
    return click.option(
        "--take-over",
        is_flag=True,
        help="Take the place of a command that still seems to be at work on OUT, but is gone.",
    )(command)


def mode_option(command: Command) -> Command:
    """Add --mode, the protocol of the split."""
    return click.option(
        "--mode",
        default="clean",
        show_default=True,
        help="clean, or published: the paper's protocol, including its leaks.",
    )(command)


def finders_option(command: Command) -> Command:
    """Add --finders, the models that place joints where labels are silent."""
    return click.option(
        "--finders",
        default="builtin",
        show_default=True,
        metavar="MODELS",
        help="Models that place the joints of hands which labels score but do not place.",
    )(command)


def review_error_option(command: Command) -> Command:
    """Add --review-error, from which the thresholds of doubt follow."""
    return click.option(
        "--review-error",
        type=float,
        metavar="E",
        help="Doubt so many hands that the others' scores were wrong by at most E points on validation.",
    )(command)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__)
def cli() -> None:
    """Turn archives of hand radiographs and joint ultrasound into tables for rheumatology cohorts.

    OUT, DATA and MODELS are local paths or s3://bucket/prefix. A job that is started again does what is left.
    """


@cli.command()
@click.argument("out")
@click.option("--patients", type=int, help="Patients to draw (24); with --like, drawings (one for each error).")
@click.option("--seed", type=int, default=0, show_default=True, help="The same seed draws the same bytes.")
@click.option("--damage", type=float, help="Share of damaged and hostile files (0.05).")
@click.option("--only", metavar="films|ultrasound|clinic", help="Draw only this kind.")
@click.option("--size", help="FULL (2010x1490, the default) or SMALL (a third of that).")
@click.option("--difficulty", help="Preset of poses, contrast and readers (standard).")
@click.option("--repeats", is_flag=True, help="Take every film of hands twice: the same joints in another pose.")
@click.option("--like", metavar="PREDICTIONS", help="Draw images like the errors of a predictions table.")
def phantom(
    out: str,
    patients: int | None,
    seed: int,
    damage: float | None,
    only: str | None,
    size: str | None,
    difficulty: str | None,
    repeats: bool,
    like: str | None,
) -> None:
    """Draw a cohort and write it as archives with the true labels. It contains no patient."""
    from rajobs.jobs.phantom import phantom as run

    run(
        out, patients=patients, seed=seed, damage=damage, only=only, size=size, difficulty=difficulty, repeats=repeats,
        like=like,
    )  # fmt: skip


@cli.command()
@click.argument("sources", nargs=-1, required=True, metavar="SRC...")
@click.argument("out")
@click.option(
    "--labels", multiple=True, metavar="FILE",
    help="CSV of labels, which merge into those that are there; several times if need be. `rajobs studies NAME` prints "
    "a template.",
)  # fmt: skip
@click.option("--replace-labels", is_flag=True, help="Throw the labels that are there away before --labels come in.")
@click.option("--clinic", metavar="FILE", help="CSV of clinical findings.")
@click.option("--centre", metavar="NAME", help="Your own word for where SRC comes from, kept in the column centre.")
@click.option(
    "--key-env", default="RAJOBS_KEY", show_default=True, help="Environment variable with the key of the pseudonyms."
)
@click.option("--ledger", metavar="URI", help="Where to write the crosswalk that links results back to patients.")
@click.option("--no-ledger", is_flag=True, help="Write no crosswalk, on purpose: no line warns of it.")
@click.option("--limit", type=int, help="Stop after about this many files (whole shards), as a dry run.")
@click.option(
    "--max-rejects", type=float, default=0.2, show_default=True, help="Fail if a larger share of files is rejected."
)
@click.option("--pictures", help="What files without a header show: ultrasound or radiograph.")
@click.option(
    "--ultrasound-regions", default="tagged", show_default=True, metavar="tagged|all|FILE",
    help="Keep only tagged regions, or everything, or, for machines without tags, the regions of a mask FILE.",
)  # fmt: skip
@click.option("--follow-links", is_flag=True, help="Follow links that lead out of SRC; else they are ignored.")
@click.option("--keep-burned-in", is_flag=True, help="Keep text in pixels, whether the header says so or it is found.")
@click.option(
    "--modalities", default="", metavar="LIST",
    help="Take these in as films, too, as OT,RF: SC (secondary captures), OT, RF, XA, MG, NM (CR that is named so).",
)  # fmt: skip
@ray_option
@take_over_option
def ingest(sources: tuple[str, ...], out: str, **options: Any) -> None:
    """Turn archives and folders SRC into tables at OUT. No part of a patient's identity leaves the source."""
    from rajobs.imaging.formats.ultrasound_regions import read_options
    from rajobs.jobs.ingest.job import IngestRequest
    from rajobs.jobs.ingest.job import ingest as run

    names = ("pictures", "ultrasound_regions", "keep_burned_in", "modalities")
    how_to_read = read_options(*(options.pop(name) for name in names))
    run(IngestRequest(sources=sources, out=out, options=how_to_read, **options))


@cli.command(name="import")
@click.argument("data_set", metavar="ra2-dream|ram-h1200")
@click.argument("source", metavar="SRC")
@click.argument("out")
def import_scores(data_set: str, source: str, out: str) -> None:
    """Write the scores of a public data set at SRC as OUT/labels.csv, for `ingest SRC DATA --labels`."""
    from rajobs.jobs.import_labels.job import import_labels

    import_labels(data_set, source, out)


@cli.command()
@click.argument("study")
@click.argument("data")
@click.argument("out")
@click.option("--recipe", default="default", show_default=True, help="default, published or a TOML file.")
@click.option("--weights", metavar="URI|none", help="Weights to start from: those of another model, or none.")
@click.option("--workers", type=int, default=1, show_default=True, help="Workers that train one network together.")
@finders_option
@mode_option
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--budget", type=float, default=1.0, show_default=True, help="Share of the recipe's epochs and rows.")
@ray_option
@take_over_option
def train(**options: Any) -> None:
    """Fit a study's recipe on DATA and write a model bundle to OUT."""
    from rajobs.jobs.train.job import TrainRequest
    from rajobs.jobs.train.job import train as run

    run(TrainRequest(**options))


@cli.command()
@click.argument("study")
@click.argument("data")
@click.argument("out")
@click.option("--space", metavar="FILE", help="Tune space; by default the study's own.")
@click.option("--trials", type=int, default=24, show_default=True)
@click.option("--hours", type=float, help="Start no trial after this many hours; running trials finish their epoch.")
@click.option("--until", metavar="HH:MM", help="Like --hours, but at a time of day: the next 07:00, for example.")
@click.option("--workers", type=int, default=1, show_default=True, help="Workers of one trial.")
@finders_option
@mode_option
@click.option("--budget", type=float, default=1.0, show_default=True, help="Share of the recipes' epochs and rows.")
@ray_option
@take_over_option
def tune(**options: Any) -> None:
    """Search a study's space for a better recipe. The result, best.toml at OUT, is a recipe for train."""
    from rajobs.jobs.tune.job import TuneRequest
    from rajobs.jobs.tune.job import tune as run

    run(TuneRequest(**options))


@cli.command()
@click.argument("study")
@click.argument("data")
@click.argument("models")
@click.argument("out")
@finders_option
@mode_option
@click.option("--end-to-end", is_flag=True, help="Judge the answers where the finders place hands and joints, too.")
@click.option("--apart", is_flag=True, help="Judge each model alone, side by side: clean ones beside published ones.")
@review_error_option
@click.option("--predictions", metavar="FILE", help="Judge these predictions instead of asking MODELS.")
@ray_option
@take_over_option
def evaluate(**options: Any) -> None:
    """Judge MODELS on the part of DATA that they never saw. Writes figures and a page to OUT.

    MODELS is a place that train wrote to, or builtin (the models inside the package). Models that are built in or were
    made with another key are judged on all of DATA, and the page says so.
    """
    from rajobs.jobs.evaluate.job import EvaluateRequest
    from rajobs.jobs.evaluate.job import evaluate as run

    run(EvaluateRequest(**options))


@cli.command()
@click.argument("data")
@click.argument("out")
@click.option("--only", default="", metavar="NUMBERS", help="Only these papers, as 001,004.")
@click.option(
    "--budget", type=float,
    help="Share of the epochs and rows of recipes that are meant for GPUs; 1 is all. By default so much that all fits "
    "into about two hours.",
)  # fmt: skip
@click.option("--weights", metavar="URI|none", help="ImageNet weights for the recipes that start from some, or none.")
@finders_option
@ray_option
@take_over_option
def papers(only: str, **options: Any) -> None:
    """Repeat the five papers' protocols on DATA. Writes their tables and figures beside ours to OUT.

    Every published recipe is trained and judged in published and in clean mode. What DATA do not allow is left out, and
    the page says why.
    """
    from rajobs.jobs.papers.job import papers as run
    from rajobs.jobs.papers.planning import PapersRequest

    run(PapersRequest(only=tuple(filter(None, only.split(","))), **options))


@cli.command()
@click.argument("data")
@click.argument("models")
@click.argument("out")
@click.option("--limit", type=int, help="Stop after about this many images (whole parts), as a dry run.")
@review_error_option
@click.option("--no-scores", is_flag=True, help="Leave the columns of scores (JSN, erosion, RA, stage) empty.")
@ray_option
@take_over_option
def score(**options: Any) -> None:
    """Ask MODELS all they can answer about every image of DATA. Writes tables and a page to OUT.

    MODELS is a place that train wrote to, builtin (the models inside the package), or several of these, with commas.
    """
    from rajobs.jobs.score.job import ScoreRequest
    from rajobs.jobs.score.job import score as run

    run(ScoreRequest(**options))


@cli.command()
@click.argument("study")
@click.argument("data")
@click.argument("out")
@click.option("--tables", metavar="TABLES", help="OUT of a score of DATA: its joints and its doubts.")
@click.option("--patients", type=int, help="Take this many patients; by default all.")
@click.option("--order", metavar="doubt|random", help="Which patients come first; with --tables the doubtful ones.")
@click.option("--readers", default="reader", show_default=True, metavar="NAMES", help="As anna,ben.")
@click.option("--double", type=float, help="Share of the patients that two readers read (0.2 with several readers).")
@click.option("--blind", is_flag=True, help="Shuffle a patient's visits, and show no days between them.")
@click.option("--as", "kind", default="page", show_default=True, metavar="page|csv", help="A page, or a spreadsheet.")
@ray_option
@take_over_option
def sheet(**options: Any) -> None:
    """Write pages to OUT in which readers score DATA by keyboard.

    A page is one file that loads nothing: it opens on any desktop, keeps what is typed, and exports the CSV that
    `ingest --labels` takes. OUT/plan.csv says who reads what.
    """
    from rajobs.jobs.sheet.job import SheetRequest
    from rajobs.jobs.sheet.job import sheet as run

    run(SheetRequest(**options))


@cli.command()
@click.argument("table")
@click.argument("ledger")
@click.argument("out")
def link(table: str, ledger: str, out: str) -> None:
    """Put the original identifiers and readers' names back into TABLE, from LEDGER. OUT ends in .csv or .parquet."""
    from rajobs.jobs.link import link as run

    run(table, ledger, out)


@cli.command()
@click.argument("out")
def status(out: str) -> None:
    """Show what is done and what is left at OUT."""
    from rajobs.jobs.status import status as run

    run(out)


@cli.command()
@click.argument("out", default="demo")
@ray_option
@take_over_option
def demo(out: str, ray: str | None, take_over: bool) -> None:
    """Run the whole pipeline on phantoms, on this machine; it ends with a page to open."""
    from rajobs.jobs.demo import demo as run

    run(out, ray, take_over=take_over)


@cli.command(name="studies")
@click.argument("name", required=False)
def show_studies(name: str | None) -> None:
    """List the studies; with NAME describe one, and print a CSV template of its labels.

    The template alone goes to standard output: `rajobs studies NAME > template.csv`.
    """
    from rajobs.reports.study_catalogue import describe_study, list_studies, template

    if name is None:
        click.echo(list_studies())
        return
    click.echo(describe_study(name) + "\n", err=True)
    click.echo(template(name))


def main(arguments: list[str] | None = None) -> None:
    """Run a command. A mistake ends in one line on standard error and an exit status, never in a traceback."""
    try:
        with sigterm_as_ctrl_c():
            cli.main(arguments, prog_name="rajobs", standalone_mode=False)
    except RajobsError as error:
        click.echo(f"rajobs: {error}", err=True)
        sys.exit(error.status)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        sys.exit(2)
    except click.ClickException as error:
        click.echo(f"rajobs: {error.format_message()} (see `rajobs --help`)", err=True)
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        click.echo("rajobs: stopped; the same command continues from here", err=True)
        sys.exit(130)
    except Exception as error:
        if os.environ.get(TRACEBACK):
            raise
        click.echo(f"rajobs: {internal_error_line(error)}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
