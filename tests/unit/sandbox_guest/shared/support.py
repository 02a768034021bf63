# What the files of this directory begin with.

import gc
import os
import time

import cloister
from cloister import Condition, Lock, Semaphore, SharedBuffer


def send(value, transfer=()):
    """The value as a peer gets it in a message."""
    clone, descriptors = cloister._encode_handles(value, transfer)
    return cloister._decode_handles(clone, descriptors)


def raises(kind, function, *arguments, text="", **options):
    try:
        function(*arguments, **options)
    except BaseException as error:
        assert type(error) is kind, (type(error), error)
        assert text in str(error), str(error)
        return str(error)
    raise AssertionError(f"{kind.__name__} was not raised")


def descriptors():
    gc.collect()
    return set(os.listdir("/proc/self/fd"))


def mappings():
    gc.collect()
    with open("/proc/self/maps") as maps:
        return sum("/memfd:" in line for line in maps)


def child(function, *arguments):
    """Runs it in a process, which ends with what it returns."""
    pid = os.fork()
    if pid == 0:
        code = 99
        try:
            code = function(*arguments) or 0
        finally:
            os._exit(code)
    return pid


def exit_code(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def settle(pid):
    """Until the process waits in a futex."""
    while True:
        with open(f"/proc/{pid}/syscall") as file:
            if file.read().startswith("202 "):
                return
        time.sleep(0.001)


def waiting(count):
    """Until so many threads of this process do."""
    while True:
        found = 0
        for task in os.listdir("/proc/self/task"):
            with open(f"/proc/self/task/{task}/syscall") as file:
                found += file.read().startswith("202 ")
        if found >= count:
            return
        time.sleep(0.001)


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


