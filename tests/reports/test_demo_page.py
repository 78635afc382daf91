from collections.abc import Callable

import pytest

from rajobs.reports.demo_page import demo_page
from rajobs.reports.page import Step


def test_steps_are_in_order_with_pictures_and_links(read_page: Callable[[str], str], film: bytes, hostile: str) -> None:
    steps = (
        Step(name="Phantom", line="Draws an archive.", counts=(("files", 1212), ("patients", 24)), png=film),
        Step(name="Train", line=hostile, counts=(("balanced accuracy", 0.91),)),
        Step(name="Score", line="Scores it.", href="score/report.html", link="The cohort"),
    )
    page = demo_page(steps)
    text = read_page(page)
    assert text.index("Phantom") < text.index("Train") < text.index("Score")
    assert "files 1,212" in text and "balanced accuracy 0.910" in text
    assert '<a class="go" href="score/report.html">The cohort</a>' in page and page.count("data:image/png") == 1


@pytest.mark.parametrize("href", ["/tmp/page.html", "file:///page.html", "s3://bucket/page.html"])
def test_a_link_that_would_break_with_the_folder_is_a_mistake(href: str) -> None:
    with pytest.raises(AssertionError):
        demo_page([Step(name="Score", line="Scores.", href=href)])
