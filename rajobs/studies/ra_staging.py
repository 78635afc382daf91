"""At which stage is this hand, from 0 (none) to 5? Its most destroyed joint decides (paper 001)."""

from rajobs.imaging.rows import EXTREMITIES
from rajobs.imaging.views import handed
from rajobs.learning.recipe import Member, Recipe
from rajobs.learning.study import AnswerColumns, Printed, ScoreStep, Study, View
from rajobs.learning.targets import scores
from rajobs.records.splits import PrintedSplit
from rajobs.studies.ra_recognition import JOINTS, PUBLISHED, TRAINING, VIEW

WHOLE = {"shows": "hand", "size": 224}

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
        **PUBLISHED,
    },
    printed=(
        # Averages of one stage against the rest, at a threshold per stage: no metric of ours, see docs/metric-audit.md.
        Printed(what="AUC of ResNet50, one stage against the rest, 104 hands", value=0.7887, metric="stage.auc"),
        Printed(what="accuracy of ResNet50, one stage against the rest at tuned thresholds", value=0.6330),
        Printed(what="accuracy of EfficientNetB2, the best of five, the same measure", value=0.6939),
    ),
    printed_split=PrintedSplit(
        target="stage",
        learn={"0": 26, "1": 33, "2": 54, "3": 56, "4": 38, "5": 33},
        test={"0": 13, "1": 14, "2": 22, "3": 24, "4": 17, "5": 14},
    ),
)
