"""How narrow and how eroded is a joint? Sharp/van der Heijde scores of patches around the joints (paper 004)."""

from rajobs.imaging.rows import JOINTS
from rajobs.imaging.views import boxed
from rajobs.learning.recipe import Augment, Member, Recipe, Training
from rajobs.learning.study import AnswerColumns, Printed, ScoreStep, Study, View
from rajobs.learning.targets import NO, YES, Nominal, scores
from rajobs.records.anatomy import FINGER_JOINTS, JOINT_KINDS
from rajobs.records.splits import PrintedPatients

VIEW = {"size": 96, "margin": 0.1, "upright": True, "mirror": True, "levels": "own"}
DEFAULT = Recipe(
    members=(Member(name="joints", architecture="compact", settings={"width": 16, "stages": 4}, by_kind=True),),
    training=Training(
        epochs=16,
        batch_size=128,
        learning_rate=4e-3,
        norm_rows=16,
        augment=Augment(rotate=25, shift=0.05, zoom=0.1, flip_horizontal=True, contrast=0.2, channel_shift=0.05),
    ),
)

# To learn from drawings alone. A drawn joint has the shape of a real one but not its style. So the style changes by
# chance each time that a joint is shown: brightness, contrast, sharpness, shadows and noise. Its place changes by as
# much as the finder errs on real hands, a third of a joint's width: a toddler's joint that lay off the middle of its
# box was taken for a destroyed one.
DRAWN = Recipe(
    view={"size": 112, "margin": 0.1},
    members=(Member(name="joints", architecture="compact", settings={"width": 16, "stages": 4}, by_kind=True),),
    training=Training(
        epochs=12,
        batch_size=128,
        learning_rate=3e-3,
        norm_rows=16,
        copies=8,  # of a drawn film: drawing it takes longer than learning it eight times
        augment=Augment(
            rotate=18, shift=0.12, zoom=0.18, shear=8, flip_horizontal=True, contrast=0.5, gamma=0.8, noise=0.05,
            channel_shift=0.15, sharpen=2.0, shade=0.12, cover=0.15,
        ),
    ),
)  # fmt: skip

# 004's two networks: the one for erosion has batch norm, and each was stopped at its lowest validation loss. Channels,
# learning rate and weight decay are not printed. In a small cohort a batch of 512 is the whole training part.
# Every clip is there six times, in training and in validation: 8,760 clips of 146 films, 2,400 of 40.
_SIX_COPIES = Augment(rotate=10, flip_horizontal=True, fixed=True)
PUBLISHED = Recipe(
    view={"size": 48, "margin": 0.0, "upright": False, "mirror": False, "levels": "film"},
    members=(
        Member(
            name="jsn", architecture="conv2", targets=("jsn",), ordered=False,
            training=Training(
                epochs=40, batch_size=512, optimiser="adam", learning_rate=1e-3, weight_decay=0.0, schedule="constant",
                augment=_SIX_COPIES,
            ),
        ),
        Member(
            name="erosion", architecture="conv2", settings={"batch_norm": True}, targets=("erosion",), ordered=False,
            groups=tuple((str(score),) for score in range(6)),  # the paper has no feet, whose scores go up to 10
            training=Training(
                epochs=110, batch_size=512, optimiser="adam", learning_rate=1e-3, weight_decay=0.0, schedule="constant",
                augment=_SIX_COPIES,
            ),
        ),
    ),
    sites=FINGER_JOINTS,
    calibrate=False,
)  # fmt: skip

STUDY = Study(
    name="svdh_scoring",
    paper="004",
    question="How narrow and how eroded is this joint?",
    rows=JOINTS,
    view=View(draw=boxed, version=3, reads="pixels", settings=VIEW),
    targets=(scores("jsn", 4), scores("erosion", 10), Nominal(name="assessable", classes=(NO, YES))),
    assessable="assessable",  # a space that is hidden by a bent finger or by overlap has no score, rather than a guess
    scores=ScoreStep(
        table="joints",
        columns=(
            *(
                AnswerColumns(target=name, answer=name, p=f"{name}_p", conformal=f"{name}_set")
                for name in ("jsn", "erosion")
            ),
            AnswerColumns(target="assessable", p_of={YES: "assessable_p"}),
        ),
    ),
    headline="erosion.qwk",
    metrics=(
        "accuracy", "within_one", "qwk", "kappa_linear", "mae", "balanced_accuracy", "any_sensitivity",
        "any_specificity", "sensitivity_at_90", "specificity_at_90", "calibration_error", "weighted_rmse",
    ),
    summed=("jsn", "erosion"),
    recipes={"default": DEFAULT, "published": PUBLISHED, "drawn": DRAWN},
    printed=(
        Printed(what="JSN, share of equal scores, model against clinician 1, 286 joints", value=0.654,
                metric="jsn.accuracy"),
        Printed(what="JSN, share of equal scores, between the clinicians, 299 joints", value=0.555),
        Printed(what="erosion, share of equal scores, model against clinician 1, 286 joints", value=0.741,
                metric="erosion.accuracy"),
        Printed(what="erosion, share of equal scores, between the clinicians, 299 joints", value=0.706),
    ),
    # 216 films of single hands, two per patient: 146 for training, 40 for validation, 30 for the test.
    printed_split=PrintedPatients(train=73, validation=20, test=15, images=2),
    kinds=JOINT_KINDS,
    printed_kinds={"PIP": "PIP and IP", "IP": "PIP and IP", "MCP": "MCP"},
)  # fmt: skip
