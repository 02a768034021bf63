"""Bundles of a sandbox as Jupyter wants them: binary forms in base64, JSON as JSON, and nothing active unless asked for.

What the sandbox shows was made by hostile code if it likes, and a front end would run its scripts with the rights of the
notebook's page, which may start other kernels. So unless `active_content` is set, HTML is cleaned by bleach, SVG becomes a
picture, and other forms than the known passive ones are left out.
"""

from __future__ import annotations

import base64
import json
import re
from typing import Any, Dict, List, Mapping, Tuple

_PASSIVE = frozenset(["text/plain", "text/latex", "image/png", "image/jpeg", "image/gif", "image/webp", "application/json"])
_TAGS = ["a", "abbr", "b", "blockquote", "br", "caption", "code", "col", "colgroup", "dd", "del", "details", "div", "dl", "dt",
         "em", "figcaption", "figure", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "i", "img", "ins", "kbd", "li", "mark", "ol",
         "p", "pre", "q", "s", "samp", "small", "span", "strong", "sub", "summary", "sup", "table", "tbody", "td", "tfoot", "th",
         "thead", "tr", "u", "ul", "var"]
_ATTRIBUTES = frozenset(["align", "border", "colspan", "rowspan", "style", "title", "width", "height", "valign", "scope", "alt"])
# Their text is no text for people.
_DROPPED = re.compile(r"<(style|script|title|noscript|template)\b.*?(</\1\s*>|\Z)", re.S | re.I)


def jupyter_bundle(bundle: Any, active: bool) -> Tuple[Dict[str, Any], Dict[str, Any], List[str]]:
    """Of a cloister.MimeBundle: data, metadata, and what was left out, in words."""
    data: Dict[str, Any] = {}
    notes = [f"{kind} ({f'{size} bytes, too large' if size else 'could not be made'})" for kind, size in bundle.omitted]
    for kind, content in bundle.data.items():
        try:
            if active or kind in _PASSIVE:
                data[kind] = _form(kind, content)
            elif kind == "text/html":
                data[kind] = clean(content.decode("utf-8", "replace"))
            elif kind == "image/svg+xml":
                data.setdefault("text/html", _picture(kind, content))
            else:
                notes.append(f"{kind} (may be active)")
        except ImportError:
            notes.append(f"{kind} (needs Debian's python3-bleach here to be made harmless)")
        except (ValueError, RecursionError):
            notes.append(f"{kind} (is not what it says)")
    return data, _metadata(bundle.metadata_json, data), notes


def _is_json(kind: str) -> bool:
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))


def _form(kind: str, content: bytes) -> Any:
    if _is_json(kind):
        return json.loads(content, parse_constant=_no_constant)
    if kind != "image/svg+xml" and (kind.startswith(("image/", "audio/", "video/")) or kind == "application/pdf"):
        return base64.b64encode(content).decode()
    return content.decode("utf-8", "replace")


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _metadata(text: str, data: Mapping[str, Any]) -> Dict[str, Any]:
    """Only what is said of forms by their name: the rest could steer a front end."""
    try:
        metadata = json.loads(text, parse_constant=_no_constant) if text else {}
    except (ValueError, RecursionError):
        return {}
    if not isinstance(metadata, dict):
        return {}
    return {kind: value for kind, value in metadata.items() if kind in data and isinstance(value, dict)}


def _picture(kind: str, content: bytes) -> str:
    """In an img no script of it runs, and nothing is loaded."""
    return f'<img src="data:{kind};base64,{base64.b64encode(content).decode()}">'


def _is_allowed(tag: str, name: str, value: str) -> bool:
    if name == "src":  # from elsewhere it would tell that elsewhere what the sandbox knows
        return tag == "img" and value.startswith("data:image/")
    if name == "href":
        return tag == "a" and value.startswith(("http://", "https://", "#"))
    return name in _ATTRIBUTES


def clean(html: str) -> str:
    """Without scripts, style sheets, forms, frames, and what is loaded from elsewhere. Raises ImportError."""
    import bleach
    from bleach.css_sanitizer import CSSSanitizer

    cleaned = bleach.clean(_DROPPED.sub("", html), tags=_TAGS, attributes=_is_allowed, protocols=["http", "https", "data"],
                           css_sanitizer=CSSSanitizer(), strip=True, strip_comments=True)
    return str(cleaned)
