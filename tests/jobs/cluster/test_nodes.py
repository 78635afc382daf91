"""A cluster of several nodes, in a network of its own: a head without cores, nodes that join, one with another key."""

import json
from pathlib import Path

import pytest

from tests.jobs.cluster.own_network import run_in_own_network

pytestmark = pytest.mark.ray

NODES = """
import os, subprocess, sys, time

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
    for answer in pool.map_unordered([{"number": n} for n in range(60)], Worker, ()):
        if not seen:
            print("begun")
        if answer["node"] not in seen:
            seen.add(answer["node"])
            print("at-work", answer["node"], time.monotonic())
    share = pool.gpu_share(cluster.nodes())
    at_gpu = list(pool.map_unordered([{"number": n} for n in range(6)], Worker, (), num_gpus=share))
    print("at-gpu", *{answer["node"] for answer in at_gpu}, len({answer["process"] for answer in at_gpu}))
    main(["train", "hand_filter", data, models, "--budget", "0.1", "--ray", address])
    main(["evaluate", "hand_filter", data, models, judged, "--ray", address])
"""


AUTOSCALER = """
import json, os, subprocess, sys

types = {
    "head": {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0},
    "node": {"resources": {"CPU": 1, "object_store_memory": 10**8}, "node_config": {}, "max_workers": 3},
}
lists = ("initialization_commands", "setup_commands", "head_setup_commands", "worker_setup_commands",
         "head_start_ray_commands", "worker_start_ray_commands", "cluster_synced_files", "rsync_exclude",
         "rsync_filter")
settings = {
    "cluster_name": "fake", "max_workers": 3, "available_node_types": types, "head_node_type": "head",
    "provider": {"type": "fake_multinode", "use_node_id_as_ip": True, "disable_node_updaters": True,
                 "disable_launch_config_check": True},
    "upscaling_speed": 1.0, "idle_timeout_minutes": 5, "file_mounts_sync_continuously": False,
    **{name: [] for name in lists}, **{name: {} for name in ("auth", "docker", "file_mounts")},
}
file, job = sys.argv[1:]
with open(file, "w") as written:
    json.dump(settings, written)
environment = {**os.environ, "AUTOSCALER_UPDATE_INTERVAL_S": "1", "RAY_FAKE_CLUSTER": "1"}
start = [os.path.join(os.path.dirname(sys.executable), "ray"), "start", "--head", "--num-cpus=0",
         f"--autoscaling-config={file}", "--disable-usage-stats"]
subprocess.run(start, env=environment, check=True, stdout=subprocess.DEVNULL)
sys.exit(subprocess.run([sys.executable, "-u", job]).returncode)
"""
DEMAND = """
import time

import ray

from rajobs.jobs import cluster, pool


class Worker:
    def __call__(self, item):
        time.sleep(0.5)
        return {"node": ray.get_runtime_context().get_node_id()}


with cluster.connected("auto"):
    joined, seen = {}, set()
    for answer in pool.map_unordered([{"number": n} for n in range(200)], Worker, ()):
        for node in cluster.nodes():
            joined.setdefault(node.id, time.monotonic())
        if answer["node"] not in seen:
            seen.add(answer["node"])
            print("at-work", answer["node"], time.monotonic() - joined[answer["node"]])
"""


@pytest.mark.long
def test_an_autoscaler_brings_nodes_from_none_to_as_many_as_it_may(tmp_path: Path) -> None:
    (tmp_path / "job.py").write_text(DEMAND)
    done = run_in_own_network(tmp_path, AUTOSCALER, tmp_path / "settings.json", tmp_path / "job.py")
    assert done.returncode == 0, done.stdout + done.stderr
    delays = [float(line.split()[2]) for line in done.stdout.splitlines() if line.startswith("at-work")]
    assert len(delays) == 3 and max(delays) < 30, done.stdout


def test_nodes_that_join_get_work_and_those_without_the_key_are_named(data: Path, models: Path, tmp_path: Path) -> None:
    (tmp_path / "job.py").write_text(JOB)
    trained, judged = tmp_path / "models", tmp_path / "judged"
    done = run_in_own_network(tmp_path, NODES, tmp_path / "job.py", data, trained, judged)
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
