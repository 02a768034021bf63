# Classes that say whatever they can: none of it is asked.

import collections
import dataclasses
import enum

ran = []


def note(name):
    def method(self, *arguments, **named):
        ran.append(name)
        raise SystemExit(name)

    return method


NAMES = ("__getattr__", "__getattribute__", "__setattr__", "__delattr__", "__reduce__", "__reduce_ex__", "__getstate__", "__setstate__", "__copy__",
         "__deepcopy__", "__eq__", "__ne__", "__lt__", "__hash__", "__bool__", "__len__", "__iter__", "__getitem__", "__setitem__", "__contains__",
         "__repr__", "__str__", "__index__", "__int__", "__float__", "__buffer__", "__init__", "__new__", "__getnewargs__", "__getnewargs_ex__")  # fmt: skip


def evil(name, bases=(), **more):
    namespace = {one: note(one) for one in NAMES}
    namespace.update(more, __class__=property(note("__class__")), __module__="__main__", __qualname__=name)
    made = type(name, bases, namespace)
    globals()[name] = made
    return made


def test_plain_classes():
    value = object.__new__(evil("Evil"))
    for one in (value, [value], {"k": value}, (value,), {1: [value]}):
        refused(one, "Evil cannot be cloned")
    for base in (int, str, list, dict, tuple, set, float, bytes, collections.deque, collections.OrderedDict):
        refused([base.__new__(evil("EvilSub", (base,)))], "EvilSub cannot be cloned")
    assert not ran, ran
    assert clone(Evil) is Evil


def test_keys():
    class Key:
        armed = False

        def __hash__(self):
            if Key.armed:
                ran.append("hash")
            return 5

        def __eq__(self, other):
            if Key.armed:
                ran.append("eq")
            return self is other

    key = Key()
    values = [{key: 1}, {key}, frozenset([key]), {(1, key): 2}, {1: {5: {key: 1}}}, collections.OrderedDict({key: 1}), collections.Counter([key]),
              collections.defaultdict(int, {key: 1})]  # fmt: skip
    Key.armed = True
    for value in values:
        refused(value, "Key cannot be a key or an item of a set")
    assert not ran, ran


def test_dataclass():
    made = evil("EvilData", (), __dataclass_fields__={}, x=property(note("property")))
    value = object.__new__(made)
    object.__getattribute__(value, "__dict__").update(x=1, y=[2])
    copy = clone([value, value])
    assert not ran, ran
    assert type.__call__ and object.__getattribute__(copy[0], "__dict__") == {"x": 1, "y": [2]}
    assert not ran, ran

    class Meta(type):
        def __call__(cls, *arguments):
            ran.append("call")

        def __getattribute__(cls, name):
            ran.append(name)
            raise SystemExit

        def __instancecheck__(cls, other):
            ran.append("instance")

        mro_asked = False

    made = Meta.__new__(Meta, "EvilMeta", (), {"__dataclass_fields__": {}, "__module__": "__main__", "__qualname__": "EvilMeta"})
    globals()["EvilMeta"] = made
    value = object.__new__(made)
    ran.clear()
    copy = clone(value)
    assert not ran, ran
    assert clone(made) is made
    assert not ran, ran


def test_odd_names():
    class Odd:
        pass

    for module in (None, 5, "", "no.such", "sys", "\ud800"):
        Odd.__module__ = module
        refused(Odd)
        refused(Odd())
    made = type("Sub", (str,), {"__eq__": note("eq"), "__hash__": str.__hash__})
    Odd.__module__ = made("__main__")
    refused(Odd)
    assert not ran, ran


def test_named_tuples():
    pair = collections.namedtuple("EvilPair", "a b")
    globals()["EvilPair"] = pair
    value = pair(1, 2)
    pair.__new__ = note("new")
    pair.__iter__ = note("iter")
    pair.__getitem__ = note("getitem")
    pair.__len__ = note("len")
    copy = clone(value)
    assert type(copy) is pair and tuple.__eq__(copy, (1, 2))
    pair.__hash__ = note("hash")
    pair._fields = ("a",)
    refused(value, "EvilPair cannot be cloned")
    assert not ran, ran


def test_enum():
    class EvilEnum(enum.Enum):
        A = 1

        def __reduce_ex__(self, protocol):
            ran.append("reduce")

        @classmethod
        def _missing_(cls, value):
            ran.append("missing")

        def __eq__(self, other):
            ran.append("eq")
            return False

        __hash__ = enum.Enum.__hash__

    globals()["EvilEnum"] = EvilEnum
    EvilEnum.__qualname__ = "EvilEnum"
    assert clone(EvilEnum.A) is EvilEnum.A
    refused({EvilEnum.A: 1}, "EvilEnum cannot be a key")
    assert not ran, ran


def test_exception():
    made = evil("EvilError", (ValueError,), args=property(note("args")), add_note=note("add_note"), with_traceback=note("with"))
    value = ValueError.__new__(made, "x")
    BaseException.__setattr__(value, "more", [1])
    copy = clone(value)
    assert not ran, ran
    ran.clear()
    assert object.__getattribute__(copy, "__dict__") == {"more": [1]}


def test_sequences_that_lie():
    made = evil("EvilReg")
    ran.clear()
    cloister.register_clone(made, lambda one: None, lambda state: object.__new__(made))
    clone([object.__new__(made)])
    assert not ran, ran


def test_replaced_modules():
    import sys
    import types

    lie = types.SimpleNamespace(Decimal=int)
    import decimal

    number = decimal.Decimal(5)
    other = type("Decimal", (), {"__module__": "decimal", "__qualname__": "Decimal"})
    refused(other(), "decimal.Decimal cannot be cloned")
    same(number)


def test_threads_change_what_is_walked():
    import threading
    import pathlib

    value = [[pathlib.Path(f"{i}") for i in range(20)], {i: [i] for i in range(50)}]
    stop = []

    def change():
        i = 0
        while not stop:
            value[1][i % 100] = [i]
            value[1].pop((i * 7) % 100, None)
            value[0].append(i)
            value[0].pop(0)
            i += 1

    threads = [threading.Thread(target=change) for _ in range(2)]
    import sys

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    for one in threads:
        one.start()
    for _ in range(2000):
        value[0][5:10] = [pathlib.Path("x")] * 5
        try:
            clone(value)
        except cloister.DataCloneError as error:
            assert "changed while it was cloned" in str(error), error
    stop.append(1)
    for one in threads:
        one.join()
    sys.setswitchinterval(interval)
