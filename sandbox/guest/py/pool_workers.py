"""The workers of an InterpreterPoolExecutor, and how tasks get there and results back.

Each worker has a channel for tasks and one for results, and never more than one task. It serves them within calls
(pool_worker.py), which are started when there is something to do. Whoever waits in result() receives what the worker
sends himself: nobody has to be woken for it but he. For all others a thread of the executor's does.

The loader adds to this namespace: `load`, `wait_ready`.
"""

import os
import select
import threading
from collections import deque
from concurrent.futures import InvalidStateError

_calls = load("calls")
_messages = load("messages")
ChannelClosed = _messages["ChannelClosed"]
_futures = load("pool_futures")
_Broken, _End = _futures["BrokenInterpreterPool"], _futures["End"]

# After so many seconds somebody who receives looks whether another has received for him.
_GLANCE = 1.0


class Worker:
    def __init__(self, interpreter, tasks, results):
        self.interpreter = interpreter
        self.tasks = tasks
        self.results = results
        self.received = []  # a result that nobody has looked at yet
        self.task = None
        self.call = None  # that it serves in
        self.has_receiver = False  # somebody who waits for its result himself
        self.is_watched = False  # by the thread
        self.is_gone = None  # why nothing more comes from it

    def end(self):
        self.tasks.close()
        self.results.close()
        if self.call is not None:
            self.call.cancel()
        try:
            self.interpreter.close()
        except Exception:
            pass  # with the sandbox at the latest


class Pool:
    """What the thread and the executor share; the thread keeps no executor alive.

    Functions of users, as callbacks of futures and hooks of clones are, run without the lock."""

    def __init__(self):
        self.lock = threading.RLock()
        self.waiting = deque()
        self.workers = []
        self.ended = deque()
        self.receivers = {}  # by their threads: the worker whose result they wait for
        self.is_shut_down = False
        self.broken = None  # why
        self.epoll = select.epoll()
        self.watched = {}  # by descriptor: a worker whose result may come, or (worker, call)
        self.wakeup = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self.epoll.register(self.wakeup, select.EPOLLIN)
        self.thread = None

    def wake(self):
        with self.lock:
            if self.wakeup >= 0:
                os.eventfd_write(self.wakeup, 1)

    def is_closed(self):
        return self.wakeup < 0

    # ---- tasks

    def start(self):
        """With the lock."""
        if self.thread is not None:
            return
        self.thread = threading.Thread(target=self.run, name="cloister pool", daemon=True)
        try:
            self.thread.start()
        except BaseException:
            self.thread = None
            raise

    def claim(self, worker):
        """With the lock: has the worker have what waits first. Whether it is to be handed over now."""
        if worker.task is not None or not self.waiting or self.broken is not None:
            return False
        task = worker.task = self.waiting[0]
        task.worker = worker
        self.waiting.popleft()
        return True

    def hand_over(self, worker):
        """What the worker was claimed for. Where it cannot be known whether the worker has it, as after an
        interrupt, the pool is of no use any more."""
        task = worker.task
        try:
            while task is not None and not self.put(worker, task):
                with self.lock:
                    if worker.task is task:
                        worker.task = None
                    task = worker.task if self.claim(worker) else None
        except BaseException as exc:
            self.break_up(exc, task)
            if not isinstance(exc, Exception):
                raise

    def put(self, worker, task):
        """Whether the worker has it."""
        if not task.future.set_running_or_notify_cancel():
            return False
        try:
            worker.tasks.put(task.message)
        except ChannelClosed:
            raise
        except Exception as exc:  # it cannot be sent
            self.ended.append(_End(task.future, None, exc))
            return False
        task.message = None
        with self.lock:
            if self.broken is None and not self.is_closed():
                self.watch(worker)
                if worker.call is None:
                    self.serve(worker)
        return True

    def tell(self):
        """Without the lock."""
        while self.ended and not self.lock._is_owned():
            try:
                end = self.ended[0]
            except IndexError:
                return  # by another thread
            end.future.task = None
            try:
                if end.exception is not None:
                    end.future.set_exception(end.exception)
                else:
                    end.future.set_result(end.value)
            except InvalidStateError:
                pass
            try:
                self.ended.remove(end)
            except ValueError:
                pass

    def break_up(self, cause, *tasks):
        with self.lock:
            if self.broken is None:
                self.broken = cause
            tasks = {*tasks, *self.waiting, *(worker.task for worker in self.workers)} - {None}
            self.waiting.clear()
            for worker in self.workers:
                worker.task = None
            for task in tasks:
                if not task.future.running() and not task.future.set_running_or_notify_cancel():
                    continue
                error = _Broken("a worker of the executor has ended")
                error.__cause__ = self.broken
                self.ended.append(_End(task.future, None, error))
            self.wake()

    # ---- workers; with the lock

    def watch(self, worker):
        if not (worker.is_watched or worker.has_receiver or worker.is_gone):
            worker.is_watched = True
            self.watched[worker.results.fileno()] = worker
            self.epoll.register(worker.results.fileno(), select.EPOLLIN)

    def unwatch(self, worker):
        if worker.is_watched:
            worker.is_watched = False
            self.epoll.unregister(worker.results.fileno())
            del self.watched[worker.results.fileno()]

    def serve(self, worker):
        worker.call = worker.interpreter.start_call("cloister:_serve_pool")
        self.watched[worker.call.fileno()] = (worker, worker.call)
        self.epoll.register(worker.call.fileno(), select.EPOLLIN)

    def end_call(self, worker, call):
        with self.lock:
            self.epoll.unregister(call.fileno())
            del self.watched[call.fileno()]
            worker.call = None
            try:
                call.result()
            except Exception as exc:
                self.break_up(exc)
                return
            if worker.is_gone is not None:
                self.break_up(worker.is_gone)
            elif worker.task is not None:  # it left while the task was on its way
                self.serve(worker)

    # ---- results

    def receive(self, worker, timeout):
        """Whether one came, for take()."""
        try:
            return worker.results._collect(worker.received, timeout)
        except ChannelClosed as exc:
            with self.lock:
                if not self.is_closed():
                    self.unwatch(worker)
                worker.is_gone = exc
                # What its call raises says why.
                if worker.call is None:
                    self.break_up(exc)
            return False
        except Exception as exc:  # of a result that cannot be read here
            worker.received.append((None, None, exc))
            return True

    def take(self, worker):
        """Gives the future what was received, and the worker what waits."""
        try:
            number, value, exc = received = worker.received[0]
        except IndexError:
            return
        if exc is not None and not isinstance(exc, BaseException):
            exc = _calls["unpack_exception"](exc)
        is_claimed = False
        with self.lock:
            task = worker.task
            if worker.received and worker.received[0] is received:
                if task is not None and number in (None, task.number):
                    self.ended.append(_End(task.future, value, exc))
                    worker.task = None
                worker.received.clear()
                is_claimed = self.claim(worker)
            if self.is_shut_down:
                self.wake()
        if is_claimed:
            self.hand_over(worker)

    def receive_until(self, future, left):
        """Receives in the thread of one who waits for a future, until it is done or the time is over; not where
        somebody does already."""
        thread = threading.get_ident()
        with self.lock:
            task = future.task
            worker = task and task.worker
            if thread in self.receivers:
                # This runs in the midst of such a wait, as signal handlers do; or an interrupt ended one between
                # two lines. The executor's thread has to take its place.
                self.give_back(thread)
                return
            if worker is None or worker.task is not task or worker.has_receiver or worker.is_gone:
                return
            self.receivers[thread] = worker
            worker.has_receiver = True
            self.unwatch(worker)
        try:
            while worker.task is task and worker.is_gone is None:
                seconds = left()
                if self.receive(worker, _GLANCE if seconds is None else min(seconds, _GLANCE)):
                    self.take(worker)
                elif seconds is not None and seconds <= _GLANCE:
                    break
        except BaseException:
            with self.lock:
                self.give_back(thread)
                self.wake()  # for what is left to be told
            raise
        with self.lock:
            self.give_back(thread)
        self.tell()

    def give_back(self, thread):
        """With the lock."""
        worker = self.receivers.pop(thread, None)
        if worker is None:
            return
        worker.has_receiver = False
        if self.is_closed():
            return
        if worker.received:
            self.wake()
        if worker.task is not None:
            self.watch(worker)

    # ---- the thread

    def run(self):
        try:
            while not self.is_over():
                wait_ready(self.epoll.fileno(), select.POLLIN, None)
                for descriptor, _ in self.epoll.poll(0):
                    self.look_at(descriptor)
                for worker in tuple(self.workers):
                    if worker.received:
                        self.take(worker)
                self.tell()
        except BaseException as exc:
            self.break_up(exc)
        finally:
            self.close()
            self.tell()

    def look_at(self, descriptor):
        if descriptor == self.wakeup:
            try:
                os.eventfd_read(descriptor)
            except BlockingIOError:
                pass
            return
        with self.lock:
            found = self.watched.get(descriptor)
        if type(found) is tuple:
            self.end_call(*found)
        elif found is not None and self.receive(found, 0):
            self.take(found)

    def is_over(self):
        with self.lock:
            if self.broken is not None:
                return True
            return self.is_shut_down and not self.waiting and all(w.task is None for w in self.workers)

    def shut_down(self):
        with self.lock:
            self.is_shut_down = True
            if self.thread is not None:
                self.wake()
            elif not self.is_closed():
                self.close()

    def close(self):
        """Ends the workers."""
        with self.lock:
            self.is_shut_down = True
            workers, self.workers = self.workers, []
            wakeup, self.wakeup = self.wakeup, -1
            self.watched.clear()
            self.epoll.close()
        for worker in workers:
            worker.tasks.close()
        for worker in workers:
            worker.end()
        if wakeup >= 0:
            os.close(wakeup)
