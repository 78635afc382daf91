"""Where are the joints of this hand? A network locates every site, a cascade the ten of 004 (its first step)."""

from rajobs.imaging.extremities import upright, upright_place
from rajobs.imaging.rows import EXTREMITIES
from rajobs.learning.points import Points
from rajobs.learning.recipe import Augment, Member, Recipe, Training
from rajobs.learning.study import Printed, Study, View
from rajobs.records.anatomy import FINGER_JOINTS, HAND_SITES
from rajobs.records.splits import PrintedPatients

DEFAULT = Recipe(
    members=(Member(name="joints", architecture="landmarks", settings={"width": 12}, targets=("joints",)),),
    training=Training(
        epochs=30,
        batch_size=16,
        learning_rate=2e-3,
        copies=2,
        augment=Augment(
            rotate=25, shift=0.08, zoom=0.2, shear=6, contrast=0.3, channel_shift=0.1, noise=0.03, gamma=0.5, cover=0.4
        ),
    ),
)

# As in 004: it looks at the film itself and has learnt from clips of the ten finger joints and their mirror images. The
# clips had 40 to 80 pixels; drawn films of 768 pixels have joints of that size.
PUBLISHED = Recipe(
    view={"frame": "film", "size": 768},
    members=(
        Member(
            name="joints", architecture="haar", targets=("joints",), sees=FINGER_JOINTS, fit="cascade",
            settings={"least": 40 / 768, "most": 80 / 768},
        ),
    ),
    training=Training(epochs=14, augment=Augment(shift=0.04, zoom=0.1, flip_horizontal=True)),
)  # fmt: skip

STUDY = Study(
    name="joint_detection",
    paper="004",
    question="Where are the joints of this hand?",
    rows=EXTREMITIES,
    view=View(draw=upright, version=3, reads="pixels", settings={"size": 512, "frame": "hand"}, place=upright_place),
    points=Points(name="joints", point_names=tuple((None, site.name) for site in HAND_SITES)),
    headline="joints.accuracy",
    metrics=(),
    recipes={"default": DEFAULT, "published": PUBLISHED},
    printed=(
        Printed(what="finger joints found by the cascade", value=0.953),
        Printed(what="of PIP joints", value=0.983),
        Printed(what="of the thumbs' IP joints", value=0.867),
        Printed(what="of MCP joints", value=0.94),
    ),
    # The cascade learnt from all 186 films (1,860 clips and their mirror images) that the scores were learnt and
    # chosen by. The test patients are those of svdh_scoring where the same films have labels of both studies.
    printed_split=PrintedPatients(train=93, validation=0, test=15, images=2),
)
