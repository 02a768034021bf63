"""Matplotlib's back end of a session: figures are shown as PNG when they are shown, at the latest when
their cell ends, and are closed then.

Matplotlib imports this as "module://cloister.figures". It brings nothing with it before a figure is made.
"""

_DPI = 100

# Functions and classes that Matplotlib looks for in a back end.
_backend = None


def _load_backend():
    global _backend
    if _backend is None:
        from matplotlib._pylab_helpers import Gcf
        from matplotlib.backend_bases import FigureManagerBase
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        class FigureManager(FigureManagerBase):
            @classmethod
            def pyplot_show(cls, *, block=None):
                flush()

            def show(self):
                flush_one(Gcf, self)

        class FigureCanvas(FigureCanvasAgg):
            manager_class = FigureManager

        _backend = {"FigureManager": FigureManager, "FigureCanvas": FigureCanvas}
    return _backend


def __getattr__(name):
    if name in ("FigureManager", "FigureCanvas"):
        return _load_backend()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def png(figure):
    """The figure as the bytes of a PNG file."""
    import io

    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=_DPI, bbox_inches="tight")
    return file.getvalue()


def flush_one(all_figures, manager):
    from cloister import display

    figure = manager.canvas.figure
    all_figures.destroy(manager)
    if figure.axes or figure.lines or figure.texts or figure.patches or figure.images:
        display(figure)


def flush():
    """Shows the figures that are open and closes them."""
    if _backend is None:
        return
    from matplotlib._pylab_helpers import Gcf

    for manager in Gcf.get_all_fig_managers():
        flush_one(Gcf, manager)
