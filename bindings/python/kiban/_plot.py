"""Pictures of geometries, by matplotlib, which is imported only then."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy

from ._error import Error, ErrorCode

if TYPE_CHECKING:
    import matplotlib.figure

_MOST_PANELS = 8
_SOURCE, _PANEL, _FIRST, _AXIS = "tab:orange", "tab:blue", "tab:red", "0.4"


def plot(geometry: Any, *, figure: matplotlib.figure.Figure | None = None) -> matplotlib.figure.Figure:
    """Where source and detector are in every view: in space, and from above along the rotation axis, in mm.

    figure   to draw into, instead of a new one

    Some of the panels are drawn, the first view in red with the rays to its corners; of parallel rays their direction.
    A geometry that no panel completes is drawn with one that just sees a ball of a third of the source's distance.
    Errors: usage (matplotlib is not installed).
    """
    try:
        from matplotlib import pyplot
    except ImportError:
        raise Error("a plot needs matplotlib; pip install matplotlib", ErrorCode.usage) from None
    figure = figure or pyplot.figure(figsize=(10, 4.6), layout="constrained")
    scene = _Scene(geometry)
    _draw_in_space(figure.add_subplot(1, 2, 1, projection="3d"), scene)
    _draw_from_above(figure.add_subplot(1, 2, 2), scene)
    return figure


class _Scene:
    """The geometry in a frame whose third axis is the rotation's, and whose first is the world's x where it can be."""

    def __init__(self, geometry: Any):
        up = numpy.asarray(geometry.axis, float)
        first = numpy.eye(3)[0 if abs(up[0]) < 0.9 else 1]
        first = first - up * (first @ up)
        first /= numpy.linalg.norm(first)
        self.frame = numpy.stack([first, numpy.cross(up, first), up])
        self.parallel = bool(geometry.parallel)
        self.detectors = numpy.asarray(geometry.detectors) @ self.frame.T
        sources = numpy.asarray(geometry.sources) @ self.frame.T
        half_u, half_v = self._half_panels(geometry, sources)
        # [view,corner,3], around the panel and back to its first corner
        self.corners = self.detectors[:, None] + numpy.stack(
            [-half_u - half_v, half_u - half_v, half_u + half_v, half_v - half_u, -half_u - half_v], axis=1
        )
        self.reach = float(numpy.linalg.norm(self.corners, axis=2).max())
        self.sources = self.detectors - 2 * self.reach * sources if self.parallel else sources
        self.reach = max(self.reach, float(numpy.linalg.norm(self.sources, axis=1).max()))
        views = len(self.detectors)
        self.shown = sorted({view * views // min(views, _MOST_PANELS) for view in range(min(views, _MOST_PANELS))})

    def _half_panels(self, geometry: Any, sources: numpy.ndarray) -> tuple[numpy.ndarray, numpy.ndarray]:
        u, v = numpy.asarray(geometry.u) @ self.frame.T, numpy.asarray(geometry.v) @ self.frame.T
        if geometry.rows and geometry.columns:
            return u * geometry.columns / 2, v * geometry.rows / 2
        if self.parallel:
            half = numpy.full(len(u), max(1.0, float(numpy.linalg.norm(self.detectors, axis=1).max()) / 3))
        else:
            distance = numpy.linalg.norm(self.detectors - sources, axis=1)
            half = distance * numpy.tan(numpy.arcsin(1 / 3))
        unit_u = u / numpy.linalg.norm(u, axis=1, keepdims=True)
        unit_v = v / numpy.linalg.norm(v, axis=1, keepdims=True)
        return unit_u * half[:, None], unit_v * half[:, None]

    def label(self, axis: Any, which: int) -> None:
        """Says which axis of the world this is; one that runs backwards counts so."""
        world = int(numpy.abs(self.frame[which]).argmax())
        along = self.frame[which][world]
        if abs(along) < 0.999:
            axis.set_label_text("mm")
            return
        axis.set_label_text(f"{'xyz'[world]} / mm")
        if along < 0:
            axis.set_major_formatter(lambda value, _: f"{0 - value:g}")


def _rays(scene: _Scene, view: int) -> list[numpy.ndarray]:
    """Of one view, [2,3] each: from the source to the corners of the panel."""
    corners = scene.corners[view, :4]
    if not scene.parallel:
        return [numpy.stack([scene.sources[view], corner]) for corner in corners]
    back = scene.sources[view] - scene.detectors[view]
    return [numpy.stack([corner + back, corner]) for corner in corners]


def _draw_in_space(axes: Any, scene: _Scene) -> None:
    axes.plot(*scene.sources.T, ".", color=_SOURCE, markersize=2)
    for view in scene.shown:
        first = view == scene.shown[0]
        axes.plot(*scene.corners[view].T, color=_FIRST if first else _PANEL, linewidth=1.5 if first else 0.7)
    for ray in _rays(scene, scene.shown[0]):
        axes.plot(*ray.T, color=_FIRST, linewidth=0.5)
    axes.plot(*scene.sources[:1].T, "o", color=_FIRST, markersize=5)
    height = numpy.abs(scene.corners[:, :, 2]).max()
    axes.plot([0, 0], [0, 0], [-height, height], color=_AXIS, linestyle="-.", linewidth=1)
    axes.set(xlim=(-scene.reach, scene.reach), ylim=(-scene.reach, scene.reach), zlim=(-scene.reach, scene.reach))
    axes.set_box_aspect((1, 1, 1), zoom=0.9)
    for which, axis in enumerate((axes.xaxis, axes.yaxis, axes.zaxis)):
        scene.label(axis, which)
        axis.set_major_locator(_few_ticks())
    axes.set_title(f"{len(scene.detectors)} views")


def _draw_from_above(axes: Any, scene: _Scene) -> None:
    what = "where rays come from" if scene.parallel else "source"
    axes.plot(*scene.sources[:, :2].T, ".", color=_SOURCE, markersize=3, label=what)
    for number, view in enumerate(scene.shown[1:]):
        label = "panels" if number == 0 else None
        axes.plot(*scene.corners[view, :, :2].T, color=_PANEL, linewidth=1, label=label)
    first = scene.shown[0]
    axes.plot(*scene.corners[first, :, :2].T, color=_FIRST, linewidth=2, label="first view")
    axes.plot(*scene.sources[first, :2], "o", color=_FIRST, markersize=5)
    for ray in _rays(scene, first):
        axes.plot(*ray[:, :2].T, color=_FIRST, linewidth=0.5)
    axes.plot(0, 0, "+", color=_AXIS, label="rotation axis")
    if len(scene.sources) > 2:
        begin, end = scene.sources[0, :2], scene.sources[max(1, len(scene.sources) // 12), :2]
        axes.annotate("", xy=end * 1.08, xytext=begin * 1.08,
                      arrowprops=dict(arrowstyle="->", color=_SOURCE, connectionstyle=_bend(begin, end)))
    axes.set_aspect("equal")
    axes.margins(0.12)
    for which, axis in enumerate((axes.xaxis, axes.yaxis)):
        scene.label(axis, which)
        axis.set_major_locator(_few_ticks())
    axes.set_title("from above, against the rotation axis")
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False, fontsize="small")


def _few_ticks() -> Any:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(4, symmetric=True)


def _bend(begin: numpy.ndarray, end: numpy.ndarray) -> str:
    """An arc that bulges outwards."""
    turn = begin[0] * end[1] - begin[1] * end[0]
    return f"arc3,rad={0.15 if turn > 0 else -0.15}"
