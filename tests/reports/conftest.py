"""The rules that every page must keep, and a picture to put into one."""

import re
from base64 import b64encode
from collections.abc import Callable, Iterator
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from rajobs import __version__
from rajobs.learning.card import NO_EVIDENCE
from rajobs.reports import figures, page, sweep_figures
from tests.reports.browser import Page, find_chromium, open_browser

SCRIPTS = [Path(page.__file__).with_name(name).read_text() for name in ("tables.js", "corrections.js")]
HOSTILE = '<script>alert("1")</script><img src=x onerror=alert(1)>'


class Reader(HTMLParser):
    """Collects a page's tags, addresses and text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.attributes: set[str] = set()
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "action", "data")]

    def handle_data(self, data: str) -> None:
        if self.cdata_elem is None:  # neither a script nor a style
            self.text.append(data)


@pytest.fixture
def read_page() -> Callable[[str], str]:
    """A page's text, after checks that it loads and runs nothing and says what its figures are worth."""

    def read(page: str) -> str:
        reader = Reader()
        reader.feed(page)
        assert not {"link", "iframe", "object", "embed", "form", "base"} & set(reader.tags)
        scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
        assert scripts in ([], *([script] for script in SCRIPTS), ["".join(SCRIPTS)])
        assert reader.tags.count("script") == len(scripts)
        policy = re.findall(r"script-src '(\S+)'", page)
        assert policy == [f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}" for text in scripts]
        assert not {name for name in reader.attributes if name.startswith("on")}
        assert all(not address.startswith(("http:", "https:", "//", "javascript:")) for address in reader.addresses)
        assert "url(" not in page and "@import" not in page
        words = " ".join(" ".join(reader.text).split())
        assert NO_EVIDENCE in words and f"rajobs {__version__}" in words
        return words

    return read


@pytest.fixture
def film() -> bytes:
    """A grey PNG."""
    return cv2.imencode(".png", np.full((32, 24), 90, np.uint8))[1].tobytes()


@pytest.fixture
def blank_figures(monkeypatch: pytest.MonkeyPatch, film: bytes) -> None:
    """Figures are not rendered, which takes most of a page's time: for tests that read a page's words."""
    for module in (figures, sweep_figures):
        monkeypatch.setattr(module, "to_png", lambda figure: film)


@pytest.fixture
def hostile() -> str:
    """A text that runs as script where it is not escaped."""
    return HOSTILE


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Page]:
    """A browser, where this machine has Chromium."""
    if find_chromium() is None:
        pytest.skip("no Chromium on this machine")
    with open_browser(tmp_path / "profile") as page:
        page.resize(1440, 900)
        yield page
