"""A cluster of several nodes, in a network of its own: a head without cores, nodes that join, one with another key."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.jobs.in_process import KEY

pytestmark = pytest.mark.ray

INSIDE = """
import fcntl, json, os, socket, struct, subprocess, sys, threading, time
# Only the loopback is here, and it is down: bring it up as `ip link set lo up` would.
with socket.socket() as sock:
    fcntl.ioctl(sock, 0x8914, struct.pack("16sh14x", b"lo", 0x1 | 0x40))

import ray
from ray.cluster_utils import Cluster

from rajobs.jobs import cluster, pool
from rajobs.records.identity import Key

data, models, judged = sys.argv[1:]
fingerprint = Key.from_environment().fingerprint
began = time.monotonic()


class Worker:
    def __init__(self):
        Key.of_node("RAJOBS_KEY", fingerprint)

    def __call__(self, item):
        time.sleep(0.5)
        return {"node": ray.get_runtime_context().get_node_id()}


def join(**resources):
    return nodes.add_node(num_cpus=1, **resources).node_id


def note(name, content):
    print(json.dumps({name: content}), flush=True)


nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
cluster.PATIENCE = 1.0
later = threading.Timer(3, lambda: note("first", join()))
later.start()
with cluster.connected(nodes.address):
    later.join()
    seen, joined = {}, 0.0
    for answer in pool.map_unordered([{"number": n} for n in range(120)], Worker, ()):
        if len(seen) == 1 and not joined:
            key = os.environ.pop("RAJOBS_KEY")
            note("without", join())
            os.environ["RAJOBS_KEY"] = key[::-1]
            note("another", join())
            os.environ["RAJOBS_KEY"] = key
            note("second", join(num_gpus=1))
            joined = time.monotonic()
        seen.setdefault(answer["node"], time.monotonic())
    note("delays", {node: at - joined for node, at in seen.items()})
    ends = [
        subprocess.run([sys.executable, "-m", "rajobs", *line, "--ray", nodes.address], capture_output=True, text=True)
        for line in (["train", "hand_filter", data, models, "--budget", "0.1"],
                     ["evaluate", "hand_filter", data, models, judged])
    ]
    note("jobs", [[end.returncode, end.stdout, end.stderr] for end in ends])
"""


def test_nodes_that_join_get_work_and_those_without_the_key_are_named(data: Path, models: Path, tmp_path: Path) -> None:
    unshare = shutil.which("unshare")
    assert unshare, "the test needs util-linux: the cluster must not be reachable from elsewhere"
    (tmp_path / "inside.py").write_text(INSIDE)
    (tmp_path / "home").mkdir()
    trained, judged = tmp_path / "models", tmp_path / "judged"
    scrubbed = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "AWS_"))}
    # A process namespace too: whatever Ray starts ends with it.
    done = subprocess.run(
        [
            unshare, "--user", "--map-root-user", "--net", "--pid", "--fork", "--mount-proc", "--kill-child",
            sys.executable, str(tmp_path / "inside.py"), str(data), str(trained), str(judged),
        ],
        env={**scrubbed, "HOME": str(tmp_path / "home"), "RAJOBS_KEY": KEY},
        capture_output=True, text=True, timeout=400,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    noted: dict[str, Any] = {}
    for line in lines:
        if line.startswith("{"):
            noted |= json.loads(line)
    assert lines[0] == "waiting for a node with a core: the cluster has none yet; the job begins when one joins"
    assert noted["delays"].keys() == {noted["first"], noted["second"]}
    assert noted["delays"][noted["second"]] < 30
    assert sum("no key in RAJOBS_KEY on node" in line and "this node gets no work" in line for line in lines) == 1
    assert sum("is another one" in line and "this node gets no work" in line for line in lines) == 1
    (bundle,), (wanted,) = trained.rglob("bundle.json"), models.rglob("bundle.json")
    assert bundle.read_bytes() == wanted.read_bytes(), noted["jobs"]
    assert json.loads((judged / "metrics.json").read_text())["figures"]
    for status, output, errors in noted["jobs"]:
        assert (status, errors) == (0, "")
        assert len(set(output.splitlines())) == len(output.splitlines()), "no line twice"
