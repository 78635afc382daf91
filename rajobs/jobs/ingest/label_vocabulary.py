"""What the studies' labels may say, and label files read by it."""

from collections.abc import Sequence

import pyarrow as pa

from rajobs import studies
from rajobs.imaging.hand_geometry import POSITION_STUDY
from rajobs.imaging.rows import CLINIC_TABLE, ULTRASOUND_PICTURE
from rajobs.learning.study import Study
from rajobs.learning.targets import NO, YES, Target
from rajobs.records.anatomy import SCAN_SITES, SCORES, SITES, Site
from rajobs.records.label_consensus import CROP, PRESENT
from rajobs.records.labels.label_files import read_labels
from rajobs.records.labels.vocabulary import LabelTarget, Vocabulary


def label_vocabulary() -> Vocabulary:
    """What labels may say; labels of visits stand in the clinic table."""
    return {
        study.name: {target.name: _label_target(study, target) for target in study.targets}
        if study.name != POSITION_STUDY else _places()
        for study in studies.every()
        if study.rows.table != CLINIC_TABLE
    }  # fmt: skip


def _label_target(study: Study, target: Target) -> LabelTarget:
    if study.rows.picture == ULTRASOUND_PICTURE:
        return LabelTarget(sites=dict.fromkeys(("", *SCAN_SITES), target.classes))
    if not study.rows.labels_name_site:
        return LabelTarget(sites={"": target.classes})
    at_sites = {name: _values_at(target, site) for name, site in SITES.items()}
    return LabelTarget(sites={name: values for name, values in at_sites.items() if values})


def _values_at(target: Target, site: Site) -> tuple[str, ...]:
    """The scores that the method has at a site; feet have more of them than hands."""
    if target.name not in SCORES:
        return target.classes
    highest = site.highest(target.name)
    return () if highest is None else target.classes[: highest + 1]


def _places() -> dict[str, LabelTarget]:
    """Where joints are, that one is not there, or that the picture is a crop of one."""
    anywhere = LabelTarget(sites=dict.fromkeys(SITES, ()))
    present, crop = (LabelTarget(sites=dict.fromkeys(SITES, values)) for values in ((NO, YES), (YES,)))
    return {"x": anywhere, "y": anywhere, PRESENT: present, CROP: crop}


def read_study_labels(uris: Sequence[str]) -> pa.Table | None:
    """The labels of some files, checked against what the studies know; None without a file."""
    return read_labels(uris, label_vocabulary()) if uris else None
