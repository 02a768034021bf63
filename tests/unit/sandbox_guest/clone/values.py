import math
import struct
import sys


def test_singletons():
    for value in (None, True, False, ..., NotImplemented):
        assert clone(value) is value


def test_ints():
    edges = [0, 1, -1, 127, 128, -128, -129]
    for bits in (7, 8, 15, 16, 30, 31, 32, 60, 62, 63, 64, 65, 71, 72, 100, 127, 128, 1000, 5000):
        edges += [2**bits + d for d in (-2, -1, 0, 1)] + [-(2**bits) + d for d in (-2, -1, 0, 1)]
    for number in edges:
        same(number)
    assert encode(5)[16:] == b"\x05\x05"
    assert encode(-129)[16:] == b"\x06" + (-129).to_bytes(4, "little", signed=True)
    assert encode(2**31)[16:] == b"\x07" + (2**31).to_bytes(8, "little")
    assert encode(2**63)[16:] == b"\x08\x09" + (2**63).to_bytes(9, "little")
    assert encode(-(2**63) - 1)[16:] == b"\x08\x09" + (-(2**63) - 1).to_bytes(9, "little", signed=True)
    assert encode(2**71)[16:] == b"\x08\x0a" + (2**71).to_bytes(10, "little")
    assert encode(2**71 - 1)[16:] == b"\x08\x09" + (2**71 - 1).to_bytes(9, "little")
    same(3**100_000)


def test_floats():
    def bits(number):
        return struct.pack("<d", number)

    for number in (0.0, -0.0, 1.5, -1e308, 5e-324, math.inf, -math.inf):
        assert bits(clone(number)) == bits(number)
    nan = struct.unpack("<d", b"\x01\x02\x03\x04\x05\x06\xf8\xff")[0]
    assert bits(clone(nan)) == bits(nan)
    value = clone(complex(-0.0, nan))
    assert bits(value.real) == bits(-0.0) and bits(value.imag) == bits(nan)


def test_text():
    for text in ("", "a", "é", "abc" * 100, "ÿ", "Ā", "日本", "😀", "a\0b", "\x7f", "\x80", "x" * 100_000, "é" * 9000, "\U0010ffff"):
        same(text)
    assert encode("ab")[17:] == b"\x02ab"
    assert encode("é")[16] & 0x7F == 12
    for text in ("\ud800", "a\udfff", "\ud83d\ude00", "é\udc80日😀"):
        same(text)
        data = text.encode("utf-8", "surrogatepass")
        assert encode(text)[17:] == varint(len(data)) + data and encode(text)[16] & 0x7F == 13


def test_bytes():
    for data in (b"", b"a", bytes(range(256)), b"x" * 100_000, bytearray(), bytearray(b"abc")):
        same(data)


def test_sizes():
    assert "larger than 16777216 bytes" in refused(b"x" * (16 << 20))
    same(b"x" * ((16 << 20) - 30))
    assert "larger than 16777216 bytes" in refused(["é" * (9 << 20)])


def test_public_names():
    assert issubclass(cloister.DataCloneError, TypeError)
    for name in ("clone", "register_clone", "DataCloneError", "RemoteError"):
        assert name in cloister.__all__ and getattr(cloister, name).__doc__
        assert getattr(cloister, name).__module__ == "cloister"
