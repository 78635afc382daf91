"""Will this patient need therapy for rheumatoid arthritis? The clinic's findings, drawn as one picture (paper 000)."""

from rajobs.imaging.clinical_picture import clinical
from rajobs.imaging.rows import VISITS
from rajobs.learning.recipe import Augment, Member, Recipe, Training, trials
from rajobs.learning.study import AnswerColumns, Printed, PrintedCharacteristics, Probe, ScoreStep, Study, View
from rajobs.learning.targets import Nominal
from rajobs.records.splits import PrintedSplit

VIEW = {"shows": "all", "acpa": "as_is", "missing": "own", "layout": "hands", "colours": "steps"}

# A square's meaning depends on its place: two networks read the picture place by place, two look for shapes anywhere.
# So the picture must not be turned, flipped or shifted.
DEFAULT = Recipe(
    view={**VIEW, "size": 64},
    members=(
        Member(name="places", architecture="conv2", settings={"width": 16, "hidden": 64}),
        Member(name="normed", architecture="conv2", settings={"width": 16, "hidden": 64, "batch_norm": True}),
        Member(name="shapes", architecture="compact", settings={"width": 16, "stages": 4}),
        Member(name="deep", architecture="compact", settings={"width": 12, "stages": 5}),
    ),
    training=Training(
        epochs=15,
        batch_size=32,
        learning_rate=1e-3,
        class_weights=True,
        augment=Augment(noise=0.05, channel_shift=0.1),
    ),
)


def published(name: str, architecture: str, size: int, shows: str = "all") -> Recipe:
    """Five trials of one of the paper's networks, as five members that differ in their seed and in their 80/20 alone.

    The most accurate trial answers. It is chosen on the test part, as in the paper, or in clean mode on the validation
    part.
    """
    trial = Member(name=f"{name}-", architecture=architecture, ordered=False, weights="imagenet")
    training = Training(
        epochs=10,
        batch_size=128,
        optimiser="sgd",
        learning_rate=1e-3,
        weight_decay=1e-4,
        schedule="constant",
        keep="last",
    )
    view = {**VIEW, "shows": shows, "missing": "green", "size": size}
    return Recipe(
        view=view, members=trials(trial, 5), combine="most_accurate", training=training, redraw=0.2, calibrate=False,
        heavy=True,
    )  # fmt: skip


TRIALS = {
    "alexnet": ("AlexNet", "tables S1 to S4 and 1", (0.96, 0.96, 0.98, 0.96, 0.90)),
    "resnet18": ("ResNet-18", "tables S5 to S9", (0.94, 0.90, 0.96, 0.98, 0.98)),
    "cruciforms": ("AlexNet on cruciforms only", "tables S10 to S14", (0.88, 0.92, 0.90, 0.84, 0.94)),
    "squares": ("AlexNet on squares only", "tables S15 to S19", (0.80, 0.80, 0.78, 0.78, 0.74)),
}
"""Accuracies of the five trials of each network and picture. The tables themselves are in the supplement."""


CHARACTERISTICS = PrintedCharacteristics(
    columns={
        "rf": "RF", "acpa": "ACPA", "esr": "ESR", "onset_days": "onset to visit, days", "crp": "CRP", "ana": "ANA",
        "mmp3": "MMP-3", "wbc": "WBC", "sex": "gender", "skin": "skin abnormality", "temperature": "body temperature",
        "trunk_pain": "trunk pain", "patient_vas": "patient VAS", "doctor_vas": "doctor VAS",
    },
    tables={"test": "table 3", "train": "table 4"},
)  # fmt: skip


STUDY = Study(
    name="clinical_array",
    paper="000",
    question="Will this patient's therapy for rheumatoid arthritis begin within two months?",
    rows=VISITS,
    view=View(draw=clinical, version=1, reads="clinic", settings={**VIEW, "size": 64}),
    targets=(Nominal(name="ra_clinical", classes=("0", "1")),),
    scores=ScoreStep(
        table="visits",
        columns=(
            AnswerColumns(target="ra_clinical", p_of={"1": "ra_clinical_p"}, dissent="ra_clinical_dissent"),
        ),
    ),
    headline="ra_clinical.balanced_accuracy",
    metrics=(
        "accuracy", "balanced_accuracy", "kappa_unweighted", "any_sensitivity", "any_specificity", "any_precision",
        "auc", "calibration_error",
    ),
    recipes={
        "default": DEFAULT,
        "published": published("alexnet", "alexnet_matlab", 227),
        "published-torchvision": published("alexnet", "alexnet", 227),
        "published-resnet18": published("resnet18", "resnet18", 224),
        "published-cruciforms": published("cruciforms", "alexnet_matlab", 227, "cruciforms"),
        "published-squares": published("squares", "alexnet_matlab", 227, "squares"),
    },
    characteristics=CHARACTERISTICS,
    probes=(
        Probe(name="ACPA shown as positive", view={"acpa": "positive"}),
        Probe(name="ACPA shown as negative", view={"acpa": "negative"}),
    ),
    baseline="boosted_trees",
    printed=(
        Printed(what="accuracy of AlexNet, the best of five trials", value=0.98, metric="ra_clinical.accuracy"),
        Printed(what="sensitivity of the best trial (table 1)", value=1.0, metric="ra_clinical.any_sensitivity"),
        Printed(what="specificity of the best trial (table 1)", value=0.975, metric="ra_clinical.any_specificity"),
        Printed(what="precision of the best trial", value=0.91, metric="ra_clinical.any_precision"),
        Printed(what="kappa of the best trial with the first expert", value=0.79),
        Printed(what="kappa of the best trial with the second expert", value=0.83),
        Printed(what="kappa of the best trial with the third expert", value=0.87),
    ),
    printed_members=tuple(
        Printed(what=f"{what}, trial {trial} ({where})", value=value, metric="ra_clinical.accuracy",
                member=f"{name}-{trial}")
        for name, (what, where, values) in TRIALS.items()
        for trial, value in enumerate(values, 1)
    ),
    assumptions=(
        "AlexNet is MATLAB's: Krizhevsky's of 2012, with grouped convolutions and local response normalisation, at 227 "
        "pixels. The recipe published-torchvision has torchvision's, of 2014, without both.",
        "Optimiser (SGD with a momentum of 0.9), batch size (128) and weight decay (1e-4) are not printed: MATLAB's "
        "defaults are assumed.",
        "In published mode each trial draws its own 80/20 of the 1,037 pictures, variants of one patient on both "
        "sides, and the best trial is chosen on the test part: two leaks. In clean mode patients are whole, and all "
        "trials share the validation part.",
    ),
    printed_split=PrintedSplit(target="ra_clinical", learn={"0": 157, "1": 42}, test={"0": 40, "1": 10},
                               validation=0.0),
)  # fmt: skip
