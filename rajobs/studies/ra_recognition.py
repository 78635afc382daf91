"""Does this hand show rheumatoid arthritis? Single hands cut out of films, by five well-known networks (paper 001)."""

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


def published(architecture: str) -> Recipe:
    """One of the paper's networks as the paper trained it; the ranges of its augmentation are not printed."""
    member = Member(name=architecture, architecture=architecture, ordered=False, weights="imagenet")
    training = Training(
        epochs=100,
        batch_size=64,
        optimiser="adamw",
        learning_rate=1e-5,
        weight_decay=1e-2,
        schedule="constant",
        augment=Augment(rotate=15, shift=0.1, flip_horizontal=True, flip_vertical=True),
    )
    view = {"shows": "hand", "size": 224, "margin": 0.0, "upright": False, "mirror": False, "levels": "film"}
    return Recipe(view=view, members=(member,), training=training, calibrate=False, heavy=True)


PUBLISHED = {
    "published": published("resnet50"),
    **{f"published-{name}": published(name) for name in ("alexnet", "vgg16", "googlenet", "efficientnet_b2")},
}
"""The paper compares five networks; ra_staging has the same ones."""

STUDY = Study(
    name="ra_recognition",
    paper="001",
    question="Does this hand show rheumatoid arthritis?",
    rows=EXTREMITIES,
    view=View(draw=handed, version=3, reads="pixels", settings=VIEW),
    targets=(Nominal(name="ra", classes=("0", "1")),),
    scores=ScoreStep(table="extremities", columns=(AnswerColumns(target="ra", p_of={"1": "ra_p"}),)),
    headline="ra.auc",
    recipes={"default": Recipe(members=(JOINTS,), training=TRAINING), **PUBLISHED},
    printed=(
        Printed(what="AUC of ResNet50 on 104 hands", value=0.9303, metric="ra.auc"),
        Printed(what="accuracy of ResNet50 on 104 hands", value=0.9519, metric="ra.accuracy"),
        Printed(what="AUC of GoogLeNet, the best of five", value=0.9780),
        Printed(what="accuracy of VGG16, the best of five", value=0.9712),
    ),
    printed_split=PrintedSplit(target="ra", learn={"0": 26, "1": 214}, test={"0": 13, "1": 91}),
)
