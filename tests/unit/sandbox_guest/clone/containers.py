def test_containers():
    for value in ([], (), {}, set(), frozenset(), [1, [2, (3, {4: 5})]], {1: 2, "a": [None]}, {1, "b", (2, 3)}, frozenset([frozenset([1])])):
        same(value)
    assert list(clone({"b": 1, "a": 2})) == ["b", "a"]
    assert clone({True: 1, 2.5: 2, None: 3, b"x": 4, (1, "a"): 5, 1j: 6, ...: 7, NotImplemented: 8, 2**80: 9}) == {
        True: 1, 2.5: 2, None: 3, b"x": 4, (1, "a"): 5, 1j: 6, ...: 7, NotImplemented: 8, 2**80: 9}  # fmt: skip
    big = {i: str(i) for i in range(10_000)}
    same(big)
    same(list(range(100_000)))
    same({f"key {i}" for i in range(5000)})


def test_identity():
    shared = [1]
    text = "".join(["a", "b c"])
    copy = clone([shared, shared, (shared,), text, text, {"k": shared}])
    assert copy[0] is copy[1] is copy[2][0] is copy[5]["k"] and copy[0] is not shared
    assert copy[3] is copy[4]
    for make in (bytearray, set, dict, frozenset, tuple, bytes):
        one = make([(1, 2)]) if make in (dict, set, frozenset, tuple) else make(b"abc")
        copy = clone([one, one])
        assert copy[0] is copy[1] and copy[0] == one


def test_cycles():
    a = []
    a.append(a)
    copy = clone(a)
    assert copy[0] is copy
    d = {}
    d["self"] = d
    copy = clone(d)
    assert copy["self"] is copy
    inner = []
    t = (1, inner)
    inner.append(t)
    copy = clone(t)
    assert copy[1][0] is copy and type(copy) is tuple
    copy = clone(inner)
    assert copy[0][1] is copy
    hash_it = clone((1, (2, 3)))
    assert {hash_it: 1}[(1, (2, 3))] == 1


def test_depth():
    def nested(depth):
        value = []
        for _ in range(depth - 1):
            value = [value]
        return value

    clone(nested(1000))
    refused(nested(1001), "$[0][0]", "…: nested deeper than 1000")
    refused(nested(100_000), "nested deeper than 1000")
    value = 1
    for _ in range(999):
        value = (value,)
    clone(value)
    refused((value,), "nested deeper than 1000")
    value = {}
    for _ in range(100_000):
        value = {"a": value}
    refused(value, "$.a.a.a", "nested deeper than 1000")
    unreadable(made(b"\x11\x01" * 5000 + b"\x00"), "nested deeper than 1000")


def test_small_stacks():
    import sys
    import threading

    def nested(make):
        value = make(None)
        for _ in range(900):
            value = make(value)
        return value

    def work(value, data):
        for function, argument in ((encode, value), (decode, data)):
            try:
                function(argument)
                seen.append(True)
            except RecursionError:
                seen.append(False)

    if sys.version_info < (3, 14):
        return  # bounds recursion by a number alone
    seen = []
    for make in (lambda v: [v], lambda v: (v,), lambda v: {"a": v}, lambda v: {1: v, 2: 2, 3: 3, 4: 4, 5: 5, 6: 6}):
        value = nested(make)
        data = encode(value)
        for size in (128, 192, 256, 1024):
            threading.stack_size(size << 10)
            thread = threading.Thread(target=work, args=(value, data))
            thread.start()
            thread.join()
    threading.stack_size(0)
    assert len(seen) == 32 and set(seen) == {True, False}, seen


def test_many():
    ten = [None] * 9_999_999
    assert len(clone(ten)) == 9_999_999
    ten.append(None)
    refused(ten, "more than 10000000 values")


def test_paths():
    import socket

    with socket.socket() as s:
        refused({"users": [0, 1, 2, {"socket": s}]}, "$.users[3].socket: socket.socket cannot be cloned")
        refused({"a b": {1: (s,)}}, "$['a b'][1][0]: ")
        refused({(1, 2): s}, "$[<tuple>]: socket")
        refused({s: 1}, "$.keys()[0]: socket.socket cannot be cloned")
        refused({s}, "${0}: socket.socket cannot be cloned")
        refused(s, "$: socket.socket cannot be cloned")
        refused({"x" * 100: s}, "$['xxxx", "…]: ")
    refused({1: {2: [object()]}}, "$[1][2][0]: object cannot be cloned")


def test_refused():
    import sys
    import threading

    def generator():
        yield 1

    for value in (sys, generator(), threading.Lock(), object(), iter([]), lambda: 0, [].append, sys._getframe(), type("X", (), {})()):
        refused(value, "$: ", "cannot be cloned")
    for kind in (int, float, str, bytes, list, dict, tuple, set, frozenset, bytearray, complex):
        subclass = type("Sub", (kind,), {})
        refused([subclass()], "$[0]: ", "Sub cannot be cloned")


def test_nothing_leaks():
    import gc
    import sys

    inner = [1.5, "text of it", b"bytes", {"key of it": (2**70, {3})}]
    value = {"a": inner, "b": inner, "c": frozenset([(1, 2)])}
    bad = [inner, inner, object()]

    def work():
        clone(value)
        try:
            clone(bad)
        except TypeError:
            pass

    def count():
        gc.collect()
        return sys.getallocatedblocks()

    for _ in range(50):
        work()
    refs = sys.getrefcount(inner)
    before = count()
    for _ in range(2000):
        work()
    assert sys.getrefcount(inner) == refs
    assert count() - before < 100, count() - before
