"""A cluster that cannot be reached or started is reported in one line, whatever Ray raises."""

import pytest
import ray

from rajobs.jobs import cluster


@pytest.mark.parametrize(
    ("error", "reason"),
    [(Exception("the node timed out\nand more"), "the node timed out$"), (AssertionError(), "AssertionError$")],
)
def test_a_cluster_that_does_not_start_is_reported_in_one_line(
    error: Exception, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(**options: object) -> None:
        raise error

    for name in {**cluster.QUIET, **cluster.DRIVER}:
        monkeypatch.setenv(name, "1")  # put back afterwards
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", fails)
    refused = pytest.raises(cluster.NoCluster, match=f"^no Ray cluster at 127.0.0.1:1: {reason}")
    with refused, cluster.connected("127.0.0.1:1"):
        pass
