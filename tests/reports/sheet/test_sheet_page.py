import base64
import hashlib
import json
import re
from typing import Any

import pytest

from rajobs import studies
from rajobs.imaging.rows import CLINIC_TABLE
from rajobs.records.anatomy import HAND_EROSION_SITES, HAND_JSN_SITES
from rajobs.reports.sheet.examples import example_places
from rajobs.reports.sheet.fields import fields_of
from rajobs.reports.sheet.page import sheet_page
from tests.reports.sheet.conftest import facts, grey

PICTURED = [name for name in studies.names() if studies.find(name).rows.table != CLINIC_TABLE]


def content(page: str) -> dict[str, Any]:
    matched = re.search(r'<script type="application/json" id="sheet">(.*?)</script>', page, re.DOTALL)
    assert matched is not None
    return dict(json.loads(matched[1]))


def test_a_page_loads_nothing_and_runs_its_own_script_alone() -> None:
    page = sheet_page(facts(), [(number, grey(number)) for number in range(3)])
    assert not re.findall(r'(?:src|action|srcset)="(?!data:)', page)
    assert re.findall(r'href="([^"]*)"', page) == ["data:,"]
    script = page[page.rindex("<script>") + len("<script>") : page.rindex("</script>")]
    fingerprint = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{fingerprint}'" in page
    assert "fetch(" not in script and "XMLHttpRequest" not in script and "http" not in script


def test_what_a_page_is_given_cannot_end_its_data() -> None:
    page = sheet_page(facts(reader='</script><script>alert("1")</script>'), [])
    assert page.count("<script>") == 1 and content(page)["reader"].startswith("</script>")


def test_a_hand_has_the_method_s_sites_in_the_method_s_order() -> None:
    fields = fields_of(studies.find("svdh_scoring"), "hand")
    for target, sites, highest in (("jsn", HAND_JSN_SITES, "4"), ("erosion", HAND_EROSION_SITES, "5")):
        of_target = [field for field in fields if field.target == target]
        assert [field.site for field in of_target] == list(sites)
        assert all(field.values[-1] == highest and field.keys == field.values for field in of_target)
    assert [field.column for field in fields[:3]] == ["jsn_MCP1", "erosion_MCP1", "jsn_MCP2"]
    feet = fields_of(studies.find("svdh_scoring"), "foot")
    assert len(feet) == 12 and feet[1].keys[-1] == "x", "a foot's erosion goes to 10"


@pytest.mark.parametrize("name", PICTURED)
def test_every_study_with_pictures_has_keys_and_words_for_what_is_typed(name: str) -> None:
    study = studies.find(name)
    part = "hand" if study.rows.cut_by_positions else ""
    fields = fields_of(study, part)
    assert fields and all(len(set(field.keys)) == len(field.values) for field in fields if not field.where)
    page = sheet_page(facts(name), [])
    targets = content(page)["targets"]
    assert all(len(targets[target]["values"]) >= 2 for target in targets)
    for field in fields:
        assert len(example_places(field)) in (0, len(field.values)), field
