"""What programs and cells may ask of Cloister.

`display()` shows objects in the richest form a front end knows. In a live sandbox it sends them to whoever
watches the execution; in a program that runs by itself it prints them.

In a live sandbox, `post()` and `inbox` send and receive messages: clones of values, to and from the client and the
other interpreters of the sandbox. `host` has the functions that the client offers, `call()` calls functions in other
interpreters.
"""

# The loader adds to this namespace: `_in_session`, `_send_display`, `_send_clear_output`, `_load`, `_clone_value`,
# `_register_clone`.

__all__ = [
    "DataCloneError",
    "DisplayHandle",
    "HTML",
    "Image",
    "JSON",
    "Javascript",
    "Latex",
    "Markdown",
    "RemoteError",
    "SVG",
    "clear_output",
    "clone",
    "display",
    "register_clone",
    "update_display",
]


# What is loaded when it is first asked for: the part of Cloister that has it.
_LAZY = {
    "BrokenInterpreterPool": "pool",
    "Call": "calls",
    "Channel": "messages",
    "ChannelClosed": "messages",
    "Condition": "shared",
    "Host": "calls",
    "Inbox": "messages",
    "Interpreter": "calls",
    "InterpreterPoolExecutor": "pool",
    "Lock": "shared",
    "Movable": "shared",
    "Queue": "queues",
    "QueueEmpty": "queues",
    "QueueError": "queues",
    "QueueFull": "queues",
    "Receiver": "messages",
    "RemoteTraceback": "calls",
    "Semaphore": "shared",
    "Sender": "messages",
    "SharedBuffer": "shared",
    "_invoke": "calls",
    "_serve_pool": "pool_worker",
    "call": "calls",
    "create_queue": "queues",
    "host": "calls",
    "inbox": "messages",
    "on_message": "messages",
    "post": "messages",
    "remove_channel": "messages",
    "spawn_interpreter": "calls",
    "start_call": "calls",
}
__all__ += [name for name in _LAZY if name[0] != "_"]


def __getattr__(name):
    if name == "_C_API":  # cloister_clone.h
        globals()[name] = _clone_c_api()
        return globals()[name]
    part = _LAZY.get(name)
    if part is None:
        raise AttributeError(f"module 'cloister' has no attribute {name!r}")
    value = globals()[name] = _load(part)[name]
    return value


def __dir__():
    return sorted({*globals(), *_LAZY})


def _new_display_id():
    import os

    return os.urandom(16).hex()


class DisplayHandle:
    """A display that can be changed afterwards."""

    def __init__(self, display_id=None):
        self.display_id = display_id or _new_display_id()

    def __repr__(self):
        return f"<DisplayHandle display_id={self.display_id}>"

    def display(self, obj, **options):
        """Shows the object in a new place, with this handle's id."""
        display(obj, display_id=self.display_id, **options)

    def update(self, obj, **options):
        """Shows the object wherever this handle's id is shown."""
        update_display(obj, display_id=self.display_id, **options)


def _describe(obj, raw, metadata):
    mime = _load("mime")
    if raw:
        if not isinstance(obj, dict):
            raise TypeError(f"display(raw=True) takes a dict by MIME type, not {type(obj).__name__}")
        return mime["raw_bundle"](obj, metadata)
    description = mime["bundle"](obj)
    if metadata:
        import json

        return description[0], json.dumps(metadata), description[2]
    return description


def _show(obj, raw, metadata, display_id, is_update):
    description = _describe(obj, raw, metadata)
    if _in_session():
        _send_display(description, display_id, is_update)
    else:
        print(description[0].get("text/plain", repr(obj)))


def display(*objects, raw=False, metadata=None, display_id=None, clear=False):
    """Shows objects. `raw` means that they are dicts by MIME type already. With `display_id`, a str or True
    for a new one, returns a DisplayHandle. `clear` takes back what was shown before, once this is shown."""
    if display_id is True:
        display_id = _new_display_id()
    elif display_id is not None and not isinstance(display_id, str):
        raise TypeError("display_id is a str, or True")
    if clear:
        clear_output(wait=True)
    for obj in objects:
        _show(obj, raw, metadata, display_id or "", False)
    return DisplayHandle(display_id) if display_id else None


def update_display(obj, *, display_id, raw=False, metadata=None):
    """Shows the object wherever something with that id is shown."""
    if not isinstance(display_id, str) or not display_id:
        raise TypeError("display_id is a str that is not empty")
    _show(obj, raw, metadata, display_id, True)


def clear_output(wait=False):
    """Takes back what the cell has shown so far; with `wait`, once something new is there to be shown."""
    if _in_session():
        _send_clear_output(bool(wait))


DataCloneError = _load("clone")["DataCloneError"]
RemoteError = _load("clone")["RemoteError"]


def clone(value):
    """A deep copy of the value, as if it had been sent to another interpreter: types, identity and cycles are
    kept, and no code of classes is run. Of shared memory and channels the copy is one more
    object of the same. Raises DataCloneError where something in it cannot be sent."""
    return _clone_value(value)


def register_clone(type, to, from_):
    """Lets instances of exactly this class be cloned and sent. `to(instance)` returns a value that can be
    cloned, `from_(value)` a new instance; where the value refers to the instance itself, that one is given the
    attributes of what `from_` returns. Both sides have to register."""
    _register_clone(type, to, from_)


class _Form:
    """An object with one form besides its text."""

    _mime_type = None

    def __init__(self, data, metadata=None):
        self.data = data
        self.metadata = metadata

    def __repr__(self):
        return f"<{type(self).__name__} object>"

    def _repr_mimebundle_(self, include=None, exclude=None):
        metadata = {self._mime_type: self.metadata} if self.metadata else {}
        return {self._mime_type: self.data}, metadata


class HTML(_Form):
    _mime_type = "text/html"


class Markdown(_Form):
    _mime_type = "text/markdown"


class Latex(_Form):
    _mime_type = "text/latex"


class SVG(_Form):
    _mime_type = "image/svg+xml"


class JSON(_Form):
    _mime_type = "application/json"


class Javascript(_Form):
    _mime_type = "application/javascript"


_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"RIFF", "image/webp"),
)


class Image(_Form):
    """A picture from its file's bytes, or from a file."""

    def __init__(self, data=None, filename=None, width=None, height=None):
        if data is None:
            with open(filename, "rb") as file:
                data = file.read()
        for signature, mime_type in _SIGNATURES:
            if bytes(data[:8]).startswith(signature):
                self._mime_type = mime_type
                break
        else:
            raise ValueError("neither PNG nor JPEG nor GIF nor WebP")
        size = {"width": width, "height": height}
        super().__init__(data, {name: value for name, value in size.items() if value is not None})
