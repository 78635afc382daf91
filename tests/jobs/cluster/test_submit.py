"""A job submitted to a cluster that was started by `ray start --head`, with a token, in a network of its own."""

import shutil
import sys
from pathlib import Path

import pytest

from tests.jobs.cluster.own_network import ROOT, run_in_own_network
from tests.jobs.in_process import KEY

pytestmark = pytest.mark.ray

INSIDE = """
import os, secrets, subprocess, sys
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
    archive = sorted((phantom / "archives").glob("*.zip"))[0]
    (tmp_path / "source").mkdir()
    shutil.copy(archive, tmp_path / "source" / "a.zip")
    done = run_in_own_network(
        tmp_path, INSIDE, Path(sys.executable).parent, ROOT, tmp_path / "source", tmp_path / "data", tmp_path / "token"
    )
    assert "refused without the token: True" in done.stdout, done.stdout + done.stderr
    assert "submitted: 0" in done.stdout, done.stdout + done.stderr
    assert (tmp_path / "data" / "manifest.json").exists()
    assert KEY not in done.stdout
