# Clones that nobody's encoder wrote. Reading them gives a value or DataCloneError, and no crash.

import random


def samples():
    import array, collections, datetime, decimal, fractions, ipaddress, pathlib, re, types, uuid, zoneinfo  # noqa: E401

    shared = [1, "shared text"]
    cycle = [shared, {"k": shared}]
    cycle.append((cycle, frozenset([("a", 2)])))
    return [
        cycle,
        {"a": [1, 2.5, 2**70, b"x", bytearray(b"y"), "é", "\ud800"], (1, 2): {3, 4}},
        [range(3), slice(1, 2), collections.deque([1], 3), collections.OrderedDict(a=1), collections.defaultdict(list, {1: 2}), collections.Counter("ab")],
        [types.SimpleNamespace(a=1), array.array("i", [1, 2]), memoryview(bytearray(12)).cast("i", [1, 3]), memoryview(b"abc")],
        [datetime.date(2024, 1, 2), datetime.time(1, 2, 3, 4, fold=1), datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc), datetime.timedelta(1, 2, 3)],
        [datetime.timezone(datetime.timedelta(hours=2), "N"), zoneinfo.ZoneInfo("UTC"), decimal.Decimal("1.5"), fractions.Fraction(1, 3), uuid.UUID(int=7)],
        [pathlib.Path("/a"), ipaddress.ip_address("::1"), ipaddress.ip_network("10.0.0.0/8"), re.compile("a+b"), int, len, ValueError],
        [ValueError("a", 1), OSError(2, "x", "f"), ExceptionGroup("g", [KeyError(1)]), ImportError("x", name="n"), ValueError(object())],
        [datetime.timezone, {datetime.date(2024, 1, 1): 1, (decimal.Decimal(1), 2): 3}],
    ]


def attempt(data):
    try:
        value = decode(data)
    except cloister.DataCloneError:
        return False
    except (MemoryError, RecursionError):
        return False
    repr(value)
    return True


def test_truncated():
    for value in samples():
        data = encode(value)
        for end in range(len(data)):
            assert not attempt(data[:end])
        assert not attempt(data + b"\0")


def test_flipped_bits():
    read = 0
    rng = random.Random(5)
    for value in samples():
        data = encode(value)
        for position in range(len(data) * 8):
            changed = bytearray(data)
            changed[position // 8] ^= 1 << position % 8
            read += attempt(bytes(changed))
        for _ in range(2000):
            changed = bytearray(data)
            for _ in range(rng.randrange(1, 5)):
                changed[rng.randrange(16, len(data))] = rng.choice((0, 1, 2, 0xFF, 0x80, 0x96, 0x18, 0x16, rng.randrange(256)))
            read += attempt(bytes(changed))
    assert read > 100


def test_random_bytes():
    rng = random.Random(7)
    tags = list(range(25)) + [tag | 0x80 for tag in range(11, 23)]
    for _ in range(30_000):
        body = bytes(rng.choice(tags) if rng.random() < 0.7 else rng.randrange(6) for _ in range(rng.randrange(1, 40)))
        attempt(made(body))


def test_by_hand():
    for body, text in (
        (b"", "early"),
        (b"\x19", "unknown tag"),
        (b"\x80", "a number for what has none"),
        (b"\x05", "early"),
        (b"\x06\x01\0\0\0", "longer than need be"),
        (b"\x07\x01\0\0\0\0\0\0\0", "longer than need be"),
        (b"\x08\x01\x01", "longer than need be"),
        (b"\x08\x09" + b"\x01" * 8 + b"\0", "longer than need be"),
        (b"\x0b\x01\x80", "no ASCII"),
        (b"\x0c\x01a", "wider tag"),
        (b"\x0c\x03\xed\xa0\x80", "no UTF-8"),
        (b"\x0d\x02\xc3\xa9", "wider tag"),
        (b"\x0d\x04\xf4\x90\x80\x80", "no UTF-8"),
        (b"\x11\xff\xff\xff\xff\xff\xff\xff\xff\x7f", "early"),
        (b"\x11\x80\x00", "no number"),
        (b"\x11\x02\x00", "early"),
        (b"\x14\x01\x00", "early"),
        (b"\x14\x02\x00\x00\x00\x00", "key twice"),
        (b"\x12\x02\x00\x00", "item twice"),
        (b"\x14\x01\x11\x00\x00", "cannot be a key"),
        (b"\x12\x01\x14\x00", "cannot be a key"),
        (b"\x18\x00", "reference to nothing"),
        (b"\x90\x01\x18\x00", "a tuple in itself"),
        (b"\x90\x01\x10\x01\x18\x00", "a tuple in itself"),
        (b"\x93\x01\x18\x00", "a tuple in itself"),
        (b"\x90\x01\x11\x01\x14\x01\x18\x00\x00", "contains its dict"),
        (b"\x96\x00\x03\x05\x00\x05\x01\x18\x00", "does not exist yet"),
        (b"\x16\x63\x00", "unknown kind"),
        (b"\x16\x00\x02\x05\x01\x05\x01", "wrong number of fields"),
        (b"\x16\x00\x03\x05\x01\x05\x01\x05\x00", "zero"),
        (b"\x16\x0a\x03\x06\xe8\x07\0\0\x05\x0d\x05\x01", "month"),
        (b"\x16\x13\x02\x0b\x03foo\x0b\x01a", "called foo"),
        (b"\x16\x16\x02\x0b\x02os\x0b\x07environ", "os.environ is not known here"),
        (b"\x16\x16\x02\x0b\x02no\x0b\x02no", "no.no is not known here"),
        (b"\x16\x12\x02\x0e\x03abc\x00", "no UUID"),
        (b"\x16\x18\x01\x16\x16\x02\x0b\x08builtins\x0b\x03int", "int is no dataclass here"),
        (b"\x16\x19\x01\x16\x16\x02\x0b\x08builtins\x0b\x05tuple", "tuple is no named tuple"),
        (b"\x16\x17\x02\x16\x16\x02\x0b\x08builtins\x0b\x03int\x05\x01", "int is no enum here"),
        (b"\x16\x1c\x02\x16\x16\x02\x0b\x08builtins\x0b\x03int\x05\x01", "int is not registered here"),
        (b"\x16\x1d\x03\x17\x00\x01\x01", "a handle that cannot come from there"),
        (b"\x16\x1f\x02\x0b\x04Lock\x17\x00", "a handle that cannot come from there"),
        (b"\x17\x00", "unknown tag"),
        (b"\x16\x07\x03\x0b\x01i\x05\x04\x17\x00", "buffer out of turn"),
        (b"\x16\x07\x03\x0b\x01i\x05\x04\x00", "no buffer"),
        (b"\x00\x00", "more than its value"),
    ):
        unreadable(made(body), text)
    unreadable(b"", "clone is damaged")
    unreadable(b"CLN\x02" + made(b"\0")[4:], "clone is damaged")
    value = decode(made(b"\x90\x01\x11\x01\x18\x00"))
    assert value[0][0] is value


def test_keys_deep_by_reference():
    # Tuples in tuples, by references and so without depth: hash() of the last would end the process.
    body = b"\x11" + varint(100_000) + b"\x90\x01\x00"
    for number in range(99_998):
        body += b"\x90\x01\x18" + varint(number)
    unreadable(made(body + b"\x14\x01\x18" + varint(99_998) + b"\x00"), "nested too deep")
    # As wide as deep: 2 ** 60 looks.
    body = b"\x11" + varint(62) + b"\x90\x01\x00"
    for number in range(60):
        body += b"\x90\x02" + b"\x18" + varint(number) + b"\x18" + varint(number)
    unreadable(made(body + b"\x14\x01\x18" + varint(60) + b"\x00"), "nested too deep")


def test_buffers():
    import array

    data = encode([array.array("i", [1]), array.array("i", [2])])
    table = 16 + int.from_bytes(data[8:16], "little")
    assert [list(a) for a in decode(data)] == [[1], [2]]
    for position in range(table, table + 48):
        for value in (0, 1, 2, 0x10, 0xFF):
            changed = bytearray(data)
            changed[position] = value
            attempt(bytes(changed))
    for source in (1, 2):
        changed = bytearray(encode(array.array("i", [1])))
        start = 16 + int.from_bytes(changed[8:16], "little")
        changed[start] = source
        attempt(bytes(changed))


def test_no_leaks():
    import gc
    import sys

    data = [encode(value) for value in samples()]
    rng = random.Random(3)

    def work():
        for one in data:
            changed = bytearray(one)
            changed[rng.randrange(16, len(one))] = rng.randrange(256)
            attempt(bytes(changed))
            attempt(one[: rng.randrange(len(one))])
            decode(one)

    for _ in range(300):
        work()
    gc.collect()
    before = sys.getallocatedblocks()
    for _ in range(300):
        work()
    gc.collect()
    grown = sys.getallocatedblocks() - before
    assert grown < 2000, grown
