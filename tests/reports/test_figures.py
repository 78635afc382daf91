import numpy as np
import pytest

from rajobs.reports import figures, sweep_figures


def test_the_same_input_gives_the_same_bytes() -> None:
    """Without a date or version in them: a report is made again without a change."""
    matrix = np.array([[5, 1], [0, 7]])
    first, again = (figures.confusion(matrix, ["no", "$yes$"]) for _ in range(2))
    assert first == again and b"Software" not in first and b"tEXt" not in first


def test_a_roc_curve_steps_through_ties_at_once() -> None:
    positive, score = np.array([True, False, True, False]), np.array([0.9, 0.5, 0.5, 0.1])
    curve = figures.roc_curve(positive, score)
    assert curve is not None
    np.testing.assert_allclose(curve, ([0, 0, 0.5, 1], [0, 0.5, 1, 1]))
    assert figures.roc_curve(np.array([True, True]), np.array([0.1, 0.2])) is None


def test_a_long_curve_keeps_its_ends() -> None:
    rng = np.random.default_rng(0)
    curve = figures.roc_curve(rng.random(5000) < 0.3, rng.random(5000))
    assert curve is not None
    assert len(curve[0]) <= 400 and (curve[0][0], curve[1][0], curve[0][-1], curve[1][-1]) == (0, 0, 1, 1)


def test_axes_of_a_sweep_are_placed_by_kind() -> None:
    rate = sweep_figures.build_axis("learning rate", [1e-4, 1e-3, 1e-2, None])
    np.testing.assert_allclose(rate.positions, [0, 0.5, 1, np.nan])  # logarithmic
    batch = sweep_figures.build_axis("batch", [16, 32, 64])
    assert [label for _, label in batch.ticks] == ["16", "32", "64"]
    np.testing.assert_allclose(batch.positions, [0, 1 / 3, 1])
    assert sweep_figures.build_axis("flip", [True, False, True]).ticks == ((0.0, "no"), (1.0, "yes"))
    assert sweep_figures.build_axis("width", [16, 16]).positions.tolist() == [0.5, 0.5]


@pytest.mark.parametrize("curves", [{}, {"m": {"loss": [1.0], "validation_loss": [None], "metric": [None]}}])
def test_loss_curves_of_nothing_or_one_epoch_are_drawn(curves: dict[str, dict[str, list[float | None]]]) -> None:
    assert figures.learning_curves(curves, "accuracy").startswith(b"\x89PNG")


def test_a_curve_with_epochs_that_were_not_validated_is_one_line_with_points() -> None:
    axes = figures.new_figure()[1]
    figures._draw_curve(axes, [None, 0.5, None, 0.25], "m", "black", "-")
    (line,) = axes.lines
    assert np.asarray(line.get_xdata()).tolist() == [2, 4] and line.get_marker() == "o"
