import array
import collections
import datetime
import decimal
import fractions
import ipaddress
import pathlib
import re
import sys
import types
import uuid
import zoneinfo


def test_ranges_and_slices():
    for value in (range(5), range(1, 10, 3), range(10, -10, -7), range(2**70), range(0)):
        copy = same(value)
        assert (copy.start, copy.stop, copy.step) == (value.start, value.stop, value.step)
    same(slice(1, None, "x"))
    shared = []
    copy = clone([slice(shared, shared), shared])
    assert copy[0].start is copy[1]


def test_collections():
    for value in (collections.deque([1, 2]), collections.deque([1, 2], 5), collections.deque([], 0)):
        assert same(value).maxlen == value.maxlen
    ordered = collections.OrderedDict([("a", 1), ("b", 2), ("c", [3])])
    ordered.move_to_end("a")
    assert list(same(ordered).items()) == list(ordered.items()) and list(clone(ordered)) == ["b", "c", "a"]
    counted = same(collections.defaultdict(list, {1: [2]}))
    counted["new"].append(1)
    assert same(collections.defaultdict(None, {})).default_factory is None
    assert clone(collections.defaultdict(int)).default_factory is int
    refused(collections.defaultdict(lambda: 0), "$.default_factory: ")
    refused(collections.defaultdict([].copy), "$.default_factory: ")
    assert same(collections.Counter("abracadabra")).most_common(1) == [("a", 5)]
    same(types.SimpleNamespace(a=1, b=[2]))
    refused(type("Deque", (collections.deque,), {})([1]), "Deque cannot be cloned")


def test_cycles_of_collections():
    d = collections.deque([1])
    d.append(d)
    assert (c := clone(d))[1] is c
    o = collections.OrderedDict()
    o["o"] = o
    assert (c := clone(o))["o"] is c
    f = collections.defaultdict(list)
    f[1] = [f]
    assert (c := clone(f))[1][0] is c
    k = collections.Counter()
    k["k"] = k
    assert (c := clone(k))["k"] is c
    n = types.SimpleNamespace()
    n.n = (n,)
    assert (c := clone(n)).n[0] is c
    l = []
    l.append(slice(l, None))
    assert (c := clone(l))[0].start is c
    refused(l[0], "slice that contains itself")


def test_moments():
    zones = [None, datetime.timezone.utc, datetime.timezone(datetime.timedelta(hours=-3, seconds=5)),
             datetime.timezone(datetime.timedelta(hours=2), "Here é"), zoneinfo.ZoneInfo("Europe/Berlin")]  # fmt: skip
    for zone in zones:
        for fold in (0, 1):
            value = datetime.datetime(2024, 10, 27, 2, 30, 15, 999999, zone, fold=fold)
            copy = same(value)
            assert copy.fold == fold and copy.tzinfo == zone and copy.utcoffset() == value.utcoffset()
            value = datetime.time(23, 59, 59, 1, zone, fold=fold)
            copy = same(value)
            assert copy.fold == fold and copy.tzinfo == zone
    for value in (datetime.date.min, datetime.date.max, datetime.datetime.min, datetime.datetime.max, datetime.timedelta.min,
                  datetime.timedelta.max, datetime.timedelta(-1, 5, 7), datetime.timezone.min, datetime.timezone.max):  # fmt: skip
        same(value)
    assert clone(datetime.timezone.utc) is datetime.timezone.utc
    assert clone(datetime.timezone(datetime.timedelta(0), "Z")).tzname(None) == "Z"
    assert clone(zoneinfo.ZoneInfo("Asia/Tokyo")) is zoneinfo.ZoneInfo("Asia/Tokyo")

    class Zone(datetime.tzinfo):
        def utcoffset(self, when):
            raise AssertionError

    refused([datetime.datetime(2024, 1, 1, tzinfo=Zone())], "$[0].tzinfo: ", "Zone cannot be cloned")
    refused(type("Date", (datetime.date,), {})(2024, 1, 1), "Date cannot be cloned")


def test_numbers():
    for text in ("0", "-0", "1.50", "1E+999999", "-1E-999999", "NaN", "-NaN", "sNaN123", "Infinity", "-Infinity", "9" * 200, "0E-100"):
        value = decimal.Decimal(text)
        copy = clone(value)
        assert type(copy) is decimal.Decimal and copy.as_tuple() == value.as_tuple(), text
    for value in (fractions.Fraction(1, 3), fractions.Fraction(-(2**80), 3**50), fractions.Fraction(0)):
        same(value)


def test_names():
    for value in (uuid.UUID(int=0), uuid.UUID(int=2**128 - 1), uuid.uuid4(), uuid.UUID(int=5, is_safe=uuid.SafeUUID.safe),
                  uuid.UUID(int=5, is_safe=uuid.SafeUUID.unsafe)):  # fmt: skip
        assert same(value).is_safe is value.is_safe
    for value in (pathlib.Path("/a/b"), pathlib.PurePosixPath("a", "..", "b"), pathlib.PureWindowsPath("C:\\x\\y"), pathlib.Path(""), pathlib.Path("é")):
        same(value)
    for text in ("127.0.0.1", "::1", "fe80::1%eth0", "255.255.255.255"):
        same(ipaddress.ip_address(text))
    for text in ("10.0.0.0/8", "2001:db8::/32", "0.0.0.0/0"):
        same(ipaddress.ip_network(text))
    for text in ("10.1.2.3/8", "2001:db8::1/32"):
        same(ipaddress.ip_interface(text))
    for value in (re.compile("a.b", re.I | re.S), re.compile(b"x+"), re.compile("(?i)é"), re.compile("")):
        assert same(value).flags == value.flags


def test_as_keys():
    keys = [range(3), datetime.date(2024, 1, 1), datetime.time(1), datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc), datetime.timedelta(1),
            datetime.timezone.utc, zoneinfo.ZoneInfo("UTC"), decimal.Decimal("1.5"), fractions.Fraction(1, 3), uuid.UUID(int=1), pathlib.Path("a"),
            ipaddress.ip_address("::1"), ipaddress.ip_network("10.0.0.0/8"), re.compile("x"), int, len, (1, (fractions.Fraction(1, 7),)), frozenset([pathlib.Path("b")])]  # fmt: skip
    value = {key: number for number, key in enumerate(keys)}
    copy = same(value)
    assert list(copy) == keys
    same(set(keys))
    same(frozenset(keys))
    same(collections.OrderedDict(value))
    same(collections.Counter(keys))
    refused({slice(1): 2}, "$.keys()[0]: slice cannot be a key")
    refused({memoryview(b"x"): 2}, "$.keys()[0]: memoryview cannot be a key")


def test_identity():
    moment = datetime.datetime(2024, 1, 1)
    number = decimal.Decimal("1.25")
    copy = clone([moment, moment, number, number])
    assert copy[0] is copy[1] and copy[2] is copy[3] and copy[0] is not moment


def test_arrays():
    for code, values in (("b", [-1, 2]), ("B", [255]), ("h", [-300]), ("H", []), ("i", [2**31 - 1]), ("l", [-5]), ("q", [2**63 - 1]), ("Q", [2**64 - 1]),
                         ("f", [1.5]), ("d", [2.5, float("inf")])):  # fmt: skip
        copy = same(array.array(code, values))
        assert copy.typecode == code
        copy.append(values[0] if values else 1)
    same(array.array("w" if sys.version_info >= (3, 13) else "u", "é😀"))
    one = array.array("i", [1])
    copy = clone([one, one, array.array("d", [1.0])])
    assert copy[0] is copy[1] and copy[2][0] == 1.0
    assert len(encode(one)) % 16 == 4


def test_memory_views():
    for value in (memoryview(b"abc"), memoryview(bytearray(b"abc")), memoryview(b""), memoryview(b"abcdef")[::2], memoryview(b"abcdef")[::-1],
                  memoryview(array.array("i", [1, 2, 3])), memoryview(bytes(24)).cast("i", [2, 3]), memoryview(bytes(4)).cast("i", []),
                  memoryview(array.array("d"))):  # fmt: skip
        copy = same(value)
        assert (copy.format, copy.shape, copy.readonly, copy.itemsize) == (value.format, value.shape, value.readonly, value.itemsize)
    copy = clone(memoryview(bytearray(b"abc")))
    copy[0] = 0
    released = memoryview(b"x")
    released.release()
    refused(released, "released")


def test_numpy():
    try:
        import numpy as np
    except ImportError:
        return
    arrays = [np.arange(6), np.arange(6).reshape(2, 3), np.asfortranarray(np.arange(6.0).reshape(2, 3)), np.arange(10)[::2], np.zeros((0, 3)), np.array(5),
              np.array([True, False]), np.array([1 + 2j]), np.array(["a", "bcd"]), np.array([b"x"]), np.array(["2024-01-01"], "M8[s]"),
              np.array([1, 2], ">i4"), np.array([(1, 2.5)], [("a", "i4"), ("b", "f8", (2,))]), np.float32([1.5, np.nan])]  # fmt: skip
    for value in arrays:
        copy = clone(value)
        assert type(copy) is np.ndarray and copy.dtype == value.dtype and copy.shape == value.shape
        assert copy.tobytes() == value.tobytes() and copy.flags.writeable
        assert copy.flags.f_contiguous == value.flags.f_contiguous or value.strides == (16,), value
    copy = clone({"a": arrays[0], "b": arrays[0]})
    assert copy["a"] is copy["b"]
    refused([np.array([object()])], "$[0]: numpy.ndarray of object cannot be cloned")
    refused([np.matrix([1])], "matrix cannot be cloned")
    big = np.zeros(3 << 20, "i4")
    assert (clone(big) == big).all()
    refused(np.zeros(5 << 20, "i4"), "larger than 16777216 bytes")


def test_frozendict():
    if sys.version_info < (3, 15):
        unreadable(made(b"\x15\x00"), "frozendict")
        return
    value = frozendict({"a": [1], 2: ("x",)})
    same(value)
    copy = clone([value, value])
    assert copy[0] is copy[1]
    inner = []
    value = frozendict(a=inner)
    inner.append(value)
    refused(value, "frozendict that contains itself")
    assert (c := clone(inner))[0]["a"] is c
    refused({frozendict(): 1}, "cannot be a key")
