"""The files in cluster/ fit the schemas of those who read them, and each other. No image is built here."""

import copy
import importlib.util
import json
import re
import shlex
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from rajobs import __version__

ROOT = Path(__file__).parents[1]
CLUSTER = ROOT / "cluster"
IMAGE = f"registry.example/rajobs:{__version__}"
SECRETS = ("RAJOBS_KEY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "RAY_AUTH_TOKEN")


def shape(required: str = "", /, **properties: Any) -> dict[str, Any]:
    """An object with these properties and no others."""
    return {
        "type": "object", "properties": properties, "required": required.split(), "additionalProperties": False,
    }  # fmt: skip


TEXT, WHOLE = {"type": "string"}, {"type": "integer", "minimum": 0}
TEXTS = {"type": "object", "additionalProperties": TEXT}  # a map of text to text: numbers need their quotes
LIST = {"type": "array", "minItems": 1}
CONTAINER = shape(
    "name image resources",
    name=TEXT,
    image=TEXT,
    envFrom={**LIST, "items": shape("secretRef", secretRef=shape("name", name=TEXT))},
    ports={**LIST, "items": shape("containerPort", name={**TEXT, "maxLength": 15}, containerPort=WHOLE)},
    resources=shape("limits requests", limits=TEXTS, requests=TEXTS),
)
POD = shape(
    "containers",
    containers={**LIST, "items": CONTAINER},
    restartPolicy={"enum": ["Always", "OnFailure", "Never"]},
    securityContext=shape(runAsNonRoot={"const": True}, runAsUser=WHOLE, fsGroup=WHOLE),
    nodeSelector=TEXTS,
    tolerations={
        **LIST,
        "items": shape(
            "key operator",
            key=TEXT,
            operator={"enum": ["Equal", "Exists"]},
            value=TEXT,
            effect={"enum": ["NoSchedule", "NoExecute", "PreferNoSchedule"]},
        ),
    },
)
TEMPLATE = shape("spec", spec=POD)
RAYJOB = shape(
    "apiVersion kind metadata spec",
    apiVersion={"const": "ray.io/v1"},
    kind={"const": "RayJob"},
    metadata=shape("name", name={"type": "string", "pattern": "^[a-z]([-a-z0-9]*[a-z0-9])?$", "maxLength": 47}),
    spec=shape(
        "entrypoint rayClusterSpec",
        entrypoint=TEXT,
        submissionMode={"enum": ["K8sJobMode", "HTTPMode", "SidecarMode", "InteractiveMode"]},
        backoffLimit=WHOLE,
        activeDeadlineSeconds={"type": "integer", "minimum": 1},
        shutdownAfterJobFinishes={"type": "boolean"},
        ttlSecondsAfterFinished=WHOLE,
        rayClusterSpec=shape(
            "headGroupSpec",
            rayVersion=TEXT,
            authOptions=shape(mode={"enum": ["disabled", "token"]}, secretName=TEXT),
            enableInTreeAutoscaling={"type": "boolean"},
            autoscalerOptions=shape(
                version={"enum": ["v1", "v2"]},
                upscalingMode={"enum": ["Default", "Aggressive", "Conservative"]},
                idleTimeoutSeconds=WHOLE,
            ),
            headGroupSpec=shape("template", rayStartParams=TEXTS, labels=TEXTS, template=TEMPLATE),
            workerGroupSpecs={
                **LIST,
                "items": shape(
                    "groupName minReplicas maxReplicas template",
                    groupName=TEXT,
                    replicas=WHOLE,
                    minReplicas=WHOLE,
                    maxReplicas=WHOLE,
                    rayStartParams=TEXTS,
                    labels=TEXTS,
                    template=TEMPLATE,
                ),
            },
        ),
    ),
)
"""The fields of KubeRay's v1 types that rayjob.yaml uses: a misspelt one would be refused, or silently dropped."""


def read(name: str) -> Any:
    return yaml.safe_load((CLUSTER / name).read_text())


def pods(job: dict[str, Any]) -> dict[str, dict[str, Any]]:
    spec = job["spec"]["rayClusterSpec"]
    groups = {"head": spec["headGroupSpec"]} | {group["groupName"]: group for group in spec["workerGroupSpecs"]}
    return {name: group["template"]["spec"] for name, group in groups.items()}


def test_the_launcher_file_fits_rays_own_schema() -> None:
    spec = importlib.util.find_spec("ray")
    assert spec is not None and spec.origin is not None
    schema = json.loads((Path(spec.origin).parent / "autoscaler" / "ray-schema.json").read_text())
    launcher = read("raycluster-launcher.yaml")
    jsonschema.validate(launcher, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**launcher, "worker_start_commands": []}, schema)
    assert launcher["docker"]["image"] == IMAGE
    assert launcher["max_workers"] == len(launcher["provider"]["worker_ips"])
    assert "--env RAY_AUTH_MODE=token" in launcher["docker"]["run_options"]
    head = [command for command in launcher["head_start_ray_commands"] if "ray start" in command]
    assert all("--dashboard-host=127.0.0.1" in command for command in head)


def test_the_rayjob_has_only_fields_that_kuberay_knows() -> None:
    job = read("rayjob.yaml")
    jsonschema.validate(job, RAYJOB)
    unquoted = copy.deepcopy(job)
    unquoted["spec"]["rayClusterSpec"]["headGroupSpec"]["rayStartParams"]["num-cpus"] = 0
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(unquoted, RAYJOB)


def test_the_rayjob_is_retried_watched_and_cleaned_up() -> None:
    spec = read("rayjob.yaml")["spec"]
    assert spec["backoffLimit"] > 0 and spec["activeDeadlineSeconds"] > 0
    assert spec["shutdownAfterJobFinishes"] and spec["ttlSecondsAfterFinished"] > 0
    cluster = spec["rayClusterSpec"]
    assert cluster["authOptions"]["mode"] == "token"
    assert cluster["enableInTreeAutoscaling"] and cluster["autoscalerOptions"]["version"] == "v2"
    assert cluster["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    for group in cluster["workerGroupSpecs"]:
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
    spot = [group for group in cluster["workerGroupSpecs"] if group["labels"]["ray.io/market-type"] == "spot"]
    assert ["nvidia.com/gpu" in pod["containers"][0]["resources"]["limits"] for pod in _pods_of(spot)] == [True]


def _pods_of(groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [group["template"]["spec"] for group in groups]


def test_every_node_has_the_image_and_the_secrets_and_no_file_holds_one() -> None:
    for name, pod in pods(read("rayjob.yaml")).items():
        (container,) = pod["containers"]
        assert container["image"] == IMAGE, name
        assert container["envFrom"] == [{"secretRef": {"name": "rajobs"}}], name
        assert pod["securityContext"]["runAsNonRoot"], name
    readme = (CLUSTER / "README.md").read_text()
    assert "kubectl create secret generic rajobs " in readme and IMAGE in readme
    for file in ("rayjob.yaml", "raycluster-launcher.yaml", "Dockerfile"):
        text = (CLUSTER / file).read_text()
        assert not re.search(rf"\b({'|'.join(SECRETS)})\b", text), file


def test_the_job_is_a_command_of_rajobs_with_places_in_a_store() -> None:
    command, job, *places = shlex.split(read("rayjob.yaml")["spec"]["entrypoint"])
    assert (command, job, len(places)) == ("rajobs", "score", 3)
    assert all(place.startswith("s3://") for place in places)


def test_the_ray_of_the_cluster_is_the_ray_of_the_lock() -> None:
    locked = re.search(r"^ray==([\d.]+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    assert locked is not None
    assert read("rayjob.yaml")["spec"]["rayClusterSpec"]["rayVersion"] == locked[1]


def test_the_dockerfile_copies_what_there_is_and_is_sent_it() -> None:
    lines = (CLUSTER / "Dockerfile").read_text().splitlines()
    copied = [path for line in lines if line.startswith("COPY ") for path in shlex.split(line)[1:-1]]
    assert copied and all((ROOT / path).exists() for path in copied)
    sent = (CLUSTER / "Dockerfile.dockerignore").read_text().split()
    assert {f"!{path.rstrip('/')}" for path in copied} <= set(sent)
    assert [line for line in lines if line.startswith("USER ")] == ["USER 1000"]
