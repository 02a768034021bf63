"""Matplotlib's back end of a session: figures are shown as PNG when they are shown, at the latest when
their cell ends, and are closed then.

Matplotlib imports this as "module://cloister.figures" when the first figure is made.
"""

import io

from matplotlib._pylab_helpers import Gcf
from matplotlib.backend_bases import FigureManagerBase
from matplotlib.backends.backend_agg import FigureCanvasAgg

_DPI = 100


def png(figure):
    """The figure as the bytes of a PNG file."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=_DPI, bbox_inches="tight")
    return file.getvalue()


def _show_and_close(manager):
    from cloister import display

    figure = manager.canvas.figure
    Gcf.destroy(manager)
    if figure.get_children()[1:]:  # more than the background
        display(figure)


def flush():
    """Shows the figures that are open and closes them."""
    for manager in Gcf.get_all_fig_managers():
        if isinstance(manager, FigureManager):  # else of a back end that the user chose
            _show_and_close(manager)


class FigureManager(FigureManagerBase):
    @classmethod
    def pyplot_show(cls, *, block=None):
        flush()

    def show(self):
        _show_and_close(self)


class FigureCanvas(FigureCanvasAgg):
    manager_class = FigureManager
