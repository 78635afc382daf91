"""Chromium without a window, driven over pipes by its DevTools protocol: nothing but the standard library is needed."""

import base64
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--remote-debugging-pipe",
)  # fmt: skip
KEY_CODES = MappingProxyType({
    "Enter": 13, "Backspace": 8, "Escape": 27, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40,
    "PageUp": 33, "PageDown": 34,
})  # fmt: skip
SHIFT, CONTROL = 8, 2


def find_chromium() -> str | None:
    """The browser of this machine, if it has one."""
    return next((path for name in PROGRAMS if (path := shutil.which(name))), None)


class Page:
    """One tab: what it is asked, what it asks the network for, and what it complains about."""

    def __init__(self, process: "subprocess.Popen[bytes]", commands: int, answers: int, downloads: Path) -> None:
        self.process, self.commands, self.downloads = process, commands, downloads
        self.answers = os.fdopen(answers, "rb", buffering=0)
        self.number, self.waiting = 0, b""
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.session = ""
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.ask(f"{domain}.enable")
        self.ask("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(downloads))

    def ask(self, method: str, **parameters: object) -> dict[str, Any]:
        """Send a command and return its answer; events that come in between are kept."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session and not method.startswith(("Target", "Browser")):
            message["sessionId"] = self.session
        os.write(self.commands, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self.number:
                assert "error" not in answer, answer
                return dict(answer["result"])

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self.waiting:
            more = self.answers.read(1 << 20)
            assert more, "the browser has ended"
            self.waiting += more
        line, _, self.waiting = self.waiting.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        self._note(message.get("method"), message.get("params", {}))
        return message

    def _note(self, method: str | None, event: dict[str, Any]) -> None:
        if method == "Network.requestWillBeSent" and not event["request"]["url"].startswith(("data:", "blob:")):
            self.requests.append(event["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(str(event["exceptionDetails"])[:500])
        elif method == "Log.entryAdded" and event["entry"]["level"] in ("error", "warning"):
            self.complaints.append(event["entry"]["text"])
        elif method == "Runtime.consoleAPICalled":
            self.complaints.append(str(event["args"])[:500])

    def visit(self, file: Path) -> None:
        """Open a file and wait until it is loaded."""
        self.ask("Page.navigate", url=file.as_uri())
        self.wait(f"location.href === {file.as_uri()!r} && document.readyState === 'complete'")

    def open(self, file: Path) -> None:
        """Open a sheet and wait until its first picture is drawn."""
        self.ask("Page.navigate", url=file.as_uri())
        self.wait("document.readyState === 'complete' && document.querySelectorAll('#films canvas').length > 0")
        self.settle()

    def settle(self) -> None:
        """Wait until what was asked for is drawn."""
        self.wait("document.querySelector('#progress').max > 1 || document.querySelector('#done').textContent !== ''")
        self.run("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))")

    def wait(self, condition: str, seconds: float = 120) -> None:
        """Wait until a condition holds in the page."""
        end = time.monotonic() + seconds
        while not self.run(condition):
            assert time.monotonic() < end, condition
            time.sleep(0.05)

    def run(self, code: str) -> Any:
        """The value of an expression in the page."""
        answer = self.ask("Runtime.evaluate", expression=code, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def press(self, keys: Sequence[str], modifiers: int = 0) -> None:
        """Press keys, one after the other."""
        for key in keys:
            text = {"text": key} if len(key) == 1 and not modifiers & CONTROL else {}
            shown = key.upper() if modifiers & SHIFT and len(key) == 1 else key
            code = KEY_CODES.get(key, ord(key.upper()) if len(key) == 1 else 0)
            what = {"key": shown, "windowsVirtualKeyCode": code, "modifiers": modifiers}
            self.ask("Input.dispatchKeyEvent", type="keyDown", **what, **text)
            self.ask("Input.dispatchKeyEvent", type="keyUp", **what)

    def mouse(self, kind: str, x: float, y: float, **more: object) -> None:
        """A mouse event (mousePressed, mouseMoved, mouseReleased, mouseWheel) at a place of the page."""
        button = {} if kind == "mouseWheel" else {"button": "left", "clickCount": 1}
        self.ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, **button, **more)

    def click(self, x: float, y: float) -> None:
        self.mouse("mousePressed", x, y)
        self.mouse("mouseReleased", x, y)

    def resize(self, width: int, height: int) -> None:
        self.ask(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )  # fmt: skip

    def screenshot(self, file: Path) -> None:
        file.write_bytes(base64.b64decode(self.ask("Page.captureScreenshot", format="png")["data"]))


@contextmanager
def open_browser(profile: Path) -> Iterator[Page]:
    """A browser with a profile of its own, ended at the end."""
    program = find_chromium()
    assert program is not None
    to_browser, commands = os.pipe()
    answers, from_browser = os.pipe()
    line = f'exec "$0" "$@" 3<&{to_browser} 4>&{from_browser}'
    process = subprocess.Popen(
        ["/bin/bash", "-c", line, program, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
        pass_fds=(to_browser, from_browser), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(to_browser)
    os.close(from_browser)
    downloads = profile / "downloads"
    downloads.mkdir(parents=True, exist_ok=True)
    page = Page(process, commands, answers, downloads)
    try:
        yield page
    finally:
        os.close(commands)
        page.answers.close()
        process.terminate()
        process.wait(20)
