"""Describes an object in all its forms, by the methods that notebooks have agreed on.

The loader adds to this namespace: `traceback_text`, of report.py.
"""

import sys

_METHODS = (
    ("text/html", "_repr_html_"),
    ("text/markdown", "_repr_markdown_"),
    ("image/svg+xml", "_repr_svg_"),
    ("image/png", "_repr_png_"),
    ("image/jpeg", "_repr_jpeg_"),
    ("image/webp", "_repr_webp_"),
    ("application/pdf", "_repr_pdf_"),
    ("text/latex", "_repr_latex_"),
    ("application/json", "_repr_json_"),
    ("application/javascript", "_repr_javascript_"),
)


def _method(obj, name):
    """The object's method, not one that answers to every name, nor one that awaits its object."""
    if isinstance(obj, type) or getattr(type(obj), name, None) is None:
        return None
    return getattr(obj, name)


def show_error(exc):
    try:
        sys.stderr.write(traceback_text(exc))
    except Exception:
        pass


def _is_binary(mime_type):
    return mime_type != "image/svg+xml" and (
        mime_type.startswith(("image/", "audio/", "video/")) or mime_type == "application/pdf"
    )


def _encode(mime_type, content):
    """What a method returned, as str or bytes; None for nothing."""
    if content is None or type(content) in (str, bytes):
        if type(content) is str and _is_binary(mime_type):
            # Jupyter's way to put bytes into JSON.
            import base64

            return base64.b64decode(content, validate=True)
        return content
    if isinstance(content, str):
        return str.__str__(content)
    if isinstance(content, (bytes, bytearray, memoryview)):
        return bytes(content)
    if mime_type.endswith("json"):
        import json

        return json.dumps(content)
    raise TypeError(f"{mime_type} is to be str or bytes, not {type(content).__name__}")


class _Bundle:
    def __init__(self):
        self.data = {}
        self.metadata = {}
        self.omitted = []

    def add(self, mime_type, content):
        if type(content) is tuple and len(content) == 2:
            content, self.metadata[mime_type] = content
        content = _encode(mime_type, content)
        if content is not None:
            self.data[mime_type] = content

    def add_method(self, mime_type, method):
        """As IPython, a method that raises shows its traceback, and the other forms remain."""
        try:
            self.add(mime_type, method())
        except NotImplementedError:
            pass
        except Exception as exc:
            self.metadata.pop(mime_type, None)
            self.omitted.append(mime_type)
            show_error(exc)

    def add_all(self, method):
        try:
            content = method(include=None, exclude=None)
            if type(content) is tuple and len(content) == 2:
                content, metadata = content
                self.metadata.update(metadata or {})
            for mime_type, form in (content or {}).items():
                if type(mime_type) is str:
                    self.add_method(mime_type, lambda form=form: form)
        except NotImplementedError:
            pass
        except Exception as exc:
            show_error(exc)

    def finished(self):
        if not self.metadata:
            return self.data, "", self.omitted
        import json

        try:
            return self.data, json.dumps(self.metadata), self.omitted
        except Exception as exc:
            show_error(exc)
            return self.data, "", self.omitted


def _figure_png(obj):
    """Matplotlib's figures have no method of this kind."""
    figure = sys.modules.get("matplotlib.figure")
    if figure is None or not isinstance(obj, figure.Figure):
        return None
    from cloister import figures

    return lambda: figures.png(obj)


def bundle(obj):
    """Returns (MIME type to str or bytes, metadata as JSON, MIME types that could not be made)."""
    made = _Bundle()
    method = _method(obj, "_repr_mimebundle_")
    if method is not None:
        made.add_all(method)
    for mime_type, name in _METHODS:
        if mime_type not in made.data:
            method = _method(obj, name)
            if method is not None:
                made.add_method(mime_type, method)
    if "image/png" not in made.data:
        png = _figure_png(obj)
        if png is not None:
            made.add_method("image/png", png)
    if "text/plain" not in made.data:
        made.add_method("text/plain", lambda: repr(obj))
    return made.finished()


def raw_bundle(data, metadata):
    """As bundle(), of a dict by MIME type."""
    made = _Bundle()
    made.add_all(lambda include, exclude: (data, metadata))
    return made.finished()
