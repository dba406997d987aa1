"""Precision against recall within every Hamming radius: a function of the codes alone, free of ties."""

from bench.reporting import WITHIN_RADIUS, Axes, Curve, Figure, Results
from bench.reports._searches import AFTER, search_lines


def render(results: Results) -> Figure:
    """After the last round, mean over queries, then over seeds; real-valued vectors are left out."""
    return search_lines(
        results,
        lambda found: Curve.mean(
            [s.radius[1] for s in found], [s.radius[0] for s in found], range(found[0].radius.shape[1])
        ),
        radius=True,
        title="Precision and recall by Hamming radius",
        axes=Axes(x="recall", y="precision", unit=True, at="radius"),
        caption=("precision and recall of the items within radius 0, 1, …", AFTER, *WITHIN_RADIUS),
    )
