"""A job submitted to a cluster that was started by `ray start --head`, with a token, in a network of its own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.jobs.in_process import KEY

pytestmark = pytest.mark.ray

ROOT = Path(__file__).parents[3]
INSIDE = """
import fcntl, os, secrets, socket, struct, subprocess, sys
# Only the loopback is here, and it is down: bring it up as `ip link set lo up` would.
with socket.socket() as sock:
    fcntl.ioctl(sock, 0x8914, struct.pack("16sh14x", b"lo", 0x1 | 0x40))
bin, root, source, out, token = sys.argv[1:]
with open(token, "w") as file:
    file.write(secrets.token_hex(32))
os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": token}
start = [f"{bin}/ray", "start", "--head", "--num-cpus=2", "--node-ip-address=127.0.0.1",
         "--dashboard-host=127.0.0.1", "--dashboard-port=8265", "--disable-usage-stats"]
subprocess.run(start, check=True, stdout=subprocess.DEVNULL)
submit = [f"{bin}/ray", "job", "submit", "--address", "http://127.0.0.1:8265", "--working-dir", root, "--"]
ingest = [f"{bin}/rajobs", "ingest", source, out, "--max-rejects", "1"]
stranger = {**os.environ, "RAY_AUTH_TOKEN_PATH": token + ".wrong"}
with open(token + ".wrong", "w") as file:
    file.write(secrets.token_hex(32))
refused = subprocess.run([*submit, *ingest], env=stranger, capture_output=True, text=True)
print("refused without the token:", refused.returncode != 0)
done = subprocess.run([*submit, *ingest], capture_output=True, text=True)
print(done.stdout[-4000:], done.stderr[-2000:])
print("submitted:", done.returncode)
"""


def test_a_job_is_submitted_with_a_token(phantom: Path, tmp_path: Path) -> None:
    unshare = shutil.which("unshare")
    assert unshare, "the test needs util-linux: the cluster must not be reachable from elsewhere"
    (tmp_path / "inside.py").write_text(INSIDE)
    (tmp_path / "home").mkdir()
    archive = sorted((phantom / "archives").glob("*.zip"))[0]
    (tmp_path / "source").mkdir()
    shutil.copy(archive, tmp_path / "source" / "a.zip")
    scrubbed = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "AWS_"))}
    # A process namespace too: whatever Ray starts ends with it.
    done = subprocess.run(
        [
            unshare, "--user", "--map-root-user", "--net", "--pid", "--fork", "--mount-proc", "--kill-child",
            sys.executable, str(tmp_path / "inside.py"), str(Path(sys.executable).parent), str(ROOT),
            str(tmp_path / "source"), str(tmp_path / "data"), str(tmp_path / "token"),
        ],
        env={**scrubbed, "HOME": str(tmp_path / "home"), "RAJOBS_KEY": KEY},
        capture_output=True, text=True, timeout=400,
    )  # fmt: skip
    assert "refused without the token: True" in done.stdout, done.stdout + done.stderr
    assert "submitted: 0" in done.stdout, done.stdout + done.stderr
    assert (tmp_path / "data" / "manifest.json").exists()
    assert KEY not in done.stdout
