"""What paper 000 prints about its patients (tables 2, 3 and 4), and assumptions where it prints nothing.

A continuous variable is described by known points, (share of the patients, value), between which values are
interpolated with a long upper tail. Shares other than 0, 1/2 and 1 (onset: 1/4 and 3/4) are assumptions.
"""

from collections.abc import Mapping
from types import MappingProxyType

Points = tuple[tuple[float, float], ...]


def _range(median: float, low: float, high: float) -> Points:
    return (0.0, low), (0.5, median), (1.0, high)


def _onset(median: float, lower: float, upper: float) -> Points:
    # Median and quartiles are printed; the ends, 1 day and 10 years, are assumed.
    return (0.0, 1.0), (0.25, lower), (0.5, median), (0.75, upper), (1.0, 3650.0)


NUMBERS: Mapping[tuple[str, bool], Mapping[str, Points]] = MappingProxyType(
    {
        ("learning", True): {
            "rf": _range(68, 0, 2265),
            # The median is not printed. Assumed: 32 U/mL, as two in three early patients are positive.
            "acpa": ((0.0, 0.0), (0.34, 4.4), (0.5, 32.0), (1.0, 3519.0)),
            "esr": _range(36, 5, 111),
            "onset_days": _onset(60, 30, 120),
            "crp": _range(0.63, 0, 14.8),
            "mmp3": _range(116, 16, 706),
            "wbc": _range(7200, 2700, 12200),
            # The medians of the temperature are not printed. Assumed: 36.5 without RA, 36.6 with it.
            "temperature": _range(36.6, 35.8, 37.4),
            "patient_vas": _range(35, 0, 90),
            "doctor_vas": _range(10, 0, 80),
        },
        ("learning", False): {
            "rf": _range(5, 0, 810),
            "acpa": ((0.0, 0.0), (0.94, 0.0), (1.0, 145.0)),  # median 0; 6 in 100 above 0 is assumed
            "esr": _range(10, 5, 67),
            "onset_days": _onset(60, 30, 360),
            "crp": _range(0.05, 0, 5.6),
            "mmp3": _range(38.3, 10, 155),
            "wbc": _range(5700, 2100, 12800),
            "temperature": _range(36.5, 35.8, 37.8),
            "patient_vas": _range(10, 0, 90),
            "doctor_vas": _range(1, 0, 60),
        },
        ("testing", True): {
            "rf": _range(13, 0, 236),
            "acpa": _range(2.4, 0, 680),
            "esr": _range(26, 6, 98),
            "onset_days": _onset(150, 56, 315),
            "crp": _range(0.68, 0.06, 11.1),
            "mmp3": _range(97.7, 49.1, 195),
            "wbc": _range(7150, 4900, 10800),
            "temperature": _range(36.6, 36.0, 37.2),
            "patient_vas": _range(35, 0, 90),
            "doctor_vas": _range(22.5, 0, 88),
        },
        ("testing", False): {
            "rf": _range(5, 0, 313),
            "acpa": ((0.0, 0.0), (0.94, 0.0), (1.0, 724.0)),
            "esr": _range(10, 4, 59),
            "onset_days": _onset(60, 25, 365),
            "crp": _range(0.035, 0.01, 1.67),
            "mmp3": _range(37.3, 22.2, 70.1),
            "wbc": _range(6100, 2900, 13400),
            "temperature": _range(36.5, 35.8, 37.0),
            "patient_vas": _range(30, 0, 80),
            "doctor_vas": _range(6, 0, 70),
        },
    }
)

SHARES: Mapping[tuple[str, bool], Mapping[str, tuple[int, int]]] = MappingProxyType(
    {
        ("learning", True): {"female": (150, 252), "skin": (0, 252), "trunk_pain": (36, 252)},
        ("learning", False): {"female": (585, 785), "skin": (25, 785), "trunk_pain": (168, 785)},
        ("testing", True): {"female": (6, 10), "skin": (0, 10), "trunk_pain": (1, 10)},
        ("testing", False): {"female": (34, 40), "skin": (1, 40), "trunk_pain": (5, 40)},
    }
)
"""Count of patients and total, by part and RA."""

TITRES = (0, 40, 80, 160, 320, 640, 1280, 2560)
ANA: Mapping[tuple[str, bool], tuple[float, ...]] = MappingProxyType(
    {  # Median and maximum are printed; the other shares are assumed.
        ("learning", True): (0.56, 0.18, 0.12, 0.08, 0.04, 0.02, 0.0, 0.0),
        ("learning", False): (0.62, 0.15, 0.10, 0.06, 0.03, 0.02, 0.01, 0.01),
        ("testing", True): (0.25, 0.20, 0.35, 0.20, 0.0, 0.0, 0.0, 0.0),
        ("testing", False): (0.65, 0.15, 0.10, 0.05, 0.03, 0.01, 0.01, 0.0),
    }
)

DIGITS: Mapping[str, int] = MappingProxyType({"acpa": 1, "crp": 3, "mmp3": 1, "temperature": 1})
"""Decimal places; 0 for all other variables."""
TAIL_EXPONENTS: Mapping[str, float] = MappingProxyType({"temperature": 1.3, "wbc": 1.3, "patient_vas": 1.1})
"""Exponent of the last segment, else 3; assumed. 1 spreads values evenly, more moves them to its lower end."""
ACTIVITY_CORRELATION: Mapping[str, float] = MappingProxyType(
    {"esr": 0.6, "crp": 0.7, "mmp3": 0.5, "patient_vas": 0.5, "doctor_vas": 0.7, "wbc": 0.2, "temperature": 0.2}
)
"""Correlation of a variable's normal deviate with the visit's disease activity; assumed. It keeps the marginals."""
LASTING = ("rf", "acpa")
"""Variables that do not change from visit to visit."""

BOUNDS: Mapping[str, tuple[float, ...]] = MappingProxyType(
    {
        "rf": (15, 30), "acpa": (4.5,), "esr": (10, 20), "onset_days": (42,), "crp": (0.3,), "mmp3": (120,),
        "wbc": (4000, 8000), "temperature": (37.5, 38), "patient_vas": (10, 50), "doctor_vas": (10, 50),
    }
)  # fmt: skip
"""The limits of the colour bands in table 2; a variant of a row stays in its bands."""

PUBLISHED: tuple[tuple[str, bool, int], ...] = (
    ("learning", True, 42), ("learning", False, 157), ("testing", True, 10), ("testing", False, 40),
)  # fmt: skip
"""Part of the cohort, RA, number of patients."""
RA_COPIES, OTHER_COPIES = 6, 5
"""The number of rows made from one patient's row in paper 000, including that row."""
THERAPY = 0.92
"""Share of patients with RA whose therapy begins within two months; assumed. Patients without RA get none."""
SECOND_READER = 0.3
"""Share of visits with an examination by a second doctor; assumed."""
READERS_AGREE: Mapping[str, float] = MappingProxyType({"easy": 0.98, "standard": 0.94, "hard": 0.88})
"""Share of joint findings on which the second doctor agrees with the first, by difficulty; assumed."""
