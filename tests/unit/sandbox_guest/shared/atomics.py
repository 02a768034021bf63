# Words of shared memory, and waits on them.

import signal
import threading
import time


def test_operations():
    buffer = SharedBuffer(16)
    for width in (1, 2, 4, 8):
        most = 2 ** (8 * width) - 1
        assert buffer.atomic_load(8, width) == 0
        assert buffer.atomic_store(8, most, width) is None
        assert buffer.atomic_load(8, width=width) == most
        assert buffer.atomic_add(8, 3, width) == most
        assert buffer.atomic_load(8, width) == 2
        assert buffer.atomic_sub(8, 5, width) == 2
        assert buffer.atomic_load(8, width) == most - 2
        assert buffer.atomic_exchange(8, -1, width) == most - 2
        assert buffer.atomic_and(8, 0b1100, width) == most
        assert buffer.atomic_or(8, 0b0011, width) == 0b1100
        assert buffer.atomic_xor(8, 0b0110, width) == 0b1111
        assert buffer.atomic_load(8, width) == 0b1001
        assert buffer.atomic_compare_exchange(8, 7, 1, width) == 0b1001
        assert buffer.atomic_compare_exchange(8, 9, 0, width) == 0b1001
        assert buffer.atomic_load(8, width) == 0
        assert bytes(buffer) == bytes(16)
        raises(OverflowError, buffer.atomic_store, 0, most + 1, width)
        raises(OverflowError, buffer.atomic_store, 0, -(most // 2) - 2, width)
        raises(OverflowError, buffer.atomic_store, 0, 2**200, width)
        raises(OverflowError, buffer.atomic_store, 0, -(2**200), width)
        buffer.atomic_store(0, -(most // 2) - 1, width)
        assert buffer.atomic_exchange(0, 0, width) == most // 2 + 1


def test_places():
    buffer = SharedBuffer(20)
    for offset, width, kind in (
        (-1, 1, IndexError),
        (20, 1, IndexError),
        (13, 8, IndexError),
        (17, 4, IndexError),
        (2**62, 8, IndexError),
        (2**63 - 1, 8, IndexError),
        (1, 8, ValueError),
        (2, 4, ValueError),
        (3, 2, ValueError),
        (0, 3, ValueError),
        (0, 0, ValueError),
        (0, -8, ValueError),
        (2**70, 8, OverflowError),
        ("0", 8, TypeError),
    ):
        raises(kind, buffer.atomic_load, offset, width)
        raises(kind, buffer.atomic_store, offset, 0, width)
    raises(TypeError, buffer.atomic_add, 0, 1.5)
    raises(TypeError, buffer.atomic_add, 0)
    assert buffer.atomic_load(16, 4) == 0
    # Aligned is what lies so in memory, wherever a peer says that the buffer begins.
    raises(ValueError, buffer.atomic_wait, 2, 0)
    raises(IndexError, buffer.atomic_wait, 20, 0)
    raises(IndexError, buffer.atomic_notify, 18)


def test_threads_count():
    buffer = SharedBuffer(8)
    peers = [send(buffer) for _ in range(4)]

    def count(peer):
        for _ in range(2000):
            peer.atomic_add(0, 1)

    threads = [threading.Thread(target=count, args=(peer,)) for peer in peers]
    for thread in threads:
        thread.start()
    children = [child(count, buffer) for _ in range(2)]
    for thread in threads:
        thread.join()
    assert [exit_code(pid) for pid in children] == [0, 0]
    assert buffer.atomic_load(0) == 12000


def test_wait():
    buffer = SharedBuffer(8)
    assert buffer.atomic_wait(0, 1) is True  # it is another already
    start = time.monotonic()
    assert buffer.atomic_wait(0, 0, 0.05) is False
    assert 0.04 < time.monotonic() - start < 5
    assert buffer.atomic_wait(0, 0, timeout=0) is False
    assert buffer.atomic_wait(0, 0, -1) is False
    raises(ValueError, buffer.atomic_wait, 0, 0, float("nan"))
    raises(TypeError, buffer.atomic_wait, 0, 0, "1")
    raises(OverflowError, buffer.atomic_wait, 0, 2**32)
    assert buffer.atomic_notify(0) == 0
    assert buffer.atomic_notify(0, 0) == 0
    assert buffer.atomic_notify(0, count=None) == 0
    assert buffer.atomic_notify(0, 2**80) == 0
    raises(ValueError, buffer.atomic_notify, 0, -1)
    raises(ValueError, buffer.atomic_notify, 0, -(2**80))
    buffer.atomic_store(4, -1, 4)
    assert buffer.atomic_wait(4, -1, 0) is False


def test_notify_wakes():
    buffer = SharedBuffer(8)
    woken = []
    threads = [threading.Thread(target=lambda: woken.append(send(buffer).atomic_wait(0, 0))) for _ in range(3)]
    for thread in threads:
        thread.start()
    waiting(3)
    buffer.atomic_store(0, 1, 4)
    assert buffer.atomic_notify(0, 1) == 1
    assert buffer.atomic_notify(0, None) == 2
    for thread in threads:
        thread.join()
    assert woken == [True] * 3


def test_processes():
    buffer = SharedBuffer(8)

    def answer():
        for turn in range(200):
            while buffer.atomic_load(0, 4) != turn * 2 + 1:
                buffer.atomic_wait(0, turn * 2)
            buffer.atomic_store(0, turn * 2 + 2, 4)
            buffer.atomic_notify(0)

    pid = child(answer)
    for turn in range(200):
        buffer.atomic_store(0, turn * 2 + 1, 4)
        buffer.atomic_notify(0)
        while buffer.atomic_load(0, 4) != turn * 2 + 2:
            buffer.atomic_wait(0, turn * 2 + 1)
    assert exit_code(pid) == 0


def test_waits_keep_it_open():
    buffer = SharedBuffer(8)
    thread = threading.Thread(target=buffer.atomic_wait, args=(0, 0))
    thread.start()
    waiting(1)
    raises(BufferError, buffer.close, text="waits on it")
    raises(BufferError, send, buffer, [buffer])
    buffer.atomic_store(0, 1, 4)
    buffer.atomic_notify(0)
    thread.join()
    buffer.close()


def test_signal_ends_it():
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        return

    class Rang(Exception):
        pass

    def ring(*_):
        raise Rang

    buffer = SharedBuffer(8)
    try:
        before = signal.signal(signal.SIGALRM, ring)
    except ValueError:
        return  # signals are main's
    for _ in range(20):
        signal.setitimer(signal.ITIMER_REAL, 0.005)
        raises(Rang, buffer.atomic_wait, 0, 0)
    # A handler that does not raise does not end it.
    rung = []
    signal.signal(signal.SIGALRM, lambda *_: rung.append(1))
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    assert buffer.atomic_wait(0, 0, 0.1) is False
    assert rung
    signal.signal(signal.SIGALRM, before)
    buffer.close()
