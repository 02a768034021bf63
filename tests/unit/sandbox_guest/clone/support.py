# What the files of this directory begin with.

import cloister


def clone(value):
    return cloister.clone(value)


def encode(value):
    return cloister._encode_clone(value)


def decode(data):
    return cloister._decode_clone(data)


def refused(value, *texts):
    """The message with which the value is refused."""
    try:
        cloister.clone(value)
    except cloister.DataCloneError as error:
        for text in texts:
            assert text in str(error), f"{text!r} not in {str(error)!r}"
        return str(error)
    raise AssertionError(f"{type(value)} was cloned")


def unreadable(data, *texts):
    try:
        decode(data)
    except cloister.DataCloneError as error:
        for text in texts:
            assert text in str(error), f"{text!r} not in {str(error)!r}"
        return str(error)
    raise AssertionError("was read")


def same(value):
    """A clone that is equal and of the same type."""
    copy = clone(value)
    assert type(copy) is type(value), (type(copy), value)
    assert copy == value, (copy, value)
    return copy


def varint(number):
    out = b""
    while number >= 0x80:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def made(value, table=b"", rest=b"", count=0):
    """A clone of the bytes of a value."""
    return b"CLN\x01" + count.to_bytes(4, "little") + len(value).to_bytes(8, "little") + value + table + rest


def run_tests():
    names = [name for name in globals() if name.startswith("test_")]
    for name in names:
        try:
            globals()[name]()
        except BaseException as error:
            error.add_note(name)
            raise
    for name in names:  # the next file may run in the same module
        globals().pop(name, None)
    print(len(names), "passed")


