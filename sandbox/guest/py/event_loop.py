"""The session's event loop. It runs while a cell awaits, and between cells, so that tasks go on.

Cells that await nothing run outside of it: asyncio.run() works in them. What they create a task with, or
ask for as the current loop, is this loop nevertheless.

The loader adds to this namespace: `set_idle`, which takes the function that waits between cells, and
`is_main_interpreter`.
"""

import asyncio
import selectors
import signal
import threading

# Whether SIGINT interrupts it, as it does in main; others are interrupted by an asynchronous exception.
is_reached_by_signals = is_main_interpreter()

_loop = None
_waiting = ()  # selector keys of a loop without descriptors


def session_loop():
    global _loop
    if _loop is None or _loop.is_closed():
        _loop = asyncio.new_event_loop()
        asyncio.set_event_loop(_loop)
        set_idle(idle)
    return _loop


def _is_main_thread():
    return threading.current_thread() is threading.main_thread()


def adapt(module):
    events, tasks = module.events, module.tasks
    create_task_in_running_loop = tasks.create_task

    def create_task(coro, **options):
        if events._get_running_loop() is None and _is_main_thread():
            return session_loop().create_task(coro, **options)
        return create_task_in_running_loop(coro, **options)

    create_task.__doc__ = create_task_in_running_loop.__doc__
    tasks.create_task = module.create_task = create_task

    policy = getattr(events, "_BaseDefaultEventLoopPolicy", None)
    if policy is None:
        policy = events.BaseDefaultEventLoopPolicy  # until 3.13
    get_loop_that_was_set = policy.get_event_loop

    def get_event_loop(self):
        if self._local._loop is None and _is_main_thread():
            return session_loop()
        return get_loop_that_was_set(self)

    policy.get_event_loop = get_event_loop


def _forget_result(task):
    if not task.cancelled():
        task.exception()


def _finish(loop, task):
    try:
        return loop.run_until_complete(task)
    except KeyboardInterrupt:
        # In an interpreter that signals do not reach it comes wherever the code is, most often the loop's own.
        if is_reached_by_signals or task.done():
            raise
        task.cancel()
        try:
            return loop.run_until_complete(task)
        except asyncio.CancelledError as cancelled:
            raise KeyboardInterrupt().with_traceback(cancelled.__traceback__) from None


def run(coroutine, context):
    """Runs a cell that awaits. A first interrupt cancels it, so that it can clean up; a second one raises
    wherever the code is."""
    loop = session_loop()
    task = loop.create_task(coroutine, context=context)
    interrupts = 0

    def on_interrupt(number, frame):
        nonlocal interrupts
        interrupts += 1
        if interrupts > 1 or task.done():
            raise KeyboardInterrupt
        task.cancel()
        loop.call_soon_threadsafe(lambda: None)  # wakes it

    handles = is_reached_by_signals and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    try:
        if handles:
            signal.signal(signal.SIGINT, on_interrupt)
        return _finish(loop, task)
    except asyncio.CancelledError as cancelled:
        if interrupts and task.uncancel() == 0:
            raise KeyboardInterrupt().with_traceback(cancelled.__traceback__) from None
        raise
    finally:
        if handles and signal.getsignal(signal.SIGINT) is on_interrupt:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        if not task.done():
            task.add_done_callback(_forget_result)
            task.cancel()


def idle(descriptor):
    """Runs the loop until the descriptor can be read."""
    loop = _loop
    if loop.is_closed():
        return
    loop.add_reader(descriptor, loop.stop)
    try:
        loop.run_forever()
    finally:
        loop.remove_reader(descriptor)


# ---- copies of the process -----------------------------------------------------------------------------


def release_descriptors():
    """Closes what the loop has of its own: a copy of the process would share them with the original. Tasks
    and timers stay; the loop must not run before take_descriptors()."""
    global _waiting
    if _loop.is_closed():
        return
    _loop._close_self_pipe()
    _waiting = tuple(_loop._selector.get_map().values())
    _loop._selector.close()


def take_descriptors():
    global _waiting
    if _loop.is_closed():
        return
    _loop._selector = selectors.DefaultSelector()
    for key in _waiting:
        try:
            _loop._selector.register(key.fileobj, key.events, key.data)
        except (OSError, ValueError):
            pass  # gone in this copy
    _waiting = ()
    _loop._make_self_pipe()
    if _loop._signal_handlers:
        signal.set_wakeup_fd(_loop._csock.fileno())
