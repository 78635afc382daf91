"""Joints, scored sites and score ranges of hands and feet (Sharp/van der Heijde; names as in the method).

A site is a place that gets a score; most sites are joints. A hand has 15 JSN and 16 erosion sites, a foot 6 and 6.
"""

from dataclasses import dataclass

SIDES = ("L", "R")
SCORES = ("jsn", "erosion")
PARTS = ("hand", "foot")
BODY_PARTS = (
    "HAND", "WRIST", "FINGER", "THUMB", "FOOT", "TOE", "ANKLE", "ARM", "FOREARM", "ELBOW", "HUMERUS", "SHOULDER",
    "CLAVICLE", "CHEST", "RIB", "STERNUM", "ABDOMEN", "PELVIS", "HIP", "FEMUR", "LEG", "KNEE", "TIBFIB", "CALCANEUS",
    "HEEL", "SKULL", "HEAD", "JAW", "NECK", "CSPINE", "TSPINE", "LSPINE", "SSPINE", "SPINE", "COCCYX", "EXTREMITY",
    "JOINT", "BREAST", "HEART", "WHOLEBODY",
)  # fmt: skip
"""What a film may show, as the headers of DICOM name it."""

MCP = ("MCP1", "MCP2", "MCP3", "MCP4", "MCP5")
PIP = ("PIP2", "PIP3", "PIP4", "PIP5")
DIP = ("DIP2", "DIP3", "DIP4", "DIP5")
THUMB_IP = "IP"
MTP = ("MTP1", "MTP2", "MTP3", "MTP4", "MTP5")
TOE_IP = "IP1"

# Paper 004 scores these ten. The thumb's IP has no JSN in the method: 004 scores it as an extra.
FINGER_JOINTS = (*MCP, THUMB_IP, *PIP)

CARPAL_JSN = ("CMC3", "CMC4", "CMC5", "STT", "CNL", "RC")
"""Carpometacarpal 3-5, multangular-navicular (STT), capitate-navicular-lunate (CNL), radiocarpal (RC)."""
CARPAL_EROSION = ("CMC1", "trapezium", "scaphoid", "lunate", "radius", "ulna")

CLINIC_JOINTS = ("wrist", *MCP, *PIP, THUMB_IP, *DIP)
"""The 15 joints per hand in the picture of paper 000."""

SCAN_SITES = (*CLINIC_JOINTS, *MTP, TOE_IP, "ankle", "knee", "hip", "elbow", "shoulder")
"""Where ultrasound is taken, as labels of scans name it."""


@dataclass(frozen=True, kw_only=True)
class Site:
    """A scored place: highest JSN and erosion (None: not scored), and whether its JSN counts in the method's total."""

    name: str
    part: str
    jsn_max: int | None = None
    erosion_max: int | None = None
    jsn_counts: bool = True

    def highest(self, score: str) -> int | None:
        """The highest JSN or erosion of the site; None if it has none."""
        return {"jsn": self.jsn_max, "erosion": self.erosion_max}[score]


def _site(name: str, part: str, jsn: bool, erosion: int | None, *, counts: bool = True) -> Site:
    return Site(name=name, part=part, jsn_max=4 if jsn else None, erosion_max=erosion, jsn_counts=jsn and counts)


HAND_SITES = (
    *(_site(name, "hand", True, 5) for name in (*MCP, *PIP)),
    _site(THUMB_IP, "hand", True, 5, counts=False),
    *(_site(name, "hand", True, None) for name in CARPAL_JSN),
    *(_site(name, "hand", False, 5) for name in CARPAL_EROSION),
)
FOOT_SITES = tuple(_site(name, "foot", True, 10) for name in (*MTP, TOE_IP))
SITES = {site.name: site for site in (*HAND_SITES, *FOOT_SITES)}

HAND_JSN_SITES = tuple(s.name for s in HAND_SITES if s.jsn_counts)
HAND_EROSION_SITES = tuple(s.name for s in HAND_SITES if s.erosion_max is not None)
assert len(HAND_JSN_SITES) == 15 and len(HAND_EROSION_SITES) == 16

JOINT_KINDS = {
    **dict.fromkeys(MCP, "MCP"),
    **dict.fromkeys(PIP, "PIP"),
    THUMB_IP: "IP",
    **dict.fromkeys((*CARPAL_JSN, *CARPAL_EROSION), "carpal"),
    **dict.fromkeys(MTP, "MTP"),
    TOE_IP: "toe IP",
}
"""Sites of one kind look alike, so that one network can learn them together."""
assert JOINT_KINDS.keys() == SITES.keys()

KINDS = (
    "wrist", "finger", "hand_lateral", "hand_oblique", "hand_ball_catcher", "forearm", "elbow", "humerus", "shoulder",
    "chest", "abdomen", "spine", "neck", "skull", "jaw", "teeth", "hip", "knee", "lower_leg", "ankle",
)  # fmt: skip
"""What a film of view other can be. A thumb is a finger; hands count as hands only from the back or the front, turned
by at most about 30 degrees."""
