# cloister.SharedBuffer by itself: its memory, its views, its end.

import resource
import threading
import weakref


def test_is_memory():
    buffer = SharedBuffer(10)
    assert (buffer.size, len(buffer), buffer.readonly, buffer.closed) == (10, 10, False, False)
    assert bytes(buffer) == bytes(10)
    view = memoryview(buffer)
    assert (view.nbytes, view.format, view.readonly) == (10, "B", False)
    view[3:6] = b"abc"
    assert bytes(buffer) == b"\0\0\0abc\0\0\0\0"
    assert repr(buffer) == "<cloister.SharedBuffer of 10 bytes>"
    assert SharedBuffer.__module__ == "cloister"
    assert weakref.ref(buffer)() is buffer
    assert cloister.SharedBuffer is SharedBuffer


def test_size():
    for size, kind in ((0, ValueError), (-1, ValueError), ("1", TypeError), (1.5, TypeError), (2**64, OverflowError)):
        raises(kind, SharedBuffer, size)
    raises(TypeError, SharedBuffer)
    for size in (1, 4095, 4096, 4097, 10_000_000):
        with SharedBuffer(size) as buffer:
            view = memoryview(buffer)
            view[0] = view[size - 1] = 7
            raises(IndexError, lambda: view[size])
            assert view[-1] == 7
            view.release()


def test_limits_of_the_sandbox():
    before = resource.getrlimit(resource.RLIMIT_FSIZE), resource.getrlimit(resource.RLIMIT_DATA)
    open_before = descriptors()
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, before[0][1]))
    raises(ValueError, SharedBuffer, (1 << 20) + 1, text="file_bytes")
    assert SharedBuffer(1 << 20).size == 1 << 20
    resource.setrlimit(resource.RLIMIT_FSIZE, before[0])
    resource.setrlimit(resource.RLIMIT_DATA, (1 << 33, before[1][1]))
    raises(MemoryError, SharedBuffer, (1 << 33) + 1)
    raises(MemoryError, SharedBuffer, 2**63 - 1)
    resource.setrlimit(resource.RLIMIT_DATA, before[1])
    assert descriptors() == open_before


def test_close():
    open_before, mapped_before = descriptors(), mappings()
    buffer = SharedBuffer(5000)
    assert len(descriptors() - open_before) == 1 and mappings() == mapped_before + 1
    buffer.close()
    assert descriptors() == open_before and mappings() == mapped_before
    assert buffer.closed and repr(buffer) == "<cloister.SharedBuffer, closed>"
    buffer.close()
    for use in (
        lambda: memoryview(buffer),
        lambda: len(buffer),
        lambda: buffer.size,
        lambda: buffer.readonly,
        lambda: buffer.atomic_load(0),
        lambda: buffer.atomic_wait(0, 0),
        lambda: buffer.atomic_notify(0),
        lambda: buffer.read_only(),
        buffer.__enter__,
    ):
        raises(ValueError, use, text="SharedBuffer was closed")
    with SharedBuffer(5) as buffer:
        assert buffer
    assert buffer.closed and not buffer
    # A view of what the block leaves open does not hide why it ended.
    try:
        with SharedBuffer(5) as buffer:
            view = memoryview(buffer)
            raise KeyError
    except KeyError:
        assert not buffer.closed
    try:
        with buffer:
            pass
    except BufferError:
        view.release()
    buffer.close()
    del buffer, view
    for _ in range(100):
        SharedBuffer(5000)
    assert descriptors() == open_before and mappings() == mapped_before


def test_views_keep_it_open():
    buffer = SharedBuffer(8)
    view = memoryview(buffer)
    part = view[2:4]
    raises(BufferError, buffer.close, text="views of it exist")
    view.release()
    raises(BufferError, buffer.close)
    part.release()
    buffer.close()
    # Views outlive the name.
    buffer = SharedBuffer(8)
    view = memoryview(buffer)
    view[0] = 9
    del buffer
    gc.collect()
    assert view[0] == 9


def test_read_only():
    buffer = SharedBuffer(16)
    shown = buffer.read_only()
    assert shown.readonly and shown.size == 16
    assert repr(shown) == "<cloister.SharedBuffer of 16 bytes, read-only>"
    memoryview(buffer)[0] = 5
    view = memoryview(shown)
    assert view.readonly and view[0] == 5
    raises(TypeError, view.__setitem__, 0, 1)
    raises(TypeError, shown.atomic_store, 0, 1, text="read-only")
    assert shown.atomic_load(0) == 5
    raises(TypeError, bytearray.__init__, bytearray(), shown, 1)
    with open("/dev/zero", "rb") as zero:
        raises(TypeError, zero.readinto, shown)
    again = send(shown)
    assert again.readonly and bytes(again) == bytes(buffer)
    assert again.read_only().readonly


def test_files_read_into_it():
    buffer = SharedBuffer(4)
    with open("/proc/self/exe", "rb") as file:
        assert file.readinto(buffer) == 4
    assert bytes(buffer) == b"\x7fELF"


def test_numpy_sees_it_without_a_copy():
    try:
        import numpy
    except ImportError:
        return
    buffer = SharedBuffer(80)
    array = numpy.frombuffer(buffer, dtype="<i8")
    other = numpy.frombuffer(send(buffer), dtype="<i8")
    array[:] = range(10)
    assert other.tolist() == list(range(10)) and other.flags.writeable
    other[3] = -1
    assert array[3] == -1 == buffer.atomic_load(24) - 2**64
    part = array[2:4]
    raises(BufferError, buffer.close)
    raises(BufferError, send, buffer, [buffer])
    del array
    raises(BufferError, buffer.close)
    del part
    buffer.close()
    assert other[3] == -1
    shown = numpy.frombuffer(SharedBuffer(8).read_only(), dtype="u1")
    assert not shown.flags.writeable


def test_subclasses_are_refused():
    for base in (SharedBuffer, Lock, Condition, Semaphore):
        raises(TypeError, type, "Own", (base,), {})
        raises(TypeError, setattr, base, "x", 1)


def test_hostile_uses_while_arguments_are_read():
    # What arguments do must not pull the memory away.
    class Closing:
        def __init__(self, buffer):
            self.buffer = buffer

        def __index__(self):
            self.buffer.close()
            return 0

        __float__ = lambda self: float(self.__index__())

    for use in (
        lambda b, c: b.atomic_load(c),
        lambda b, c: b.atomic_store(0, 1, c),
        lambda b, c: b.atomic_notify(0, c),
        lambda b, c: b.atomic_wait(0, 0, c),
    ):
        buffer = SharedBuffer(8)
        raises(ValueError, use, buffer, Closing(buffer))


def test_threads_and_close():
    # A close races with views: one of them is told.
    for _ in range(200):
        buffer = SharedBuffer(64)
        seen = []

        def look():
            try:
                seen.append(bytes(memoryview(buffer)))
            except ValueError as error:
                seen.append(error)

        thread = threading.Thread(target=look)
        thread.start()
        try:
            buffer.close()
        except BufferError:
            pass
        thread.join()
        assert len(seen) == 1
