import socket
import sys


class Own(Exception):
    def __init__(self, a, b):
        super().__init__(f"{a} and {b}")
        self.a = a
        self.b = b


class Sub(KeyError):
    pass


def caught(function):
    try:
        function()
    except BaseException as error:
        return error
    raise AssertionError


def test_builtin():
    for value in (Exception(), ValueError("x", 1), KeyError("k"), StopIteration(5), SystemExit(3), KeyboardInterrupt(), OSError(2, "no", "file"),
                  UnicodeDecodeError("utf-8", b"abc", 1, 2, "bad"), AssertionError([1])):  # fmt: skip
        copy = clone(value)
        assert type(copy) is type(value) and copy.args == value.args and str(copy) == str(value)
    assert clone(StopIteration(5)).value == 5 and clone(SystemExit(3)).code == 3
    copy = clone(caught(lambda: open("/nothing")))
    assert type(copy) is FileNotFoundError and copy.errno == 2 and copy.filename == "/nothing"
    error = caught(lambda: compile("a b", "f", "exec"))
    copy = clone(error)
    for name in ("msg", "filename", "lineno", "offset", "text", "end_lineno", "end_offset"):
        assert getattr(copy, name) == getattr(error, name), name
    assert str(copy) == str(error)
    copy = clone(ImportError("x", name="n", path="p"))
    assert (copy.name, copy.path, copy.msg) == ("n", "p", "x")
    copy = clone(caught(lambda: sys.nothing))
    assert copy.name == "nothing" and type(copy) is AttributeError
    group = ExceptionGroup("g", [ValueError(1), ExceptionGroup("h", [KeyError(2)])])
    copy = clone(group)
    assert type(copy) is ExceptionGroup and copy.message == "g" and copy.exceptions[1].exceptions[0].args == (2,)


def test_own():
    error = Own(1, [2])
    error.add_note("a note")
    copy = clone(error)
    assert type(copy) is Own and (copy.a, copy.b, str(copy), copy.__notes__) == (1, [2], "1 and [2]", ["a note"])
    assert type(clone(Sub("x"))) is Sub
    copy = clone([error, error])
    assert copy[0] is copy[1]


def test_chains():
    def outer():
        try:
            1 / 0
        except ZeroDivisionError as error:
            raise Own(1, 2) from error

    copy = clone(caught(outer))
    assert type(copy.__cause__) is ZeroDivisionError and copy.__context__ is copy.__cause__ and copy.__suppress_context__
    frames = copy.__remote_frames__
    assert [name for _, _, name in frames][-1].endswith("outer") and all(line > 0 for _, line, _ in frames)
    again = clone(copy)
    assert again.__remote_frames__ == frames and again.__cause__.args == ("division by zero",)

    def many():
        error = None
        for i in range(3000):
            new = ValueError(i)
            new.__context__ = error
            error = new
        return error

    copy = clone(many())
    assert copy.args == (2999,) and copy.__context__.args == (2998,)


def test_cycles():
    error = ValueError("x")
    error.__context__ = KeyError("y")
    error.__context__.__context__ = error
    error.me = [error]
    copy = clone(error)
    assert copy.__context__.__context__ is copy and copy.me[0] is copy
    error = ValueError()
    error.args = ([error],)
    copy = clone(error)
    assert type(copy) is cloister.RemoteError


def test_remote():
    with socket.socket() as s:
        error = ValueError("with", s, 3)
        error.add_note("note")
        error.__cause__ = KeyError("k")
        copy = clone([error, error, "after"])
        assert copy[0] is copy[1] and copy[2] == "after"
        copy = copy[0]
        assert type(copy) is cloister.RemoteError and (copy.module, copy.type_name) == ("builtins", "ValueError")
        assert copy.args == ("with", "<socket.socket>", "3") and copy.__notes__ == ["note"]
        assert str(copy) == "ValueError: with, <socket.socket>, 3" and copy.__cause__.args == ("k",)
        again = clone(copy)
        assert type(again) is cloister.RemoteError and str(again) == str(copy) and again.args == copy.args

    class Local(Exception):
        def __str__(self):
            raise AssertionError

    copy = clone({"e": Local("text")})["e"]
    assert copy.type_name.endswith("Local") and copy.module == "__main__" and copy.args == ("text",)
    assert str(copy) == "__main__.test_remote.<locals>.Local: text"
    # What cannot be cloned of its attributes is left out.
    error = ValueError("x")
    error.sock = object()
    error.kept = [1, error]
    error.__dict__[5] = 6
    copy = clone([error, error])[1]
    assert type(copy) is ValueError and vars(copy) == {"kept": [1, copy]}
    # Arguments that its class does not take.
    error = UnicodeDecodeError("utf-8", b"abc", 1, 2, "bad")
    error.args = (1,)
    copy = clone(error)
    assert type(copy) is cloister.RemoteError and copy.type_name == "UnicodeDecodeError"
    error = OSError(1, "x")
    error.args = "x" * 20
    assert clone(error).args == tuple("x" * 20)
    class Evil(Exception):
        __slots__ = ()
        args = property(lambda self: 1 / 0)
        __cause__ = property(lambda self: 1 / 0)
        __notes__ = property(lambda self: 1 / 0)
        __dict__ = property(lambda self: 1 / 0)

    assert clone(Evil("x")).args == ("x",)
