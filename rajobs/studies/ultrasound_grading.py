"""How active is this joint in power Doppler, and how thick its synovium? Learnt from drawings first (paper 002)."""

from rajobs.imaging.rows import ULTRASOUND
from rajobs.imaging.views import scanned
from rajobs.learning.recipe import Augment, Member, Recipe, Training, trials
from rajobs.learning.study import AnswerColumns, Printed, Rule, ScoreStep, Study, View
from rajobs.learning.targets import scores
from rajobs.records.scan_grades import FLOW, GREY, WITHOUT_COLOUR

DEFAULT = Recipe(
    view={"size": 160, "fit": "pad"},
    members=(Member(name="scans", architecture="compact", settings={"width": 12, "stages": 5}),),
    drawn=0.5,  # 002 suggests to mix drawn and real images
    training=Training(
        epochs=30,
        batch_size=32,
        learning_rate=3e-3,
        class_weights=True,
        copies=2,
        augment=Augment(rotate=10, shift=0.08, zoom=0.15, flip_horizontal=True, contrast=0.2, channel_shift=0.05),
    ),
)

# 002's VGG16 for power Doppler only: 11 epochs, batches of 32, the replaced layer with ten times the learning rate. The
# optimiser and the augmentation are not printed.
PUBLISHED = Recipe(
    view={"size": 224, "fit": "stretch"},
    members=trials(
        Member(name="trial", architecture="vgg16", targets=("grade",), ordered=False, weights="imagenet"), 3
    ),
    combine="middle",
    training=Training(
        epochs=11,
        batch_size=32,
        optimiser="sgd",
        learning_rate=1e-4,
        head_rate=10.0,
        weight_decay=1e-4,
        schedule="constant",
        augment=Augment(rotate=10, shift=0.05, flip_horizontal=True),
    ),
    calibrate=False,
    heavy=True,
)  # fmt: skip

STUDY = Study(
    name="ultrasound_grading",
    paper="002",
    question="How strong is the power-Doppler signal in this joint, and how thick its synovium?",
    rows=ULTRASOUND,
    view=View(draw=scanned, version=1, reads="pixels", settings={"size": 160, "fit": "pad"}),
    targets=(scores(FLOW, 3), scores(GREY, 3)),
    rules=(
        Rule(
            target=FLOW, column="doppler", value=False, answer=str(WITHOUT_COLOUR),
            sentence="A frame without a colour signal has Doppler grade 0 by rule, as in score: no model is asked.",
        ),
    ),
    scores=ScoreStep(
        table="ultrasound",
        columns=tuple(AnswerColumns(target=name, answer=name, p=f"{name}_p") for name in (FLOW, GREY)),
    ),
    headline="grade.qwk",
    metrics=(
        "accuracy", "within_one", "qwk", "kappa_linear", "mae", "balanced_accuracy", "any_sensitivity",
        "any_specificity", "calibration_error",
    ),
    recipes={"default": DEFAULT, "published": PUBLISHED},
    printed=(
        Printed(what="linear kappa, first model, 156 real images", value=0.62, metric="grade.kappa_linear"),
        Printed(what="linear kappa, second model, after drawings like an error", value=0.69),
        Printed(what="five-fold accuracy on 875 drawings", value=0.99543),
    ),
)  # fmt: skip
