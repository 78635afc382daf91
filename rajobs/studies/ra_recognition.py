"""Does this hand show rheumatoid arthritis? Single hands cut out of films, by five well-known networks (paper 001)."""

from collections.abc import Mapping, Sequence

from rajobs.imaging.rows import EXTREMITIES
from rajobs.imaging.views import handed
from rajobs.learning.recipe import Augment, Member, Recipe, Training
from rajobs.learning.study import AnswerColumns, Printed, ScoreStep, Study, View
from rajobs.learning.targets import Nominal
from rajobs.records.splits import PrintedSplit

# Joint patches as in svdh_scoring: on a whole hand, a narrow joint differs by only one or two pixels.
VIEW = {"shows": "joints", "size": 96, "margin": 0.1, "upright": True, "mirror": True, "levels": "own"}
JOINTS = Member(name="joints", architecture="compact", settings={"width": 16, "stages": 4, "tiles": True})
TRAINING = Training(
    epochs=16,
    batch_size=16,
    learning_rate=1.5e-3,
    augment=Augment(rotate=25, shift=0.05, zoom=0.1, flip_horizontal=True, contrast=0.2, channel_shift=0.05),
)

ARCHITECTURES = ("alexnet", "vgg16", "googlenet", "resnet50", "efficientnet_b2")

ASSUMPTIONS = (
    "The paper does not print what its networks start from. ImageNet's weights are an assumption: all five converge "
    "within 100 epochs at a rate of 1e-5, but the discussion names transfer learning as future work.",
    "The ranges of its augmentation are not printed either: 15 degrees and a tenth of the side are assumed.",
    "It has no validation part and compares its networks on the test part, where in published mode the most accurate "
    "one is chosen. None of its hands is held back, and the last epoch's weights are kept.",
)
PUBLISHED = Recipe(
    view={"shows": "hand", "size": 224, "margin": 0.0, "upright": False, "mirror": False, "levels": "film"},
    members=tuple(Member(name=name, architecture=name, ordered=False, weights="imagenet") for name in ARCHITECTURES),
    combine="most_accurate",
    training=Training(
        epochs=100,
        batch_size=64,
        optimiser="adamw",
        learning_rate=1e-5,
        weight_decay=1e-2,
        schedule="constant",
        keep="last",
        augment=Augment(rotate=15, shift=0.1, flip_horizontal=True, flip_vertical=True),
    ),
    calibrate=False,
    heavy=True,
)
"""The five networks that the paper compares; ra_staging has the same ones."""


NAMES = ("AlexNet", "VGG16", "GoogLeNet", "ResNet50", "EfficientNetB2")
MEASURES = ("AUC", "accuracy", "sensitivity", "specificity", "F1")


def printed_table(
    target: str, metrics: Sequence[str], rows: Mapping[str, Sequence[float]], where: str
) -> tuple[Printed, ...]:
    """A table of the paper in per cent, a row for each network."""
    return tuple(
        Printed(
            what=f"{where}: {name}, {what}", value=round(value / 100, 4), metric=f"{target}.{metric}", member=member
        )
        for (member, values), name in zip(rows.items(), NAMES)
        for metric, what, value in zip(metrics, MEASURES, values)
    )


TABLE_2 = {
    "alexnet": (95.35, 96.15, 98.90, 76.92, 97.83),
    "vgg16": (90.03, 97.12, 100.0, 76.92, 98.38),
    "googlenet": (97.80, 96.15, 100.0, 69.23, 97.85),
    "resnet50": (93.03, 95.19, 98.90, 69.23, 97.30),
    "efficientnet_b2": (95.77, 96.15, 98.90, 76.92, 97.83),
}

STUDY = Study(
    name="ra_recognition",
    paper="001",
    question="Does this hand show rheumatoid arthritis?",
    rows=EXTREMITIES,
    view=View(draw=handed, version=3, reads="pixels", settings=VIEW),
    targets=(Nominal(name="ra", classes=("0", "1")),),
    scores=ScoreStep(table="extremities", columns=(AnswerColumns(target="ra", p_of={"1": "ra_p"}),)),
    headline="ra.auc",
    metrics=(
        "accuracy", "balanced_accuracy", "auc", "any_sensitivity", "any_specificity", "any_f1", "calibration_error",
    ),
    recipes={"default": Recipe(members=(JOINTS,), training=TRAINING), "published": PUBLISHED},
    printed=(
        Printed(what="accuracy of VGG16, the most accurate of five", value=0.9712, metric="ra.accuracy"),
        Printed(what="AUC of VGG16", value=0.9003, metric="ra.auc"),
        Printed(what="AUC of GoogLeNet, the highest of five", value=0.9780),
    ),
    printed_members=printed_table(
        "ra", ("auc", "accuracy", "any_sensitivity", "any_specificity", "any_f1"), TABLE_2, "table 2"
    ),
    assumptions=ASSUMPTIONS,
    printed_split=PrintedSplit(
        target="ra", learn={"0": 26, "1": 214}, test={"0": 13, "1": 91}, validation=0.0, whole_patients=True
    ),
)  # fmt: skip
