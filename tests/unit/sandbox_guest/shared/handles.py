# Shared memory in messages: what comes, what is handed over, and what is wrong.

import fcntl
import struct


def test_same_memory():
    buffer = SharedBuffer(100)
    other = send({"buffer": buffer})["buffer"]
    assert type(other) is SharedBuffer and other is not buffer and other.size == 100
    memoryview(buffer)[7] = 1
    memoryview(other)[8] = 2
    assert bytes(buffer) == bytes(other) == bytes(7) + b"\1\2" + bytes(91)
    buffer.close()
    assert other.size == 100
    assert bytes(cloister.clone(other)) == bytes(other)


def test_identity():
    buffer = SharedBuffer(10)
    lock = Lock()
    first, second, (third, fourth) = send([buffer, buffer, (lock, lock)])
    assert first is second and third is fourth
    by_key = send({buffer: 1, lock: {buffer}})
    assert len(by_key) == 2


def test_cannot_leave():
    for make in (lambda: SharedBuffer(1), Lock, Condition, Semaphore):
        handle = make()
        name = f"cloister.{type(handle).__name__}"
        raises(
            cloister.DataCloneError,
            cloister._encode_clone,
            {"x": [handle]},
            text=f"$.x[0]: {name} cannot leave its sandbox",
        )


def test_cannot_be_registered():
    for kind in (SharedBuffer, Lock, Condition, Semaphore):
        raises(TypeError, cloister.register_clone, kind, repr, kind, text="cloned in its own way")


def test_transfer():
    buffer = SharedBuffer(100)
    memoryview(buffer)[3] = 4
    open_before = descriptors()
    other = send([buffer], [buffer])[0]
    assert memoryview(other)[3] == 4
    assert buffer.closed and repr(buffer) == "<cloister.SharedBuffer, transferred>"
    raises(ValueError, memoryview, buffer, text="SharedBuffer was transferred")
    raises(ValueError, buffer.atomic_load, 0, text="transferred")
    assert len(descriptors()) == len(open_before)
    buffer.close()
    # Once more, with what came.
    third = send({"again": other}, (other,))["again"]
    assert other.closed and bytes(third)[3] == 4
    # It is sent as often as it is in the value, and let go of once.
    a, b = send([third, third], iter([third]))
    assert a is b and third.closed


def test_transfer_that_cannot_be():
    buffer, other = SharedBuffer(8), SharedBuffer(8)
    shown = memoryview(buffer)
    raises(BufferError, send, [buffer], [buffer], text="views of it exist")
    shown.release()
    raises(ValueError, send, [buffer], [buffer, buffer], text="transfer[1]: is there twice")
    raises(ValueError, send, [buffer], [buffer, other], text="transfer[1]: is not in the message")
    raises(cloister.DataCloneError, send, [buffer], [buffer, []], text="transfer[1]: list cannot be transferred")
    raises(cloister.DataCloneError, send, [Lock()], [Lock()], text="cloister.Lock cannot be transferred")
    raises(TypeError, send, [buffer], buffer.atomic_load)
    raises(cloister.DataCloneError, send, [buffer, object()], [buffer], text="$[1]: object cannot be cloned")
    closed = SharedBuffer(8)
    closed.close()
    raises(ValueError, send, [closed], [closed], text="SharedBuffer was closed")
    raises(cloister.DataCloneError, send, [0, closed], text="$[1]: SharedBuffer that was closed cannot be cloned")
    # All is as it was.
    memoryview(buffer)[0] = 1
    memoryview(other)[0] = 2
    gone = send(buffer, [buffer])
    raises(cloister.DataCloneError, send, [buffer], text="SharedBuffer that was transferred cannot be cloned")
    raises(ValueError, send, [buffer], [buffer], text="SharedBuffer was transferred")
    assert bytes(gone)[0] == 1


class Hooked:
    pass


def test_held_while_it_is_sent():
    # What a message that is being made runs of the program's own.
    buffer = SharedBuffer(8)
    seen = []

    def to(value):
        for use in (
            lambda: memoryview(buffer),
            buffer.close,
            lambda: send([buffer], [buffer]),
            lambda: send([buffer]),
            lambda: buffer.atomic_wait(0, 0, 0),
            buffer.read_only,
        ):
            try:
                use()
                seen.append(None)
            except Exception as error:
                seen.append(type(error).__name__)
        assert buffer.atomic_load(0) == 0
        return 1

    cloister.register_clone(Hooked, to, lambda state: Hooked())
    other, _ = send([buffer, Hooked()], [buffer])
    refused = ["BufferError"] * 3 + ["DataCloneError"] + ["BufferError"] * 2
    assert seen == refused, seen
    assert buffer.closed and other.size == 8


def test_many_and_too_many():
    open_before = descriptors()
    buffers = [SharedBuffer(1) for _ in range(63)]
    assert len(send(buffers, buffers)) == 63
    buffers = [SharedBuffer(1) for _ in range(64)]
    raises(cloister.DataCloneError, send, buffers, buffers, text="more than 63 descriptors")
    assert not any(buffer.closed for buffer in buffers)
    del buffers
    assert descriptors() == open_before


def test_what_an_exception_leaves_out_has_no_descriptor():
    error = ValueError("x")
    error.first = [SharedBuffer(1), object()]
    error.second = SharedBuffer(2)
    clone, numbers = cloister._encode_handles(error)
    assert len(numbers) == 1
    other = cloister._decode_handles(clone, numbers)
    assert other.second.size == 2 and not hasattr(other, "first")


# ---- clones that nobody's encoder wrote ----------------------------------------------------------


def entry(source, index, offset=0, size=0):
    return struct.pack("<IIQQ", source, index, offset, size)


def made(value, *table):
    return b"CLN\x01" + struct.pack("<IQ", len(table), len(value)) + value + b"".join(table)


BUFFER = b"\x16\x1d\x03\x17\x00\x01\x01"


def lock_named(name):
    return b"\x16\x1f\x02\x0b" + bytes([len(name)]) + name + b"\x17\x00"


def memfd(size, seals=fcntl.F_SEAL_SHRINK):
    fd = os.memfd_create("peer", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, size)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
    return fd


def unreadable(data, numbers, *texts):
    message = raises(cloister.DataCloneError, cloister._decode_handles, data, numbers)
    for text in texts:
        assert text in message, message


def test_descriptors_of_hostile_peers():
    open_before, mapped_before = descriptors(), mappings()
    whole = made(BUFFER, entry(1, 0, 0, 8192))
    assert cloister._decode_handles(whole, [memfd(8192)]).size == 8192
    assert cloister._decode_handles(made(BUFFER, entry(1, 0, 4090, 100)), [memfd(8192)]).size == 100
    none = "none that keeps its size"
    unreadable(whole, [memfd(8192, 0)], none)
    unreadable(whole, [memfd(8192, fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)], none)
    unreadable(whole, [os.open("/dev/null", os.O_RDWR)], none)
    unreadable(whole, [os.open("/proc/self/exe", os.O_RDONLY)], none)
    unreadable(whole, [os.open("/tmp", os.O_TMPFILE | os.O_RDWR)], none)
    unreadable(whole, [os.open("/", os.O_PATH)], none)
    read_end, write_end = os.pipe()
    os.close(write_end)
    unreadable(whole, [read_end], none)
    unreadable(whole, [memfd(8191)], "8192 bytes of shared memory at 0, and it has 8191")
    unreadable(made(BUFFER, entry(1, 0, 1, 8192)), [memfd(8192)], "at 1, and it has")
    unreadable(made(BUFFER, entry(1, 0, 2**63, 2**62)), [memfd(8192)], "and it has 8192")
    unreadable(made(BUFFER, entry(1, 0, 2**63, 2**63)), [memfd(8192)], "no end")
    unreadable(made(BUFFER, entry(1, 0, 0, 0)), [memfd(8192)], "0 bytes of shared memory")
    # Sealed against writing: it can be shown, but not be written to.
    sealed = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_WRITE
    unreadable(whole, [memfd(8192, sealed)], "map shared memory")
    shown = cloister._decode_handles(made(b"\x16\x1d\x03\x17\x00\x02\x01", entry(1, 0, 0, 8192)), [memfd(8192, sealed)])
    assert shown.readonly and bytes(shown) == bytes(8192)
    del shown
    assert descriptors() == open_before and mappings() == mapped_before


def test_more_than_the_sandbox_has():
    import resource

    before = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (1 << 33, before[1]))
    unreadable(made(BUFFER, entry(1, 0, 0, 1 << 34)), [memfd(1 << 40)], "the sandbox has not as many")
    unreadable(made(BUFFER, entry(1, 0, 0, 1 << 60)), [memfd(1 << 60)], "the sandbox has not as many")
    resource.setrlimit(resource.RLIMIT_DATA, before)


def test_clones_of_hostile_peers():
    open_before, mapped_before = descriptors(), mappings()
    shared = entry(1, 0, 0, 4096)
    for data, count, text in (
        (made(BUFFER, shared), 0, "names 1 descriptors, and 0 came"),
        (made(BUFFER, shared), 2, "names 1 descriptors, and 2 came"),
        (made(b"\0"), 1, "names 0 descriptors, and 1 came"),
        (made(b"\0", shared), 1, "more than its value"),
        (made(BUFFER, entry(1, 1, 0, 4096)), 1, "descriptor 1 is named and not 0"),
        (made(b"\x11\x02" + BUFFER + BUFFER, shared, shared), 1, "descriptor 0 is named and not 1"),
        (made(b"\x11\x02" + BUFFER + BUFFER, shared), 1, "buffer out of turn"),
        (made(BUFFER, entry(3, 0)), 1, "another source"),
        (made(BUFFER, entry(0, 0, 47, 0)), 0, "clone is damaged"),
        (made(BUFFER, entry(2, 0, 0, 8)), 0, "another source"),
        (made(BUFFER, entry(3, 0, 0, 1)), 1, "a descriptor has a size"),
        (made(BUFFER, entry(4, 0)), 1, "no known source"),
        (made(b"\x16\x1d\x03\x17\x00\x01\x05\x01", shared), 1, "no bool"),
        (made(b"\x16\x1d\x02\x17\x00\x01", shared), 1, "wrong number of fields"),
        (made(b"\x16\x1d\x03\x00\x01\x01", shared), 1, "no buffer"),
        (made(lock_named(b"Lack"), shared), 1, "no lock is called so"),
        (made(lock_named(b"Lock"), entry(1, 0, 0, 4095)), 1, "another size"),
        (made(lock_named(b"Lock"), entry(1, 0, 1, 4095)), 1, "another size"),
        (made(lock_named(b"Semaphore"), entry(1, 0, 0, 8192)), 1, "another size"),
        (made(b"\x16\x1f\x03\x0b\x04Lock\x17\x00\x00", shared), 1, "wrong number of fields"),
        (made(b"\x16\x1f\x02\x05\x01\x17\x00", shared), 1, "no text"),
        (made(b"\x16\x07\x03\x0b\x01b\x05\x01\x17\x00", shared), 1, "not in the clone"),
    ):
        unreadable(data, [memfd(4096) for _ in range(count)], text)
    unreadable(made(lock_named(b"Lock"), shared), [memfd(4095)], "it has 4095")
    unreadable(made(lock_named(b"Lock"), shared), [memfd(4096, 0)], "keeps its size")
    for name in (b"Lock", b"Condition", b"Semaphore"):
        sealed = memfd(4096, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_WRITE)
        unreadable(made(lock_named(name), shared), [sealed], "Operation not permitted")
        other = cloister._decode_handles(made(lock_named(name), shared), [memfd(1 << 60)])
        assert other.acquire(False) is (name != b"Semaphore")
        del other
    assert descriptors() == open_before and mappings() == mapped_before


def test_damaged():
    import random

    rng = random.Random(11)
    open_before, mapped_before = descriptors(), mappings()
    buffer, lock, condition, semaphore = SharedBuffer(50), Lock(), Condition(), Semaphore(3)
    value = {"b": buffer, "l": [lock, condition], "s": semaphore, "r": buffer.read_only(), "n": [1, "x", buffer]}
    clone, numbers = cloister._encode_handles(value)
    kept = [memfd(4096) for _ in numbers]
    for number in numbers:
        os.close(number)
    read = 0

    def attempt(data):
        try:
            result = cloister._decode_handles(data, [os.dup(fd) for fd in kept])
        except (cloister.DataCloneError, MemoryError):
            return 0
        repr(result)
        return 1

    assert attempt(clone) == 1
    for end in range(len(clone)):
        attempt(clone[:end])
    for position in range(len(clone) * 8):
        changed = bytearray(clone)
        changed[position // 8] ^= 1 << position % 8
        read += attempt(bytes(changed))
    for _ in range(3000):
        changed = bytearray(clone)
        for _ in range(rng.randrange(1, 4)):
            changed[rng.randrange(16, len(clone))] = rng.choice((0, 1, 2, 3, 0x17, 0x1D, 0x1E, 0x1F, 0x96, rng.randrange(256)))
        read += attempt(bytes(changed))
    assert read > 20
    for fd in kept:
        os.close(fd)
    del buffer, lock, condition, semaphore, value
    assert descriptors() == open_before and mappings() == mapped_before


def test_peer_cannot_take_the_memory_away():
    clone, numbers = cloister._encode_handles(SharedBuffer(8192))
    peer = os.dup(numbers[0])
    buffer = cloister._decode_handles(clone, numbers)
    for size in (0, 4096, 16384):
        raises(PermissionError, os.ftruncate, peer, size)
    raises(PermissionError, fcntl.fcntl, peer, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE)
    os.close(peer)
    assert bytes(buffer) == bytes(8192)
