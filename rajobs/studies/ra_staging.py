"""At which stage is this hand, from 0 (none) to 5? Its most destroyed joint decides (paper 001)."""

from rajobs.imaging.rows import EXTREMITIES
from rajobs.imaging.views import handed
from rajobs.learning.recipe import Member, Recipe
from rajobs.learning.study import AnswerColumns, Printed, ScoreStep, Study, View
from rajobs.learning.targets import scores
from rajobs.records.splits import PrintedSplit
from rajobs.studies.ra_recognition import ASSUMPTIONS, JOINTS, PUBLISHED, TRAINING, VIEW, printed_table

WHOLE = {"shows": "hand", "size": 224}
TABLE_3 = {
    "alexnet": (77.36, 53.04, 89.54, 44.27, 40.84),
    "vgg16": (83.36, 56.57, 92.67, 47.72, 44.71),
    "googlenet": (80.32, 66.19, 84.45, 61.24, 48.35),
    "resnet50": (78.87, 63.30, 82.38, 58.55, 46.32),
    "efficientnet_b2": (83.06, 69.39, 81.45, 66.36, 47.36),
}

STUDY = Study(
    name="ra_staging",
    paper="001",
    question="At which stage of joint destruction is this hand?",
    rows=EXTREMITIES,
    view=View(draw=handed, version=3, reads="pixels", settings=VIEW),
    targets=(scores("stage", 5),),
    scores=ScoreStep(table="extremities", columns=(AnswerColumns(target="stage", answer="stage", p="stage_p"),)),
    headline="stage.qwk",
    metrics=(
        "accuracy",
        "within_one",
        "qwk",
        "kappa_linear",
        "mae",
        "balanced_accuracy",
        "ovr_accuracy",
        "tuned_accuracy",
        "tuned_sensitivity",
        "tuned_specificity",
        "tuned_f1",
        "auc",
        "calibration_error",
    ),
    recipes={
        "default": Recipe(members=(JOINTS,), training=TRAINING),
        # Different architectures make different mistakes. For users with a GPU.
        "ensemble": Recipe(
            view=WHOLE,
            members=tuple(Member(name=name, architecture=name) for name in ("resnet18", "resnet50", "efficientnet_b2")),
            training=TRAINING,
            heavy=True,
        ),
        "published": PUBLISHED,
    },
    printed=(
        Printed(what="AUC of VGG16, the highest of five", value=0.8336, metric="stage.auc"),
        Printed(
            what="accuracy of EfficientNetB2, the highest of five, one stage against the rest at tuned thresholds",
            value=0.6939,
            metric="stage.tuned_accuracy",
        ),
    ),
    # Averages of one stage against the rest, at a threshold for each stage: see docs/metric-audit.md.
    printed_members=printed_table(
        "stage", ("auc", "tuned_accuracy", "tuned_sensitivity", "tuned_specificity", "tuned_f1"), TABLE_3, "table 3"
    ),
    assumptions=ASSUMPTIONS,
    printed_split=PrintedSplit(
        target="stage",
        learn={"0": 26, "1": 33, "2": 54, "3": 56, "4": 38, "5": 33},
        test={"0": 13, "1": 14, "2": 22, "3": 24, "4": 17, "5": 14},
        validation=0.0,
        whole_patients=True,
    ),
)
