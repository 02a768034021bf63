"""Values without a server: what travels, what is refused, and what hostile messages can do."""

import array
import collections
import copy
import dataclasses
import datetime
import decimal
import enum
import fractions
import ipaddress
import math
import pathlib
import pickle
import re
import struct
import sys
import types
import unittest
import uuid
import warnings
import zoneinfo

import hypothesis
import hypothesis.strategies as st
import numpy

import cloister
from cloister import values
from cloister.v1 import value_pb2 as pb

hypothesis.settings.register_profile("ci", deadline=None, max_examples=150, derandomize=True)
hypothesis.settings.load_profile("ci")


def there_and_back(value, classes=()):
    message = pb.Value.FromString(values.encode(value).SerializeToString())
    return values.decode(message, values.class_table(classes))


class Color(enum.Enum):
    RED = 1


class Right(enum.Flag):
    READ = 1
    WRITE = 2


@dataclasses.dataclass
class Point:
    x: int
    y: object = None

    def __post_init__(self):
        raise AssertionError("no code of the class runs")


@dataclasses.dataclass(frozen=True)
class Frozen:
    __slots__ = ("name",)
    name: str


Pair = collections.namedtuple("Pair", "left right")


class AppError(Exception):
    def __init__(self, code, text):
        super().__init__(code, text)


def point(x, y=None):
    made = object.__new__(Point)
    made.x, made.y = x, y
    return made


class RoundTripTest(unittest.TestCase):
    def same(self, value):
        got = there_and_back(value)
        self.assertIs(type(got), type(value))
        self.assertEqual(repr(got), repr(value))
        return got

    def test_numbers(self):
        for value in (None, ..., NotImplemented, True, False, 0, -1, 2**63 - 1, 2**63, -2**63, -2**63 - 1, 255, 10**500, -10**500,
                      0.0, -0.0, 1.5, math.inf, -math.inf, 5e-324, complex(-0.0, 2)):
            self.same(value)
        self.assertTrue(math.isnan(there_and_back(math.nan)))

    def test_a_nan_keeps_its_payload(self):
        odd = struct.unpack("<d", bytes.fromhex("010000000000f87f"))[0]
        self.assertEqual(struct.pack("<d", there_and_back(odd)), struct.pack("<d", odd))

    def test_text_and_bytes(self):
        for value in ("", "é", "\x00", "\U0001f600", "a\ud800b", "\udfff\ud800", "x" * 5000, b"", b"\x00\xff" * 900, bytearray(b"ab")):
            self.same(value)

    def test_containers(self):
        for value in ([], (), {}, set(), frozenset(), [1, [2, (3,)]], {"a": 1, 2: "b", (1, 2): None, frozenset({1}): ()},
                      collections.deque([1, 2], 5), collections.OrderedDict(b=1, a=2), collections.Counter("hello"),
                      collections.defaultdict(list, {1: [2]}), collections.defaultdict(None, {1: 2}), types.SimpleNamespace(a=1),
                      range(3, 10, 2), slice(1, None, "x"), array.array("d", [1.5]), array.array("u" if sys.version_info < (3, 13) else "w", "é")):
            self.same(value)

    def test_the_standard_library(self):
        zone = zoneinfo.ZoneInfo("Europe/Zurich")
        for value in (datetime.date(2024, 2, 29), datetime.time(1, 2, 3, 4, fold=1), datetime.datetime(2024, 10, 27, 2, 30, fold=1, tzinfo=zone),
                      datetime.datetime(1, 1, 1, tzinfo=datetime.timezone.utc), datetime.timezone(datetime.timedelta(hours=1), "X"),
                      datetime.timezone(datetime.timedelta(minutes=-90)), datetime.timedelta(-1, 2, 3), zone,
                      decimal.Decimal("1.10"), decimal.Decimal("NaN123"), decimal.Decimal("-Infinity"), fractions.Fraction(-1, 3),
                      uuid.uuid4(), uuid.uuid1(), re.compile("a(?P<n>b)+", re.I | re.S), re.compile(b"\xff"),
                      pathlib.PurePosixPath("/a/../b"), pathlib.PureWindowsPath("c:\\x"), pathlib.Path("rel"),
                      ipaddress.ip_address("::1"), ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_interface("10.0.0.1/8")):
            self.same(value)

    def test_identity_and_cycles(self):
        loop = [1]
        loop.append(loop)
        got = there_and_back(loop)
        self.assertIs(got[1], got)
        shared = {"x": ()}
        shared["self"] = [shared, (shared,)]
        got = there_and_back((shared, shared))
        self.assertIs(got[0], got[1])
        self.assertIs(got[0]["self"][1][0], got[0])

    def test_sharing_is_not_multiplied(self):
        value = ()
        for _ in range(60):  # 2**60 tuples, if each were written out
            value = (value, value)
        got = there_and_back(value)
        self.assertIs(got[0], got[1])

    def test_depth(self):
        for wrap in (lambda inner: [inner], lambda inner: (inner,), lambda inner: {"k": inner}):
            value = 0
            for _ in range(900):
                value = wrap(value)
            got = there_and_back(value)
            for _ in range(900):
                got = next(iter(got.values())) if isinstance(got, dict) else got[0]
            self.assertEqual(got, 0)

    def test_arrays(self):
        for value in (numpy.arange(6, dtype="<i2").reshape(2, 3), numpy.arange(6.0).reshape(2, 3).T, numpy.array(3.5), numpy.empty((0, 4)),
                      numpy.array(["ab", "c"]), numpy.array([b"x"]), numpy.array(["2024-01-01"], "M8[D]"), numpy.array([1j]),
                      numpy.zeros(3, [("a", "<i4"), ("b", "<f8", (2,))]), numpy.arange(10)[::2], numpy.array([True])):
            with self.subTest(dtype=value.dtype):
                got = there_and_back(value)
                self.assertEqual((got.dtype, got.shape), (value.dtype, value.shape))
                numpy.testing.assert_array_equal(got, value)
                self.assertTrue(got.flags.writeable)
        self.assertIs(type(there_and_back(numpy.int32(7))), int)
        self.assertIs(there_and_back(numpy.bool_(True)), True)

    def test_memoryviews(self):
        got = there_and_back(memoryview(array.array("d", [1.5, 2.5])))
        self.assertEqual((got.tolist(), got.format, got.readonly), ([1.5, 2.5], "d", False))
        self.assertTrue(there_and_back(memoryview(b"abc")).readonly)

    def test_exceptions(self):
        error = ValueError("bad", 1)
        got = there_and_back(error)
        self.assertEqual((type(got), got.args), (ValueError, ("bad", 1)))
        got = there_and_back(AppError(3, "x"))
        self.assertEqual((type(got), got.module, got.type_name, got.args), (cloister.RemoteError, __name__, "AppError", ("3", "x")))

    @hypothesis.given(st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary() | st.complex_numbers(allow_nan=False)
        | st.decimals(allow_nan=False) | st.fractions() | st.uuids() | st.datetimes(timezones=st.timezones()) | st.timedeltas() | st.dates(),
        lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text() | st.integers(), inner), max_leaves=30))
    def test_anything(self, value):
        self.assertEqual(there_and_back(value), value)


class ClassesTest(unittest.TestCase):
    def test_classes_that_were_given(self):
        got = there_and_back([point(1, point(2)), Pair(1, 2), Color.RED, Right.READ | Right.WRITE], [Point, Pair, Color, Right])
        self.assertEqual((got[0].x, got[0].y.x, type(got[0])), (1, 2, Point))
        self.assertEqual(got[1:], [Pair(1, 2), Color.RED, Right.READ | Right.WRITE])
        self.assertEqual(there_and_back(Frozen("n"), [Frozen]), Frozen("n"))

    def test_others_are_records_that_go_back_as_what_they_were(self):
        first = values.encode([point(1), Pair(1, 2), Color.RED, Point])
        got = values.decode(first)
        self.assertEqual((got[0].x, got[0].class_name, list(got[1]), got[2].member, got[3]),
                         (1, cloister.Name(__name__, "Point"), [1, 2], "RED", cloister.Name(__name__, "Point")))
        self.assertEqual(values.decode(values.encode(got), values.class_table([Point, Pair, Color]))[1:], [Pair(1, 2), Color.RED, Point])
        with self.assertRaisesRegex(AttributeError, "no field 'z'"):
            got[0].z
        with self.assertRaisesRegex(TypeError, "is of a sandbox"):
            got[3](1, 2)
        copy.copy(got[0])

    def test_a_dataclass_in_a_cycle(self):
        first = point(1)
        first.y = [first]
        got = there_and_back(first, [Point])
        self.assertIs(got.y[0], got)

    def test_errors_survive_pickle(self):
        for error in (cloister.CloneError("$.a", "is wrong"), cloister.NotFound("gone", reason="SANDBOX_NOT_FOUND", retry_after=1.0),
                      cloister.RemoteError("x", module="m", type_name="T")):
            again = pickle.loads(pickle.dumps(error))
            self.assertEqual((type(again), str(again)), (type(error), str(error)))


class RefusalTest(unittest.TestCase):
    def refused(self, value, path, problem):
        with self.assertRaises(cloister.CloneError) as caught:
            values.encode(value)
        self.assertEqual(caught.exception.path, path)
        self.assertRegex(caught.exception.problem, problem)

    def test_the_way_to_the_culprit(self):
        self.refused({"users": [1, {"socket": sys.stdin}]}, "$.users[1].socket", "TextIOWrapper cannot be cloned")
        self.refused({"a b": (object(),)}, "$['a b'][0]", "object cannot be cloned")
        self.refused(point(sys.stdin), "$.x", "cannot be cloned")
        self.refused({(1, sys.stdin): 2}, "$.keys()[0][1]", "cannot be cloned")
        self.refused(datetime.datetime(1, 1, 1, tzinfo=type("Z", (datetime.tzinfo,), {})()), "$.tzinfo", "Z cannot be cloned")

    def test_no_code_of_classes_runs(self):
        class Sneaky(list):
            def __iter__(self):
                raise AssertionError

        self.refused([Sneaky()], "$[0]", "Sneaky cannot be cloned")
        self.refused(lambda: 0, "$", "cannot be imported")
        self.refused(numpy.array([object()]), "$", "dtype is object")

    def test_bounds(self):
        self.refused(list(range(200_001)), "$[199999]", "more than 200000 values")
        self.refused([b"x" * (9 << 20), b"y" * (9 << 20)], "$[0]", "larger than")
        deep = []
        for _ in range(1100):
            deep = [deep]
        self.refused(deep, "$" + "[0]" * 1000, "deeper than 1000")


def of_kind(kind, *fields):
    made = pb.Value()
    made.object_value.kind = kind
    made.object_value.fields.extend(fields)
    return made


def text(value):
    return pb.Value(string_value=value)


def number(value):
    return pb.Value(int_value=value)


class HostileTest(unittest.TestCase):
    """Each of these is a value or a CloneError, soon, and without much memory."""

    def wrong(self, message, problem=""):
        with self.assertRaisesRegex(cloister.CloneError, problem):
            values.decode(message)

    def test_what_is_no_value(self):
        kind = pb.Object
        self.wrong(pb.Value())
        self.wrong(of_kind(99))
        self.wrong(of_kind(kind.KIND_DATE, number(2024), number(13), number(1)), "month")
        self.wrong(of_kind(kind.KIND_DATE, number(2024)))
        self.wrong(of_kind(kind.KIND_DECIMAL, text("abc")))
        self.wrong(of_kind(kind.KIND_FRACTION, number(1), number(0)))
        self.wrong(of_kind(kind.KIND_PATH, text("Popen"), text("/")))
        self.wrong(of_kind(kind.KIND_IP, text("IPv4Address"), text("x")))
        self.wrong(of_kind(kind.KIND_PATTERN, text("(" * 5000), number(0)), "regular expression")
        self.wrong(of_kind(kind.KIND_PATTERN, text("a" * 20_000), number(0)), "not compiled")
        self.wrong(of_kind(kind.KIND_ZONE_INFO, text("../../etc/passwd")), "no time zone")
        self.wrong(of_kind(kind.KIND_RANGE, number(0), number(1), number(0)))
        self.wrong(of_kind(kind.KIND_DEQUE, text("x")))
        self.wrong(of_kind(kind.KIND_EXCEPTION))
        self.wrong(pb.Value(reference=0), "not there")
        self.wrong(pb.Value(surrogate_string_value=b"\xff"))
        twice = pb.Value()
        twice.set_value.items.extend([number(1), number(1)])
        self.wrong(twice, "twice")
        unhashable = pb.Value()
        unhashable.dict_value.keys.add().list_value.SetInParent()
        unhashable.dict_value.values.add().int_value = 1
        self.wrong(unhashable, "unhashable")
        alone = pb.Value(reference=0)
        alone.shared.add().tuple_value.items.add().reference = 0
        self.wrong(alone, "in itself")
        chain = pb.Value(reference=0)
        chain.shared.add().reference = 0
        self.wrong(chain, "is a reference")

    def test_arrays_ask_for_no_more_memory_than_they_bring(self):
        def array_of(dtype, content, *shape):
            return of_kind(pb.Object.KIND_NDARRAY, dtype if isinstance(dtype, pb.Value) else text(dtype), pb.Value(bool_value=False),
                           pb.Value(buffer_value=content), *map(number, shape))

        self.wrong(array_of("<f8", b"", 1 << 40), "size")
        self.wrong(array_of("V2000000000", b"", 0), "very large")
        self.wrong(array_of("<f8", b"x" * 8, -1, -1), "dimensions")
        self.wrong(array_of("O", b"x" * 8, 1), "no type")
        self.wrong(array_of("(1000000,1000000)i4", b"", 0), "no type")
        self.wrong(array_of("ctypes.c_int", b"x" * 4, 1), "no type")
        self.wrong(array_of("<f8", b"x" * 8, *[1] * 65))

    def test_no_protocol_is_taken_part_in(self):
        address = values.encode({"data": (id(self), False), "shape": (16,), "typestr": "|u1", "version": 3})
        for kind in ((pb.Object.KIND_NAMESPACE,), (pb.Object.KIND_DATACLASS, of_kind(pb.Object.KIND_GLOBAL, text("m"), text("D")))):
            self.wrong(of_kind(*kind, text("__array_interface__"), pb.Value.FromString(address.SerializeToString()) if not address.shared else number(1)), "may not be called")
        with self.assertRaises(AttributeError):
            cloister.Record(cloister.Name("m", "D"), {"__array_interface__": {}}).__array_interface__

    def test_what_takes_long(self):
        self.wrong(of_kind(pb.Object.KIND_FRACTION, pb.Value(big_int_value=b"\x01" * 125_000), number(3)), "bits")

    def test_no_class_is_looked_up(self):
        class_ = of_kind(pb.Object.KIND_GLOBAL, text("os"), text("system"))
        self.assertIsInstance(values.decode(class_), cloister.Name)
        got = values.decode(of_kind(pb.Object.KIND_REGISTERED, class_, text("id")))
        self.assertIsInstance(got, cloister.RegisteredRecord)
        got = values.decode(of_kind(pb.Object.KIND_DATACLASS, class_, text("x"), number(1)))
        self.assertIsInstance(got, cloister.Record)
        fatal = of_kind(pb.Object.KIND_GLOBAL, text("builtins"), text("SystemExit"))
        empty = pb.Value()
        empty.tuple_value.SetInParent()
        none = pb.Value(singleton=pb.SINGLETON_NONE)
        frames = pb.Value()
        frames.list_value.SetInParent()
        got = values.decode(of_kind(pb.Object.KIND_EXCEPTION, fatal, empty, none, none, none, none, pb.Value(bool_value=False), frames))
        self.assertIsInstance(got, cloister.RemoteError)

    def test_a_known_class_gets_its_fields_only(self):
        class_ = of_kind(pb.Object.KIND_GLOBAL, text(__name__), text("Point"))
        message = of_kind(pb.Object.KIND_DATACLASS, class_, text("__class__"), number(1))
        with self.assertRaisesRegex(cloister.CloneError, "may not be called '__class__'"):
            values.decode(message, values.class_table([Point]))

    def test_nesting_of_what_has_to_be_whole_at_once(self):
        message = inner = pb.Value()
        for _ in range(45):
            inner.tuple_value.SetInParent()
            inner = inner.tuple_value.items.add()
        inner.int_value = 1
        values.decode(message)
        # References the other way round than the server writes them: each tuple needs the next.
        message = pb.Value(reference=999)
        for index in range(1000):
            entry = message.shared.add()
            if index:
                entry.tuple_value.items.add().reference = index - 1
            else:
                entry.int_value = 0
        try:
            values.decode(message)
        except cloister.CloneError as error:
            self.assertIn("in one another", str(error))

    @hypothesis.given(st.binary(max_size=200))
    def test_any_bytes(self, content):
        try:
            message = pb.Value.FromString(content)
        except Exception:
            return  # no message
        try:
            values.decode(message)
        except cloister.CloneError:
            pass

    @hypothesis.given(st.data())
    def test_values_with_a_byte_changed(self, data):
        content = bytearray(_SAMPLE)
        for _ in range(data.draw(st.integers(1, 4))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
        try:
            message = pb.Value.FromString(bytes(content))
        except Exception:
            return
        try:
            values.decode(message, values.class_table([Point, Pair, Color]))
        except cloister.CloneError:
            pass


_SAMPLE = values.encode([point([1, 2]), Pair(1, "x"), Color.RED, numpy.arange(4), datetime.datetime(2024, 1, 1, tzinfo=zoneinfo.ZoneInfo("UTC")),
                         decimal.Decimal("1.5"), {1: {2, 3}, "k": (1, frozenset([4]))}, ValueError("x"), uuid.uuid4(), 2**70, re.compile("a"),
                         collections.defaultdict(int, a=1), memoryview(b"abc"), array.array("h", [1]), range(3)]).SerializeToString()


if __name__ == "__main__":
    warnings.simplefilter("ignore", RuntimeWarning)  # protobuf's, of bytes that are no message
    unittest.main()
