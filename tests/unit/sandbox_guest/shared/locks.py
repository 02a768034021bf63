# cloister.Lock, and what becomes of it when its holder dies.

import signal
import threading
import time


def test_acquire_and_release():
    lock = Lock()
    assert not lock.locked() and repr(lock) == "<cloister.Lock, unlocked>"
    assert lock.acquire() is True
    assert lock.locked() and not lock.owner_died and repr(lock) == "<cloister.Lock, locked>"
    lock.release()
    assert not lock.locked()
    with lock as entered:
        assert entered is lock and lock.locked()
    raises(RuntimeError, lock.release, text="has not acquired")
    raises(TypeError, Lock, 1)
    for arguments in ((True, -2), (False, 1), (True, float("nan")), (True, "1")):
        raises(TypeError if arguments[1] == "1" else ValueError, lock.acquire, *arguments)
    assert lock.acquire(timeout=None) and not lock.acquire(False)
    lock.release()
    # Further lists of the thread: in any order.
    locks = [Lock() for _ in range(5)]
    for one in locks:
        one.acquire()
    for index in (2, 0, 4, 1, 3):
        locks[index].release()
    assert not any(one.locked() for one in locks)


def test_is_not_recursive():
    lock = Lock()
    same = send(lock)
    lock.acquire()
    raises(RuntimeError, lock.acquire, text="not recursive")
    raises(RuntimeError, same.acquire, text="not recursive")
    raises(RuntimeError, lock.acquire, timeout=1)
    assert lock.acquire(False) is False and same.acquire(blocking=False) is False
    raises(RuntimeError, same.release, text="through this object")
    lock.release()
    same.acquire()
    assert lock.locked()
    same.release()


def test_belongs_to_a_thread():
    lock = Lock()
    lock.acquire()
    errors = []

    def other():
        try:
            lock.release()
        except RuntimeError as error:
            errors.append(str(error))
        errors.append(lock.acquire(False))
        errors.append(lock.acquire(timeout=0.01))

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert len(errors) == 3 and errors[1:] == [False, False]
    lock.release()


def test_excludes():
    lock = Lock()
    buffer = SharedBuffer(8)

    def count(one):
        view = memoryview(buffer).cast("Q")
        for _ in range(1000):
            with one:
                view[0] += 1

    children = [child(count, lock) for _ in range(3)]
    threads = [threading.Thread(target=count, args=(send(lock),)) for _ in range(3)]
    for thread in threads:
        thread.start()
    count(lock)
    for thread in threads:
        thread.join()
    assert [exit_code(pid) for pid in children] == [0, 0, 0]
    assert buffer.atomic_load(0) == 7000 and not lock.locked()


def test_waits_for_it():
    lock = Lock()
    lock.acquire()
    got = []

    def other():
        got.append(lock.acquire(timeout=30))
        lock.release()

    threads = [threading.Thread(target=other) for _ in range(5)]
    for thread in threads:
        thread.start()
    waiting(5)
    assert not got
    lock.release()
    for thread in threads:
        thread.join()
    assert got == [True] * 5 and not lock.locked()


def test_killed_holder():
    lock = Lock()
    ready = SharedBuffer(8)

    def hold():
        lock.acquire()
        ready.atomic_store(0, 1, 4)
        ready.atomic_notify(0)
        signal.pause()

    # Nobody waits when it dies.
    pid = child(hold)
    ready.atomic_wait(0, 0)
    assert lock.acquire(False) is False
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert not lock.locked()
    assert lock.acquire() is True and lock.owner_died
    lock.release()
    assert not lock.owner_died
    # The next but one is not told.
    with lock:
        assert not lock.owner_died

    # Somebody waits: the kernel wakes one, who lets the other in.
    ready.atomic_store(0, 0)
    pid = child(hold)
    ready.atomic_wait(0, 0)
    told = []

    def wait():
        with lock:
            told.append(lock.owner_died)

    threads = [threading.Thread(target=wait) for _ in range(2)]
    for thread in threads:
        thread.start()
    waiting(2)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    for thread in threads:
        thread.join()
    assert sorted(told) == [False, True]


def test_killed_at_any_moment():
    # Holders, waiters, and those in between: nobody waits for ever, and every death is told.
    lock = Lock()
    counts = SharedBuffer(24)  # begun, done, deaths that were told

    def count(one):
        while True:
            with one:
                if one.owner_died:
                    counts.atomic_add(16, 1)
                counts.atomic_add(0, 1)
                counts.atomic_add(8, 1)

    pids = [child(count, lock) for _ in range(4)]
    for turn in range(60):
        before = counts.atomic_load(8)
        while counts.atomic_load(8) < before + 50:
            time.sleep(0.0003)
        os.kill(pids[turn % 4], signal.SIGKILL)
        os.waitpid(pids[turn % 4], 0)
        pids[turn % 4] = child(count, lock)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    assert lock.acquire(timeout=30)
    told = counts.atomic_load(16) + lock.owner_died
    lock.release()
    # Begun and not done has only who died between the two.
    assert 0 <= counts.atomic_load(0) - counts.atomic_load(8) <= told


def test_ended_thread():
    lock = Lock()
    thread = threading.Thread(target=lock.acquire)
    thread.start()
    thread.join()
    # join() comes a moment before the kernel's end of the thread.
    assert lock.acquire(timeout=30) and lock.owner_died
    lock.release()
    # Nothing is left of it, whoever has the lock next.
    for drop in (False, True):
        mapped_before = mappings()
        other = send(lock)
        thread = threading.Thread(target=other.acquire)
        thread.start()
        task = f"/proc/self/task/{thread.native_id}"
        thread.join()
        while os.path.exists(task):
            time.sleep(0.001)
        if not drop:
            assert other.acquire(False) and other.owner_died
            other.release()
        del other, thread
        assert mappings() == mapped_before
        assert lock.acquire(False) and lock.owner_died is drop
        lock.release()
    # Through another object while this one was the dead thread's.
    thread = threading.Thread(target=lock.acquire)
    thread.start()
    thread.join()
    other = send(lock)
    assert other.acquire(timeout=30) and other.owner_died and not lock.owner_died
    raises(RuntimeError, lock.release)
    other.release()
    with lock:
        pass
    del lock, other


def test_dropped_while_held():
    mapped_before, open_before = mappings(), descriptors()
    lock = Lock()
    other = send(lock)
    lock.acquire()
    del lock
    gc.collect()
    assert other.acquire(False) and other.owner_died
    other.release()
    del other
    assert mappings() == mapped_before and descriptors() == open_before
    # By another thread than the holder, whose list of locks goes through it.
    lock = Lock()
    other = send(lock)
    held, end = threading.Event(), threading.Event()

    def hold(one):
        one.acquire()
        del one
        held.set()
        end.wait()
        with Lock():  # goes on in the same list
            pass

    box = [lock]
    thread = threading.Thread(target=lambda: hold(box[0]))
    thread.start()
    held.wait()
    box.clear()
    del lock
    gc.collect()
    assert other.acquire(False) is False
    end.set()
    thread.join()
    assert other.acquire(timeout=30) and other.owner_died
    other.release()


def test_holes_of_hostile_peers():
    import ctypes

    punch = ctypes.CDLL(None).fallocate
    lock, buffer = Lock(), SharedBuffer(8192)
    memoryview(buffer)[5000] = 1
    clone, peers = cloister._encode_handles([lock, buffer])
    lock.acquire()
    for peer, size in zip(peers, (4096, 8192)):
        assert punch(peer, 3, ctypes.c_long(0), ctypes.c_long(size)) == 0  # PUNCH_HOLE, KEEP_SIZE
    raises(RuntimeError, lock.release, text="taken it away")
    assert bytes(buffer) == bytes(8192)
    with lock:
        assert not lock.owner_died
    for peer in peers:
        os.close(peer)


def test_copies_of_the_process_have_nothing():
    lock = Lock()
    lock.acquire()

    def try_it():
        try:
            lock.release()
            return 1
        except RuntimeError:
            pass
        if lock.acquire(False):
            return 2
        own = Lock()
        with own:
            pass
        if lock.owner_died:
            return 3
        return 0

    assert exit_code(child(try_it)) == 0
    assert lock.locked()
    lock.release()


def test_words_of_hostile_peers():
    # Whatever is written there, nothing crashes, and errors say what is wrong.
    for word in (0, 1, 2, 0x3FFFFFFF, 0x40000000, 0x80000000, 0xC0000000, 0xFFFFFFFF, os.getpid(), threading.get_native_id()):
        lock = Lock()
        clone, numbers = cloister._encode_handles(lock)
        peer = os.dup(numbers[0])
        other = cloister._decode_handles(clone, numbers)

        def damage():
            os.pwrite(peer, word.to_bytes(4, "little") * 4, 4080)

        damage()
        lock.locked()
        if lock.acquire(False) or lock.acquire(False):
            lock.release()
        os.pwrite(peer, bytes(4096), 0)
        # While it is held.
        with Lock():
            lock.acquire()
            damage()
            taken = other.acquire(False)
            try:
                lock.release()
            except RuntimeError as error:
                assert "taken it away" in str(error)
            if taken:
                other.release() if other.locked() else None
        os.pwrite(peer, bytes(4096), 0)
        # Held by this thread, and free for another by what is written.
        lock.acquire()
        os.pwrite(peer, bytes(4096), 0)
        results = []
        thread = threading.Thread(target=lambda: results.append(lock.acquire(timeout=1)))
        thread.start()
        thread.join()
        assert results == [True]
        raises(RuntimeError, lock.release)
        assert lock.acquire(timeout=30) and lock.owner_died
        lock.release()
        # Twice by the same thread.
        lock.acquire()
        os.pwrite(peer, bytes(4096), 0)
        lock.acquire()
        lock.release()
        del lock, other
        with Lock(), Lock():
            pass
        os.close(peer)
