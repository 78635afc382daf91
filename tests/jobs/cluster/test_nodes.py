"""A cluster of several nodes, in a network of its own: a head without cores, nodes that join, one with another key."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.jobs.in_process import KEY

pytestmark = pytest.mark.ray

NODES = """
import fcntl, os, socket, struct, subprocess, sys, time
# Only the loopback is here, and it is down: bring it up as `ip link set lo up` would.
with socket.socket() as sock:
    fcntl.ioctl(sock, 0x8914, struct.pack("16sh14x", b"lo", 0x1 | 0x40))

from ray.cluster_utils import Cluster


def join(name, cores=1, gpus=0):
    node = nodes.add_node(num_cpus=cores, num_gpus=gpus).node_id
    print(f"{name} {node} {time.monotonic()}", flush=True)


nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
job = subprocess.Popen([sys.executable, "-u", *sys.argv[1:], nodes.address], stdout=subprocess.PIPE, text=True)
for line in job.stdout:
    print(line, end="", flush=True)
    if line.startswith("waiting for a node"):
        join("first")
    if line == "begun\\n":
        key = os.environ.pop("RAJOBS_KEY")
        join("without")
        os.environ["RAJOBS_KEY"] = key[::-1]
        join("another")
        os.environ["RAJOBS_KEY"] = key
        join("second", cores=2, gpus=1)
sys.exit(job.wait())
"""
JOB = """
import os, sys, time

import ray

from rajobs.__main__ import main
from rajobs.jobs import cluster, pool
from rajobs.records.identity import Key

data, models, judged, address = sys.argv[1:]
fingerprint = Key.from_environment().fingerprint


class Worker:
    def __init__(self):
        Key.of_node("RAJOBS_KEY", fingerprint)

    def __call__(self, item):
        time.sleep(0.5)
        return {"node": ray.get_runtime_context().get_node_id(), "process": os.getpid()}


cluster.PATIENCE = 1.0
with cluster.connected(address):
    cluster.PATIENCE = 10.0
    seen = set()
    for answer in pool.map_unordered([{"number": n} for n in range(100)], Worker, ()):
        if not seen:
            print("begun")
        if answer["node"] not in seen:
            seen.add(answer["node"])
            print("at-work", answer["node"], time.monotonic())
    share = pool.gpu_share(cluster.nodes())
    at_gpu = list(pool.map_unordered([{"number": n} for n in range(16)], Worker, (), num_gpus=share))
    print("at-gpu", *{answer["node"] for answer in at_gpu}, len({answer["process"] for answer in at_gpu}))
    main(["train", "hand_filter", data, models, "--budget", "0.1", "--ray", address])
    main(["evaluate", "hand_filter", data, models, judged, "--ray", address])
"""


def test_nodes_that_join_get_work_and_those_without_the_key_are_named(data: Path, models: Path, tmp_path: Path) -> None:
    unshare = shutil.which("unshare")
    assert unshare, "the test needs util-linux: the cluster must not be reachable from elsewhere"
    (tmp_path / "nodes.py").write_text(NODES)
    (tmp_path / "job.py").write_text(JOB)
    (tmp_path / "home").mkdir()
    trained, judged = tmp_path / "models", tmp_path / "judged"
    scrubbed = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "AWS_"))}
    # A process namespace too: whatever Ray starts ends with it.
    done = subprocess.run(
        [
            unshare, "--user", "--map-root-user", "--net", "--pid", "--fork", "--mount-proc", "--kill-child",
            sys.executable, str(tmp_path / "nodes.py"), str(tmp_path / "job.py"), str(data), str(trained), str(judged),
        ],
        env={**scrubbed, "HOME": str(tmp_path / "home"), "RAJOBS_KEY": KEY},
        capture_output=True, text=True, timeout=400,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "waiting for a node with a core: the cluster has none yet; the job begins when one joins"
    noted = dict(line.split(" ", 1) for line in lines if line.split(" ")[0] in ("first", "second"))
    joined = dict(content.split() for content in noted.values())
    began = dict(line.split()[1:] for line in lines if line.startswith("at-work"))
    assert began.keys() == joined.keys(), "not those without the key"
    assert max(float(began[node]) - float(joined[node]) for node in joined) < 30
    assert f"at-gpu {noted['second'].split()[0]} 2" in lines, "two workers share the GPU of two cores"
    set_aside = [line for line in lines if line.endswith("; this node gets no work, the others go on")]
    assert sorted("another one" in line for line in set_aside) == [False, True]
    (bundle,), (wanted,) = trained.rglob("bundle.json"), models.rglob("bundle.json")
    assert bundle.read_bytes() == wanted.read_bytes()
    assert json.loads((judged / "metrics.json").read_text())["figures"]
    summary = [line for line in lines if line.startswith(("hand_filter", "model: ", "report: "))]
    assert len(summary) == 4, "what a worker prints is shown once"
