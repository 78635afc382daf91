"""A cluster that cannot be reached or started is reported in one line, whatever Ray raises, and soon."""

import socket
import time
from collections.abc import Iterator

import pytest
import ray

from rajobs.jobs import cluster


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a connection sets is put back afterwards."""
    for name in {**cluster.QUIET, **cluster.DRIVER, "RAY_gcs_server_port_wait_time_s": "", "RAY_ADDRESS": ""}:
        monkeypatch.setenv(name, "1")
    monkeypatch.delenv("RAY_ADDRESS")
    monkeypatch.setattr(ray, "is_initialized", lambda: False)


@pytest.fixture
def listening() -> Iterator[str]:
    """An address where somebody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (Exception("the node timed out\nand more"), "the node timed out and more$"),
        (AssertionError(), "AssertionError$"),
        (RuntimeError(f"Version mismatch:\n    Ray: 2.9\n    Python: 3.9\n{'x' * 9000}"), "Ray: 2.9 Python: 3.9 x+$"),
    ],
)
def test_a_cluster_that_does_not_start_is_reported_in_one_line(
    error: Exception, reason: str, listening: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(**options: object) -> None:
        raise error

    monkeypatch.setattr(ray, "init", fails)
    refused = pytest.raises(cluster.NoCluster, match=f"^no Ray cluster at {listening}: .*{reason}")
    with refused as raised, cluster.connected(listening):
        pass
    assert len(str(raised.value)) < 400


@pytest.mark.parametrize(
    ("address", "words"),
    [
        (
            "127.0.0.1:1",
            "no Ray cluster at 127.0.0.1:1: nobody listens there (Connection refused); start it, or correct",
        ),
        ("ray://127.0.0.1:1", "nobody listens there"),
        ("nowhere.invalid:6379", "nobody listens there"),
        ("http://127.0.0.1:8265", "is no address of a Ray cluster: write host:6379, ray://host:10001 or auto"),
        ("127.0.0.1", "is no address of a Ray cluster"),
        ("127.0.0.1:port", "is no address of a Ray cluster"),
        ("127.0.0.1:99999", "is no address of a Ray cluster"),
        (":6379", "is no address of a Ray cluster"),
        ("[::1:6379", "is no address of a Ray cluster"),
    ],
)
@pytest.mark.parametrize("by_option", [True, False])
def test_a_stale_or_wrong_address_is_named_soon(
    address: str, words: str, by_option: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not by_option:
        monkeypatch.setenv("RAY_ADDRESS", address)
    start = time.monotonic()
    with pytest.raises(cluster.NoCluster) as refused, cluster.connected(address if by_option else None):
        pass
    assert words in str(refused.value) and "\n" not in str(refused.value)
    assert time.monotonic() - start < 30
