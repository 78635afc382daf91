"""Scripts that run in a network and a process space of their own: what they start is reached by nobody, and ends."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.jobs.in_process import KEY

ROOT = Path(__file__).parents[3]
LOOPBACK = """
import fcntl, socket, struct
# Only the loopback is here, and it is down: bring it up as `ip link set lo up` would.
with socket.socket() as sock:
    fcntl.ioctl(sock, 0x8914, struct.pack("16sh14x", b"lo", 0x1 | 0x40))
"""


def run_in_own_network(folder: Path, script: str, *arguments: object) -> "subprocess.CompletedProcess[str]":
    """What a script prints, and its exit status; its HOME is in the folder, and the key in its environment."""
    unshare = shutil.which("unshare")
    assert unshare, "the test needs util-linux: the cluster must not be reachable from elsewhere"
    (folder / "script.py").write_text(LOOPBACK + script)
    (folder / "home").mkdir()
    scrubbed = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "AWS_"))}
    return subprocess.run(
        [
            unshare, "--user", "--map-root-user", "--net", "--pid", "--fork", "--mount-proc", "--kill-child",
            sys.executable, str(folder / "script.py"), *map(str, arguments),
        ],
        env={**scrubbed, "HOME": str(folder / "home"), "RAJOBS_KEY": KEY},
        capture_output=True, text=True, timeout=400,
    )  # fmt: skip
