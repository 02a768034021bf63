# cloister.Condition and cloister.Semaphore, and waits of all kinds that signals end.

import signal
import threading
import time


def test_condition():
    condition = Condition()
    raises(RuntimeError, condition.wait, text="has not acquired")
    raises(RuntimeError, condition.notify)
    raises(RuntimeError, condition.wait_for, lambda: True)
    with condition:
        start = time.monotonic()
        assert condition.wait(0.05) is False
        assert time.monotonic() - start > 0.04 and condition.locked()
        assert condition.wait_for(lambda: 7) == 7
        assert condition.wait_for(lambda: [], timeout=0.02) == []
        condition.notify(0)
        condition.notify(n=-1)
        condition.notify(5)
        condition.notify_all()
        raises(ZeroDivisionError, condition.wait_for, lambda: 1 / 0)
        assert condition.locked()
    assert not condition.locked() and repr(condition) == "<cloister.Condition, unlocked>"


def test_condition_queue():
    # A queue of numbers between processes: nothing is lost, nothing comes twice.
    buffer = SharedBuffer(8 * 3)  # how many were put, how many were taken, their sum
    condition = Condition()
    total = 600

    def produce(count):
        view = memoryview(buffer).cast("Q")
        for _ in range(count):
            with condition:
                condition.wait_for(lambda: view[0] - view[1] < 4)
                view[0] += 1
                condition.notify_all()

    def consume():
        view = memoryview(buffer).cast("Q")
        while True:
            with condition:
                condition.wait_for(lambda: view[1] < view[0] or view[1] == total)
                if view[1] == total:
                    condition.notify_all()
                    return
                view[1] += 1
                view[2] += view[1]
                condition.notify_all()

    pids = [child(consume) for _ in range(2)] + [child(produce, total // 2)]
    produce(total // 2)
    consume()
    assert [exit_code(pid) for pid in pids] == [0] * 3
    view = memoryview(buffer).cast("Q")
    assert list(view) == [total, total, total * (total + 1) // 2]


def test_condition_of_the_dead():
    condition = Condition()
    ready = SharedBuffer(8)

    def die():
        condition.acquire()
        ready.atomic_store(0, 1, 4)
        ready.atomic_notify(0)
        signal.pause()

    # One who waits to be notified is killed; the condition goes on.
    pid = child(lambda: condition.acquire() and condition.wait())
    settle(pid)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    with condition:
        condition.notify_all()
        assert not condition.owner_died
    pid = child(die)
    ready.atomic_wait(0, 0)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    with condition:
        assert condition.owner_died
        condition.wait(0)


def test_semaphore():
    semaphore = Semaphore(2)
    assert semaphore.value == 2 and repr(semaphore) == "<cloister.Semaphore, value 2>"
    with semaphore as entered:
        assert entered is semaphore and semaphore.value == 1
        assert semaphore.acquire() is True
        assert semaphore.acquire(False) is False
        assert semaphore.acquire(timeout=0.02) is False
        semaphore.release()
    assert semaphore.value == 2 and Semaphore().value == 1 and Semaphore(0).value == 0
    raises(ValueError, Semaphore, -1)
    raises(ValueError, Semaphore, 2**31)
    raises(ValueError, semaphore.release, 0)
    raises(ValueError, semaphore.release, n=2**31 - 1, text="too often")
    semaphore.release(n=2**31 - 3)
    raises(ValueError, semaphore.release)
    assert semaphore.value == 2**31 - 1


def test_semaphore_bounds_processes():
    semaphore = Semaphore(2)
    buffer = SharedBuffer(16)

    def work(own):
        for _ in range(100):
            with own:
                inside = buffer.atomic_add(0, 1) + 1
                if inside > 2:
                    buffer.atomic_add(8, 1)
                buffer.atomic_sub(0, 1)

    pids = [child(work, send(semaphore)) for _ in range(3)]
    threads = [threading.Thread(target=work, args=(send(semaphore),)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [exit_code(pid) for pid in pids] == [0, 0, 0]
    assert buffer.atomic_load(8) == 0 and semaphore.value == 2


def test_semaphore_of_hostile_peers():
    semaphore = Semaphore(0)
    clone, numbers = cloister._encode_handles(semaphore)
    peer = os.dup(numbers[0])
    same = cloister._decode_handles(clone, numbers)
    os.pwrite(peer, b"\xff" * 4096, 0)
    assert same.value == 2**32 - 1 and semaphore.acquire()
    raises(ValueError, semaphore.release)
    os.close(peer)


def test_signals_end_waits():
    class Rang(Exception):
        pass

    def ring(*_):
        raise Rang

    try:
        before = signal.signal(signal.SIGALRM, ring)
    except ValueError:
        return  # signals are main's
    lock, condition, semaphore = Lock(), Condition(), Semaphore(0)
    holder = child(lambda: lock.acquire() and signal.pause())
    while not lock.locked():
        time.sleep(0.001)

    def wait():
        with condition:
            condition.wait()

    for function in (lock.acquire, lambda: lock.acquire(timeout=60), wait, semaphore.acquire) * 5:
        signal.setitimer(signal.ITIMER_REAL, 0.005)
        raises(Rang, function)
    assert not condition.locked()
    os.kill(holder, signal.SIGKILL)
    os.waitpid(holder, 0)
    with lock:
        assert lock.owner_died

    # The second interrupt ends also the wait to have a condition's lock again.
    def steal():
        condition.acquire()
        condition.notify()
        signal.pause()

    signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, 0.3, 0.1)
    thief = None
    try:
        with condition:
            thief = child(steal)
            condition.wait()
    except Rang:
        pass
    else:
        raise AssertionError
    signal.setitimer(signal.ITIMER_REAL, 0)
    os.kill(thief, signal.SIGKILL)
    os.waitpid(thief, 0)
    with condition:
        assert condition.owner_died
    signal.signal(signal.SIGALRM, before)


def test_nothing_is_left():
    open_before, mapped_before = descriptors(), mappings()
    for _ in range(200):
        lock, condition, semaphore = send([Lock(), Condition(), Semaphore()])
        with lock, condition, semaphore:
            pass
    del lock, condition, semaphore
    assert descriptors() == open_before and mappings() == mapped_before
