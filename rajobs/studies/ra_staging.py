"""At which stage is this hand, from none (0) to 5? A hand is as far as its most destroyed joint (paper 001)."""

from rajobs.imaging.views import boxed
from rajobs.learning.recipe import Augment, Member, Recipe, Training
from rajobs.learning.study import Printed, Study, View
from rajobs.learning.targets import scores
from rajobs.records.splits import PrintedSplit
from rajobs.studies.ra_recognition import PUBLISHED, VIEW

_TRAINING = Training(
    epochs=30,
    batch_size=32,
    learning_rate=3e-3,
    class_weights=True,
    copies=2,
    augment=Augment(rotate=30, shift=0.05, zoom=0.1, flip_horizontal=True, contrast=0.2, channel_shift=0.05),
)
_SMALL = Member(name="hands", architecture="compact", settings={"width": 12, "stages": 5})

STUDY = Study(
    name="ra_staging",
    paper="001",
    question="At which stage of joint destruction is this hand?",
    rows="hands",
    view=View(draw=boxed, version=1, reads="pixels", settings=VIEW),
    targets=(scores("stage", 5),),
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
        "default": Recipe(members=(_SMALL,), training=_TRAINING),
        # Networks of different build err in different places; for those who have a GPU.
        "ensemble": Recipe(
            members=(
                _SMALL,
                Member(name="resnet18", architecture="resnet18"),
                Member(name="efficientnet", architecture="efficientnet_b2"),
            ),
            training=_TRAINING,
            heavy=True,
        ),
        **PUBLISHED,
    },
    printed=(
        # One-vs-rest averages at a threshold a class: no measure of ours, see docs/metric-audit.md.
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
