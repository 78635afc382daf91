"""What studies there are, and for one of them what its labels look like."""

from rajobs import studies
from rajobs.learning.study import Study

POINTS = (
    "  target x, target y: column and row in the film's pixels, from 0", "",
    "image,side,study,target,site,value,reader", "1.2.3.4.5,L,joint_detection,x,MCP2,812.5,reader1",
    "1.2.3.4.5,L,joint_detection,y,MCP2,1203,reader1",
)  # fmt: skip


def catalogue() -> str:
    """A line a study."""
    found = [studies.find(name) for name in studies.names()]
    width = max(len(study.name) for study in found)
    lines = []
    for study in found:
        lines.append(f"{study.name:<{width}}  paper {study.paper}  {study.headline:<26}  {_recipes(study)}")
        lines.append(f"{'':<{width}}  {study.question}")
    if studies.to_come():
        lines += ["", f"not in this version yet: {', '.join(studies.to_come())}"]
    return "\n".join([*lines, "", "rajobs studies NAME tells more of one."])


def _recipes(study: Study) -> str:
    return "recipes: " + ", ".join(study.recipes) if study.recipes else "no recipe yet"


def details(name: str) -> str:
    """A study's question, recipes, printed figures, label columns and a CSV template."""
    study = studies.find(name)
    lines = [study.name, f"  {study.question}", f"  paper {study.paper}; learns from {study.rows}; {_recipes(study)}"]
    lines += [f"  headline metric: {study.headline}", "", "Printed by the paper:"]
    lines += [f"  {printed.value:<8g} {printed.what}" for printed in study.printed] or ["  nothing yet"]
    if study.rows == "visits":
        columns = ", ".join(target.name for target in study.targets)
        return "\n".join([*lines, "", f"Labels: the clinic table's column {columns}, by `rajobs ingest --clinic FILE`"])
    lines += ["", "Labels, a CSV for `rajobs ingest --labels`; side, site, reader, patient and split may be left out:"]
    for target in study.targets:
        lines.append(f"  target {target.name}: {', '.join(target.classes)}")
    if study.points is not None and not study.targets:
        return "\n".join([*lines, *POINTS])
    side, site = ("L" if study.rows != "films" else ""), ("MCP2" if study.rows == "joints" else "")
    lines += ["", "image,side,study,target,site,value,reader"]
    for target in study.targets:
        lines.append(f"1.2.3.4.5,{side},{study.name},{target.name},{site},{target.classes[0]},reader1")
        lines.append(f"films.zip!/IM0001,{side},{study.name},{target.name},{site},{target.classes[-1]},reader1")
    return "\n".join(lines)
