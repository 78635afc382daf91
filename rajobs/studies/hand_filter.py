"""Which films show a hand? Pixels decide, since headers say HAND or EXTREMITY for other parts too (paper 003)."""

from dataclasses import replace

from rajobs.imaging.extremities import whole_place
from rajobs.imaging.rows import FILMS
from rajobs.imaging.views import BILINEAR, whole
from rajobs.learning.points import Points
from rajobs.learning.recipe import Augment, Member, Recipe, Training
from rajobs.learning.study import AnswerColumns, Printed, ScoreStep, Study, View
from rajobs.learning.targets import Nominal
from rajobs.records.anatomy import HAND_SITES, KINDS, SIDES
from rajobs.records.splits import PrintedSplit
from rajobs.records.tables.schemas import VIEWS

DEFAULT = Recipe(
    view={"size": 128, "fit": "pad"},
    members=(Member(name="views", architecture="compact", settings={"width": 12, "stages": 5}),),
    training=Training(
        epochs=20,
        batch_size=32,
        learning_rate=3e-3,
        copies=4,
        norm_rows=16,
        augment=Augment(
            rotate=20, quarter_turns=True, shift=0.1, zoom=0.2, flip_horizontal=True, contrast=0.3, channel_shift=0.1
        ),
    ),
)

# The view of a film, and its left and right hands by the rough positions of their joints, on the small preview. A
# network that has to locate joints can distinguish a hand from a foot by them, at any size and angle.
HANDS = Recipe(
    view={"size": 256, "fit": "pad"},
    members=(
        Member(
            name="hands",
            architecture="landmarks",
            settings={"width": 12, "closer": False},
            targets=("hands", "view", "kind"),
        ),
    ),
    training=Training(
        epochs=30,
        batch_size=16,
        learning_rate=2e-3,
        copies=3,
        augment=Augment(
            rotate=180, shift=0.1, zoom=0.5, shear=8, contrast=0.3, channel_shift=0.1, noise=0.03, gamma=0.5, cover=0.3
        ),
    ),
)

# 003's two networks and its copies, kept beside the films themselves: M1 sees unilateral hands 11 times and the rest 5
# times; M2 sees both hands 11 times and other parts 3 times, and never a unilateral hand, so M1 must answer first.
# Films are resized by bilinear interpolation right after loading. Ranges, dropout and optimiser are not printed, nor
# whether the fifth that validates was cut off before copying, as here, or after it ("published-cut-after", a leak).
# Glorot uniform is printed for the convolutions alone; that the other layers start alike is assumed.
PUBLISHED = Recipe(
    view={"size": 252, "fit": BILINEAR},
    members=(
        Member(
            name="m1", architecture="conv4", targets=("view",), groups=(("unilateral",), ("both", "foot", "other")),
            copies={"unilateral": 11},
        ),
        Member(
            name="m2", architecture="conv4", targets=("view",), groups=(("both",), ("foot", "other")),
            sees=("both", "foot", "other"), copies={"both": 11, "foot": 3, "other": 3},
        ),
    ),
    combine="first_yes",
    training=Training(
        epochs=40,
        batch_size=32,
        optimiser="adam",
        learning_rate=1e-4,
        weight_decay=0.0,
        schedule="constant",
        copies=5,
        copying="kept",
        augment=Augment(rotate=15, shift=0.1, zoom=0.1, shear=10, channel_shift=0.1, flip_horizontal=True),
    ),
    calibrate=False,
    heavy=True,
)  # fmt: skip
CUT_AFTER = replace(PUBLISHED, training=replace(PUBLISHED.training, validation_cut="after"))

STUDY = Study(
    name="hand_filter",
    paper="003",
    question="Does this film show one hand, both hands, a foot or something else?",
    rows=FILMS,
    view=View(
        draw=whole, version=1, reads="preview", settings={"size": 128, "fit": "pad"}, fits_from_pixels=(BILINEAR,),
        place=whole_place,
    ),
    targets=(Nominal(name="view", classes=VIEWS), Nominal(name="kind", classes=KINDS)),
    points=Points(name="hands", point_names=tuple((side, site.name) for side in SIDES for site in HAND_SITES)),
    scores=ScoreStep(
        table="films",
        columns=(
            AnswerColumns(
                target="view", answer="view", p_of={view: f"{view}_p" for view in VIEWS}, disagreement="disagreement"
            ),
            AnswerColumns(target="kind", answer="kind", least_p=0.5, where={"view": "other"}),
        ),
        passes=("unilateral", "both"),
    ),
    headline="view.balanced_accuracy",
    recipes={"default": DEFAULT, "published": PUBLISHED, "published-cut-after": CUT_AFTER, "hands": HANDS},
    printed=(
        Printed(what="accuracy of three classes on 206 films", value=1.0, metric="view.accuracy_as_printed"),
        Printed(
            what="accuracy of unilateral hand or not (no k/206: most likely of validation)", value=0.9517,
            metric="m1.accuracy", part="validation",
        ),
        Printed(
            what="accuracy of both hands or not (the same)", value=0.9789, metric="m2.accuracy", part="validation"
        ),
    ),
    printed_split=PrintedSplit(
        target="view",
        learn={"unilateral": 213, "both": 104, "other": 524},
        # The classes of the 206 test films are not printed: they get the same shares.
        test={"unilateral": 52, "both": 26, "other": 128},
    ),
    merged_classes={"foot": "other"},
)  # fmt: skip
