from collections.abc import Callable

import pytest

from rajobs.reports.demo_page import demo_page


def test_steps_stand_in_order_with_pictures_and_links(
    read_page: Callable[[str], str], film: bytes, hostile: str
) -> None:
    page = demo_page(
        [
            {"name": "Phantom", "line": "Draws an archive.", "counts": {"files": 1212, "patients": 24}, "png": film},
            {"name": "Train", "line": hostile, "counts": {"balanced accuracy": 0.91}},
            {"name": "Score", "line": "Scores it.", "href": "score/report.html", "link": "The cohort"},
        ]
    )
    text = read_page(page)
    assert text.index("Phantom") < text.index("Train") < text.index("Score")
    assert "files 1,212" in text and "balanced accuracy 0.910" in text
    assert '<a class="go" href="score/report.html">The cohort</a>' in page and page.count("data:image/png") == 1


@pytest.mark.parametrize("href", ["/tmp/page.html", "file:///page.html", "s3://bucket/page.html"])
def test_a_link_that_would_break_with_the_folder_is_a_mistake(href: str) -> None:
    with pytest.raises(AssertionError):
        demo_page([{"name": "Score", "line": "Scores.", "href": href}])
