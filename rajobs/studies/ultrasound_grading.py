"""How active is this joint in power Doppler, and how thick its synovium? Learnt from drawings first (paper 002)."""

from dataclasses import replace

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

# 002's VGG16 for power Doppler only: 11 epochs, batches of 32, the replaced layer with ten times the learning rate and
# a dropout of 0.3 after it (VGG's own two stay at 0.5), validated every 30 steps. Its figures are representative of
# three trials: the one in the middle answers, and all are shown. The augmentation is not printed. The optimiser, and
# that the last step's weights are kept, are the defaults of the software that it names.
PUBLISHED = Recipe(
    view={"size": 224, "fit": "stretch"},
    members=trials(
        Member(
            name="trial", architecture="vgg16", targets=("grade",), ordered=False, head_dropout=0.3, weights="imagenet"
        ),
        3,
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
        validate_every=30,
        keep="last",
        augment=Augment(rotate=10, shift=0.05, flip_horizontal=True),
    ),
    calibrate=False,
    heavy=True,
)  # fmt: skip

# The five-fold cross-validation on the drawings: of one network, since a fold trains each member anew.
FOLDED = replace(
    PUBLISHED, members=(replace(PUBLISHED.members[0], name="vgg16"),), combine="mean", folds=5
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
        "accuracy", "kappa_linear", "qwk", "within_one", "mae", "balanced_accuracy", "any_sensitivity",
        "any_specificity", "calibration_error",
    ),
    majority=(FLOW, GREY),  # 002: two raters, a third where they differ; kept where two of them agree
    recipes={"default": DEFAULT, "published": PUBLISHED, "published-folds": FOLDED},
    printed=(
        Printed(what="linear kappa, first model, 156 real images", value=0.62, metric="grade.kappa_linear"),
        Printed(
            what="linear kappa, second model, after drawings like an error", value=0.69, metric="grade.kappa_linear",
            seeded=True,
        ),
        Printed(
            what="five-fold accuracy on 875 drawings, 871 of them right", value=0.99543, metric="grade.accuracy",
            part="folds",
        ),
    ),
)  # fmt: skip
