"""The parts of the body that a film without labelled joints can show, and from which sides each is taken."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from rajobs.phantoms.drawing.canvas import affine_map, compose_maps
from rajobs.phantoms.drawing.strokes import Pencil
from rajobs.phantoms.people.build import Build
from rajobs.phantoms.radiographs.other_parts import (
    ankle,
    finger,
    forearm,
    hands_and_wrists,
    hip_and_shoulder,
    jaw,
    limbs,
    skull,
    teeth,
    trunk,
)

Rectangle = tuple[float, float, float, float]  # mm: x0, y0, x1, y1


@dataclass(frozen=True, kw_only=True)
class BodyPart:
    """How a part of the body is drawn, and which rectangles of it a film can show."""

    draw: Callable[[Pencil, Build], None]
    whole: Rectangle
    position: str  # view position
    half: Rectangle | None = None  # the rectangle of films of one side
    sided: bool = False  # whether it is a left or a right part
    limb: bool = False  # whether helpers hold it where it is a child's
    grows: bool = False  # whether the rectangles are those of an average man, and a child's are smaller
    strip: float = 0.0  # share of films that are narrower than a cassette
    turned_share: float = 0.05  # share of films that lie on their side or upside down
    magnification: float = 1.0  # of the drawing over real size
    white: float = 99.0  # percentile of the attenuation that is shown white: what lies above it is burnt out
    frequency: float = 1.0  # of this view beside the other views of the same part


def _ignoring_build(draw: Callable[[Pencil], None]) -> Callable[[Pencil, Build], None]:
    """The drawing of a part that does not depend on the person's build."""
    return lambda pencil, _: draw(pencil)


def _trunk(draw: Callable[[Pencil], None], whole: Rectangle, position: str, turned_share: float,
           half: Rectangle | None = None) -> tuple[BodyPart, ...]:  # fmt: skip
    return (
        BodyPart(draw=_ignoring_build(draw), whole=whole, position=position, half=half, turned_share=turned_share),
    )  # fmt: skip


def _limb(draw: Callable[[Pencil], None], whole: Rectangle, turned_share: float) -> tuple[BodyPart, ...]:
    return (
        BodyPart(
            draw=_ignoring_build(draw), whole=whole, position="AP", sided=True, limb=True, strip=0.3,
            turned_share=turned_share,
        ),
    )  # fmt: skip


def _both_limbs(draw: Callable[[Pencil], None], whole: Rectangle) -> BodyPart:
    """A film of the left and the right limb side by side, which is rarer than one of a single limb."""
    reach = (whole[2] - whole[0]) / 2

    def draw_both(pencil: Pencil, _: Build) -> None:
        apart = reach * float(pencil.rng.uniform(0.85, 1.3))
        for mirror in (False, True):
            lean = float(pencil.rng.normal(0, 3))
            place = affine_map(lean, (apart if mirror else -apart, 0.0), mirror=mirror)
            draw(replace(pencil, to_px=compose_maps(pencil.to_px, place)))

    return BodyPart(
        draw=draw_both, whole=(-2.1 * reach, whole[1], 2.1 * reach, whole[3]), position="AP", limb=True, frequency=0.4
    )


def _hand(draw: Callable[[Pencil, Build], None], whole: Rectangle, position: str, *, white: float = 99.0,
          frequency: float = 1.0, strip: float = 0.15, limb: bool = False) -> BodyPart:  # fmt: skip
    """A view of hand, wrist, finger or forearm."""
    return BodyPart(
        draw=draw, whole=whole, position=position, sided=True, limb=limb, grows=True, strip=strip, turned_share=0.35,
        white=white, frequency=frequency,
    )  # fmt: skip


_WRIST: Rectangle = (-52, -64, 58, 96)
_FINGER: Rectangle = (-30, -106, 30, 26)
PARTS: Mapping[str, tuple[BodyPart, ...]] = MappingProxyType(
    {
        "chest": _trunk(trunk.draw_chest, (-165, -195, 165, 170), "PA", 0.02, (-150, -215, 150, 120)),
        "abdomen": _trunk(trunk.draw_abdomen, (-165, -205, 165, 205), "AP", 0.08),
        "spine": _trunk(trunk.draw_spine, (-110, -200, 110, 200), "AP", 0.08),
        "hip": _trunk(hip_and_shoulder.draw_hip, (-175, -160, 175, 160), "AP", 0.03, (-25, -130, 195, 190)),
        "skull": _trunk(skull.draw_skull, (-112, -148, 118, 125), "AP", 0.08),
        "neck": _trunk(skull.draw_skull, (-88, 8, 78, 200), "LL", 0.04),
        "jaw": _trunk(jaw.draw_jaw, (-140, -76, 140, 78), "PA", 0.04),
        "shoulder": (
            BodyPart(
                draw=_ignoring_build(hip_and_shoulder.draw_shoulder), whole=(-150, -90, 80, 160), position="AP",
                sided=True,
            ),
        ),
        "teeth": (
            BodyPart(
                draw=_ignoring_build(teeth.draw_few_teeth), whole=(-76, -58, 76, 58), position="AP",
                half=(-54, -70, 54, 70), turned_share=0.1, magnification=teeth.MAGNIFICATION,
            ),
        ),
        "knee": (
            *_limb(limbs.draw_knee, (-80, -160, 80, 150), 0.25),
            _both_limbs(limbs.draw_knee, (-80, -160, 80, 150)),
        ),
        "lower_leg": (
            *_limb(limbs.draw_lower_leg, (-75, -270, 75, 90), 0.25),
            _both_limbs(limbs.draw_lower_leg, (-75, -270, 75, 90)),
        ),
        "humerus": _limb(limbs.draw_upper_arm, (-75, -190, 75, 180), 0.15),
        "elbow": _limb(limbs.draw_elbow, (-70, -120, 90, 120), 0.3),
        "ankle": (
            BodyPart(
                draw=ankle.draw_front_ankle, whole=(-58, -95, 58, 90), position="AP", sided=True, limb=True, grows=True,
                strip=0.3, turned_share=0.2,
            ),
            BodyPart(
                draw=ankle.draw_ankle, whole=(-78, -120, 62, 98), position="LL", sided=True, limb=True, grows=True,
                strip=0.2, turned_share=0.25, frequency=0.7,
            ),
        ),
        "lateral_foot": (
            BodyPart(
                draw=ankle.draw_ankle, whole=(-95, -120, 215, 105), position="LL", sided=True, limb=True,
                turned_share=0.35,
            ),
        ),
        "forearm": (
            _hand(forearm.draw_front_forearm, (-70, -35, 80, 310), "AP", strip=0.5, limb=True),
            _hand(forearm.draw_side_forearm, (-90, -80, 90, 310), "LAT", strip=0.5, limb=True),
            _hand(forearm.draw_side_forearm, (-110, -210, 90, 310), "LAT", frequency=0.4, strip=0.5, limb=True),
        ),
        "wrist": (
            _hand(hands_and_wrists.draw_flat_wrist, _WRIST, "PA", frequency=1.4),
            _hand(hands_and_wrists.draw_oblique_wrist, _WRIST, "OBL", frequency=0.8),
            _hand(hands_and_wrists.draw_lateral_wrist, _WRIST, "LAT"),
        ),
        "finger": (
            _hand(finger.draw_flat_finger, _FINGER, "PA", strip=0.6),
            _hand(finger.draw_single_finger, (-34, -108, 34, 34), "LAT", white=90.0, frequency=1.4, strip=0.6),
            _hand(finger.draw_thumb, (-34, -76, 34, 60), "AP", white=96.0, strip=0.5),
        ),
        "hand_lateral": (_hand(hands_and_wrists.draw_lateral_hand, (-100, -195, 65, 80), "LAT", white=99.2),),
        "hand_oblique": (
            _hand(hands_and_wrists.draw_oblique_hand, (-100, -200, 100, 75), "OBL"),
            _hand(hands_and_wrists.draw_oblique_hands, (-175, -200, 175, 75), "OBL", frequency=0.3, strip=0.0),
        ),
        "hand_ball_catcher": (_hand(hands_and_wrists.draw_ball_catcher, (-135, -200, 135, 75), "OBL", strip=0.0),),
    }
)  # fmt: skip
"""By part, its views; the name of a part is also the kind of a film, but for a lateral foot, which is a foot."""
