"""Films of the trunk: chest, abdomen and spine. Coordinates in mm, y downwards."""

import numpy as np

from rajobs.phantoms.drawing.bones import closed_curve
from rajobs.phantoms.drawing.strokes import Pencil, mirror_points
from rajobs.phantoms.radiographs.other_parts.lateral_chest import draw_lateral_chest


def draw_vertebra(pencil: Pencil, x: float, y: float, width: float, height: float, *, dense: float = 1.0) -> None:
    """Adds a vertebral body from the front, with pedicles and spinous process."""
    w, h = width / 2, height / 2
    box = np.array(
        [
            (-w, -h),
            (-0.4 * w, -0.92 * h),
            (0.4 * w, -0.92 * h),
            (w, -h),
            (0.86 * w, 0),
            (w, h),
            (0.4 * w, 0.92 * h),
            (-0.4 * w, 0.92 * h),
            (-w, h),
            (-0.86 * w, 0),
        ]
    )
    box = box + np.array([x, y])
    pencil.add_bone(box, cortex=1.0, marrow=0.13, depth=0.5 * dense, grain=0.25)
    for side in (-1, 1):
        ring = np.linspace(0, 2 * np.pi, 9)
        pencil.add_band(
            np.column_stack([x + side * 0.62 * w + 3.0 * np.cos(ring), y - 0.25 * h + 4.6 * np.sin(ring)]),
            width=2.2,
            inside=1.2 * dense,
            edge=1.8 * dense,
        )
    pencil.add_band(
        [(x, y + 0.1 * h), (x + 0.5, y + 0.6 * h), (x, y + 1.15 * h)], width=5.0, inside=1.6 * dense, edge=2.4 * dense
    )


def draw_vertebral_column(
    pencil: Pencil,
    top: float,
    bottom: float,
    *,
    width: tuple[float, float],
    height: tuple[float, float],
    dense: float,
    ribs: bool,
) -> None:
    """Adds a slightly curved column of vertebrae that become larger downwards."""
    bend, phase = float(pencil.rng.normal(0, 5)), float(pencil.rng.uniform(0, 6))
    y = top
    while y < bottom:
        share = (y - top) / max(bottom - top, 1)
        h = height[0] + (height[1] - height[0]) * share
        w = width[0] + (width[1] - width[0]) * share
        x = bend * np.sin(share * 3 + phase)
        draw_vertebra(pencil, x, y + h / 2, w, 0.82 * h, dense=dense)
        if not ribs:
            for side in (-1, 1):
                pencil.add_band(
                    [
                        (x + side * 0.5 * w, y + 0.4 * h),
                        (x + side * 0.85 * w, y + 0.36 * h),
                        (x + side * 1.1 * w, y + 0.3 * h),
                    ],
                    width=6.0,
                    inside=0.9 * dense,
                    edge=1.6 * dense,
                )
        y += h


_LUNG = (
    (-22, -128),
    (-48, -142),
    (-84, -118),
    (-112, -62),
    (-126, 10),
    (-130, 84),
    (-118, 104),
    (-86, 84),
    (-50, 76),
    (-32, 84),
    (-26, 40),
    (-22, -20),
    (-20, -90),
)


def _draw_lung_vessels(pencil: Pencil, side: int) -> None:
    """Adds the vessels of one lung."""
    for _ in range(26):
        angle = pencil.rng.uniform(-1.25, 1.25) + (np.pi if side < 0 else 0)
        length = pencil.rng.uniform(25, 85)
        at = np.array([side * 32.0, -8.0 + pencil.rng.normal(0, 14)])
        step = np.array([np.cos(angle), np.sin(angle)]) * length / 3
        line = [at + step * k + pencil.rng.normal(0, 3, 2) for k in range(4)]
        pencil.add_band(np.array(line), width=float(pencil.rng.uniform(1.2, 4.0)), inside=0.9, edge=0.7)


def _draw_ribs(pencil: Pencil, side: int, dense: float) -> None:
    """Adds the ribs of one side."""
    for k in range(10):
        y = -138 + 25 * k
        reach = np.interp(k, (0, 1, 3, 6, 9), (58, 88, 118, 134, 138))
        drop = np.interp(k, (0, 4, 9), (18, 42, 62))
        back = [
            (side * 14, y),
            (side * 0.35 * reach, y - 9),
            (side * 0.75 * reach, y + 0.25 * drop),
            (side * reach, y + drop),
        ]
        pencil.add_band(back, width=float(np.interp(k, (0, 4), (10, 12.5))), inside=1.5 * dense, edge=3.0 * dense)
        if k < 7:
            low = y + drop
            front = [
                (side * reach, low),
                (side * 0.93 * reach, low + 26),
                (side * 0.62 * reach, low + 48),
                (side * 0.36 * reach, low + 52),
            ]
            pencil.add_band(front, width=13, inside=0.9 * dense, edge=1.8 * dense)


def draw_chest(pencil: Pencil) -> None:
    """A chest from the front or from the side."""
    if pencil.rng.random() < 0.25:
        draw_lateral_chest(pencil)
        return
    width, breasts = pencil.rng.uniform(0.9, 1.1), pencil.rng.random() < 0.45
    trunk = np.array(
        [
            (-60, -230),
            (-70, -185),
            (-165, -165),
            (-215, -120),
            (-190, -40),
            (-165, 60),
            (-160, 230),
            (160, 230),
            (165, 60),
            (190, -40),
            (215, -120),
            (165, -165),
            (70, -185),
            (60, -230),
        ]
    )
    pencil.add_body([closed_curve(trunk * (width, 1), 5)], round_mm=70, thickness=66)
    air = float(pencil.rng.uniform(26, 50))
    top = float(pencil.rng.normal(0, 10))
    left = mirror_points(_LUNG) * (1, 0.94)
    pencil.add_mass(np.array(_LUNG) + np.array([0, top]), -air, blur=2.0)
    pencil.add_mass(left + np.array([0, top]), -air, blur=2.0)
    density = float(pencil.rng.uniform(0.4, 1.3))
    heart_size = pencil.rng.uniform(0.85, 1.25)
    heart = np.array(
        [
            (-30, -60),
            (-22, -110),
            (20, -110),
            (34, -75),
            (38, -40),
            (62, 10),
            (92 * heart_size, 62),
            (80 * heart_size, 92),
            (20, 96),
            (-38, 92),
            (-48, 40),
            (-34, -10),
        ]
    )
    pencil.add_mass(heart, float(pencil.rng.uniform(20, 30)), blur=2.5)
    draw_vertebral_column(pencil, -240, 230, width=(26, 44), height=(20, 32), dense=0.5 * density, ribs=True)
    for side in (-1, 1):
        _draw_ribs(pencil, side, density)
        _draw_lung_vessels(pencil, side)
        rise = float(pencil.rng.normal(0, 8))
        pencil.add_band(
            [(side * 14, -122), (side * 50, -136 + rise), (side * 100, -146 + rise), (side * 160, -150 + rise)],
            width=12,
            inside=2.4,
            edge=4.6,
        )
        blade = np.array([(118, -150), (150, -130), (140, -70), (128, -10), (112, -40), (104, -110)]) * (side, 1)
        pencil.add_bone(blade, cortex=0.7, marrow=0.02, depth=0.5)
        pencil.add_bone(
            np.array(
                [(158, -150), (186, -152), (200, -126), (196, -80), (204, 300), (182, 300), (176, -80), (160, -118)]
            )
            * (side, 1),
            cortex=3.0,
            marrow=0.08,
            depth=0.5,
        )
        if breasts:
            pencil.add_mass(np.array([(30, 40), (130, 30), (150, 90), (90, 140), (34, 110)]) * (side, 1), 9, blur=5)
    if pencil.rng.random() < 0.7:
        pencil.add_blobs(np.array([(40.0, 95.0), (95.0, 150.0)]), 2, (12, 26), (-20, -8))
    if pencil.rng.random() < 0.25:
        pencil.add_blobs(np.array([(-100.0, -80.0), (100.0, 60.0)]), int(pencil.rng.integers(1, 9)), (6, 22), (6, 22))
    if pencil.rng.random() < 0.25:
        start = pencil.rng.uniform(-120, 120)
        pencil.add_band(
            np.array([(start, -240), (start * 0.7, -120), (start * 0.2, -40), (10, 30)]), width=1.6, inside=4, edge=4
        )


def draw_abdomen(pencil: Pencil) -> None:
    """An abdomen with bowel gas."""
    trunk = np.array(
        [(-150, -240), (-160, -100), (-172, 60), (-180, 240), (180, 240), (172, 60), (160, -100), (150, -240)]
    ) * (float(pencil.rng.uniform(0.85, 1.15)), 1)
    pencil.add_body([closed_curve(trunk, 5)], round_mm=70, thickness=74)
    draw_vertebral_column(pencil, -240, 120, width=(40, 52), height=(30, 39), dense=1.0, ribs=False)
    for side in (-1, 1):
        for k in range(3):
            y = -210 + 26 * k
            pencil.add_band(
                np.array([(18, y), (60, y + 4), (105, y + 40), (130, y + 80)]) * (side, 1),
                width=11,
                inside=1.0,
                edge=2.2,
            )
        wing = np.array([(26, 140), (60, 96), (110, 92), (140, 130), (134, 170), (112, 215), (70, 225), (40, 190)]) * (
            side,
            1,
        )
        pencil.add_bone(wing, cortex=1.8, marrow=0.045, depth=0.42)
        psoas = np.array([(24, -60), (34, -40), (66, 90), (80, 160), (40, 160), (26, 60)]) * (side, 1)
        pencil.add_mass(psoas, 7, blur=1.6)
    pencil.add_bone(
        [(-48, 124), (0, 116), (48, 124), (36, 180), (0, 230), (-36, 180)], cortex=1.2, marrow=0.1, depth=0.4
    )
    pencil.add_mass([(-130, -170), (-40, -190), (-10, -120), (-60, -70), (-120, -40)], 10, blur=4)
    pencil.add_blobs(np.array([(-130.0, -120.0), (130.0, 170.0)]), int(pencil.rng.integers(8, 34)), (6, 24), (-28, -6))


def draw_spine(pencil: Pencil) -> None:
    """The lumbar or the cervical spine, from the front or from the side."""
    lumbar, lateral = pencil.rng.random() < 0.6, pencil.rng.random() < 0.5
    scale = 1.0 if lumbar else 0.55
    width = 130 if lumbar else 62
    trunk = np.array(
        [(-width, -260), (-0.95 * width, 0), (-1.1 * width, 260), (1.1 * width, 260), (0.95 * width, 0), (width, -260)]
    )
    pencil.add_body([closed_curve(trunk, 5)], round_mm=60 * scale, thickness=76 * scale + 10)
    if not lateral:
        draw_vertebral_column(
            pencil, -250, 250, width=(44 * scale, 54 * scale), height=(34 * scale, 40 * scale), dense=1.4, ribs=False
        )
        if lumbar:
            pencil.add_bone(
                [(-52, 170), (0, 162), (52, 170), (40, 240), (-40, 240)], cortex=1.4, marrow=0.12, depth=0.5
            )
            pencil.add_blobs(np.array([(-120.0, -150.0), (120.0, 220.0)]), 8, (8, 22), (-22, -6))
        return
    curve, y, k = float(pencil.rng.uniform(12, 34)) * scale, -250.0, 0
    while y < 240:
        h = (36 + k * 0.5) * scale
        x = -curve * np.cos((y + 40) / 170)
        tilt = np.rad2deg(np.arctan(curve / 170 * np.sin((y + 40) / 170)))
        w = 38 * scale
        box = np.array(
            [
                (-w / 2, -h * 0.42),
                (0, -h * 0.37),
                (w / 2, -h * 0.42),
                (w * 0.44, 0),
                (w / 2, h * 0.42),
                (0, h * 0.37),
                (-w / 2, h * 0.42),
                (-w * 0.44, 0),
            ]
        )
        turn = np.deg2rad(-tilt)
        box = box @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]) + (x, y)
        pencil.add_bone(box, cortex=1.3, marrow=0.16, depth=0.55)
        pencil.add_band(
            [(x + w * 0.5, y - 0.2 * h), (x + w * 0.85, y + 0.05 * h), (x + w * 1.0, y + 0.4 * h)],
            width=9 * scale,
            inside=2.0,
            edge=3.2,
        )
        pencil.add_band(
            [(x + w * 0.95, y + 0.2 * h), (x + w * 1.4, y + 0.5 * h), (x + w * 1.7, y + 0.75 * h)],
            width=13 * scale,
            inside=1.4,
            edge=2.6,
        )
        y, k = y + h, k + 1
