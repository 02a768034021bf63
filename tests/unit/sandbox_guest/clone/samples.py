# Prints clones of all kinds, for the checker.

import array
import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import ipaddress
import pathlib
import re
import sys
import types
import uuid
import zoneinfo


class Color(enum.Flag):
    RED = 1
    BLUE = 2


@dataclasses.dataclass(eq=False)
class Point:
    x: object = None
    y: object = None


Pair = collections.namedtuple("Pair", "left right")


class Registered:
    def __init__(self, state=None):
        self.state = state


cloister.register_clone(Registered, lambda one: one.state, Registered)


def caught():
    try:
        try:
            1 / 0
        except ZeroDivisionError:
            raise ValueError([1, "x"])
    except ValueError as error:
        error.add_note("n")
        return error


def samples():
    shared = [1, "shared text"]
    cycle = [shared, {"k": shared}]
    cycle.append((cycle, frozenset([("a", 2)])))
    node = Point(1)
    node.x = (node, [node], {node: {(node, 1): 2}})
    registered = Registered()
    registered.state = [registered]
    remote = ValueError(object(), "x")
    remote.__context__ = caught()
    d = collections.deque([1])
    d.append(d)
    values = [None, True, False, ..., NotImplemented, 0, -129, 2**40, -(2**63), 2**63, -(2**63) - 1, 2**71, 3**500, 1.5, float("nan"), 1j, "", "a", "é", "\ud800é",
              b"", b"x", bytearray(b"y"), (), (1, (2,)), [], [[]], set(), {1, "a", (1, 2.5)}, frozenset([1]), {}, {"a": {1: {None: ()}}}, shared, cycle, node, registered,
              range(1, 5, 2), slice(1, [2], None), d, collections.deque([1, 2], 3), collections.OrderedDict(a=1, b=[2]), collections.defaultdict(list, {1: [2]}),
              collections.defaultdict(None), collections.Counter("hello"), types.SimpleNamespace(a=1, b=[2]), array.array("i", [1, 2]), [array.array("d", [0.5])] * 2,
              memoryview(b"abc"), memoryview(bytearray(24)).cast("i", [2, 3]), [memoryview(b""), array.array("b")], datetime.date(2024, 1, 2), datetime.time(1, 2, 3, 4, fold=1),
              datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc), datetime.datetime(2024, 1, 1, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin")),
              datetime.timedelta(-5, 3, 7), datetime.timezone(datetime.timedelta(hours=2), "Name"), decimal.Decimal("1.50"), decimal.Decimal("sNaN1"), fractions.Fraction(-1, 3),
              uuid.UUID(int=7), uuid.UUID(int=7, is_safe=uuid.SafeUUID.safe), pathlib.Path("/a"), pathlib.PureWindowsPath("C:\\a"), ipaddress.ip_address("::1"),
              ipaddress.ip_network("10.0.0.0/8"), re.compile("a", re.I), re.compile(b"b"), int, len, Point, Color.RED, Color.RED | Color.BLUE, Color(0), Point(1, [2]), Pair(1, [2]),
              caught(), remote, ExceptionGroup("g", [caught(), KeyError(1)]), OSError(2, "x", "f"), [caught()] * 2, Registered({1: 2}), [Registered(5)] * 2,
              {Color.RED: 1, Pair(1, 2): 2, Point(1): 3, Registered(1): 4, decimal.Decimal(1): 5, int: 6, range(3): 7, frozenset([(1,)]): 8}]  # fmt: skip
    if sys.version_info >= (3, 15):
        values += [frozendict(), frozendict({"a": [1]}), [frozendict(b=2)] * 2]
    try:
        import numpy as np

        values += [np.arange(6).reshape(2, 3), np.array([(1, 2.5)], [("a", "i4"), ("b", "f8", (2,))]), np.array(1.5)]
    except ImportError:
        pass
    return values


def test_deep_samples():
    refused_at = []
    for make in (list, caught, lambda: remote_error(), lambda: datetime.time(1, tzinfo=datetime.timezone.utc), lambda: [array.array("i")], lambda: Pair(1, 2),
                 lambda: {1: 2}, lambda: Color.RED, lambda: uuid.UUID(int=1), lambda: Point(1)):  # fmt: skip
        for depth in range(985, 1001):
            value = make()
            for _ in range(depth - 1):
                value = [value]
            try:
                data = encode(value)
            except cloister.DataCloneError as error:
                assert "nested deeper than 1000" in str(error), error
                refused_at.append(depth)
                continue
            decode(data)
            print(data.hex(), make, depth)
    assert 1000 in refused_at


def remote_error():
    error = caught()
    error.args = (object(),)
    return error


def test_samples():
    values = samples()
    for value in values + [[value, value, {"again": value}] for value in values] + [values, (values, values)]:
        data = encode(value)
        decode(data)
        print(data.hex(), repr(value)[:80].replace("\n", " "))
