"""Will this patient need therapy for rheumatoid arthritis? The clinic's findings, drawn as one picture (paper 000)."""

from rajobs.imaging.clinical_picture import clinical
from rajobs.imaging.rows import VISITS
from rajobs.learning.recipe import Augment, Member, Recipe, Training
from rajobs.learning.study import AnswerColumns, Printed, ScoreStep, Study, View
from rajobs.learning.targets import Nominal
from rajobs.records.splits import PrintedSplit

VIEW = {"shows": "all", "acpa": "as_is", "missing": "own"}

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


def published(architecture: str, size: int, shows: str = "all") -> Recipe:
    """One of the paper's networks, its five trials as five members; optimiser and batch size are MATLAB's defaults.

    The most accurate trial answers. It is chosen on the validation part, or in published mode on the test part, as in
    the paper.
    """
    trials = tuple(
        Member(name=f"trial{trial}", architecture=architecture, ordered=False, weights="imagenet")
        for trial in range(1, 6)
    )
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
        view=view, members=trials, combine="most_accurate", training=training, calibrate=False, heavy=True
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
    metrics=("accuracy", "balanced_accuracy", "any_sensitivity", "any_specificity", "auc", "calibration_error"),
    recipes={
        "default": DEFAULT,
        "published": published("alexnet", 227),
        "published-resnet18": published("resnet18", 224),
        "published-cruciforms": published("alexnet", 227, "cruciforms"),
        "published-squares": published("alexnet", 227, "squares"),
    },
    baseline="boosted_trees",
    printed=(
        Printed(what="accuracy of AlexNet on 50 patients, the best of five trials", value=0.98,
                metric="ra_clinical.accuracy"),
        Printed(what="accuracy of AlexNet, the mean of five trials", value=0.952),
        Printed(what="sensitivity of the best trial", value=1.0, metric="ra_clinical.any_sensitivity"),
        Printed(what="specificity of the best trial", value=0.975, metric="ra_clinical.any_specificity"),
        Printed(what="accuracy of ResNet-18, the best of five trials", value=0.98),
        Printed(what="accuracy of ResNet-18, the mean of five trials", value=0.952),
        Printed(what="accuracy with the cruciforms alone, the mean of five trials", value=0.896),
        Printed(what="accuracy with the squares alone, the mean of five trials", value=0.78),
    ),
    printed_split=PrintedSplit(target="ra_clinical", learn={"0": 157, "1": 42}, test={"0": 40, "1": 10}),
)  # fmt: skip
