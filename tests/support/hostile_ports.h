// Ends of channels as a hostile peer may send them, for tests of every profile.

#ifndef CLOISTER_TESTS_SUPPORT_HOSTILE_PORTS_H_
#define CLOISTER_TESTS_SUPPORT_HOSTILE_PORTS_H_

namespace cloister {

// Defines attack_ports(), which sends messages whose clones are those of a Channel, a Sender, a
// Receiver and a Queue, and whose descriptors are others. Returns what went wrong, as text; ""
// where everything was refused, or of use, at once, and no descriptor was left.
inline constexpr char kHostilePorts[] = R"python(
def attack_ports():
    import cloister, fcntl, os, queue, socket, struct, tempfile, threading, time

    problems, made = [], set()
    def count(): return len(os.listdir("/proc/self/fd"))

    def capture(value):
        with cloister.Channel() as channel:
            channel.put(value)
            with socket.socket(fileno=os.dup(channel.fileno())) as raw:
                packet, descriptors, _, _ = socket.recv_fds(raw, 1 << 16, 64)
        return packet, descriptors

    def pair(kind): return [one.detach() for one in socket.socketpair(socket.AF_UNIX, kind)]

    def deserted():
        left, right = pair(socket.SOCK_SEQPACKET)
        os.close(right)
        return [left]

    def shut():
        left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        left.shutdown(socket.SHUT_RDWR)
        return [left.detach(), right.detach()]

    def counter(value, flags):
        made = os.eventfd(0, flags)
        os.eventfd_write(made, value)
        return [made]

    quick, semaphore = os.EFD_NONBLOCK, os.EFD_SEMAPHORE
    kinds = {
        "memfd": lambda: [os.memfd_create("x")],
        "pipe": lambda: list(os.pipe()),
        "stream": lambda: pair(socket.SOCK_STREAM),
        "datagram": lambda: pair(socket.SOCK_DGRAM),
        "two-way packets": lambda: pair(socket.SOCK_SEQPACKET),
        "nobody's": lambda: [socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET).detach()],
        "deserted": deserted,
        "shut": shut,
        "eventfd that waits": lambda: counter(2, semaphore),
        "eventfd that is no semaphore": lambda: counter(2, quick),
        "eventfd that is full": lambda: counter((1 << 64) - 2, quick | semaphore),
        "eventfd that is empty": lambda: [os.eventfd(0, quick | semaphore)],
        "directory": lambda: [os.open("/", os.O_RDONLY)],
        "path": lambda: [os.open("/", os.O_PATH)],
        "file": lambda: [os.open("/proc/self/status", os.O_RDONLY)],
        "device": lambda: [os.open("/dev/zero", os.O_RDWR)],
    }

    def use(got):
        """Nothing of it may wait for longer than it is told to."""
        for name, arguments in (("put", (1, True, 0.02)), ("put_nowait", (1,)), ("get", (True, 0.02)),
                                ("get_nowait", ()), ("qsize", ()), ("empty", ()), ("full", ()), ("fileno", ())):
            try: getattr(got, name, len)(*arguments)
            except (queue.Empty, queue.Full, cloister.ChannelClosed, cloister.DataCloneError, OSError,
                    NotImplementedError, TypeError): pass
        got.close()

    def offer(what, packet, descriptors):
        before = count()
        start = time.monotonic()
        with cloister.Channel() as channel, channel.sender as sender:
            with socket.socket(fileno=os.dup(sender.fileno())) as raw:
                header = packet[:2] + struct.pack("<H", len(descriptors)) + packet[4:]
                socket.send_fds(raw, [header], descriptors)
            try: use(channel.get(timeout=5))
            except cloister.DataCloneError: pass
            except Exception as exc: problems.append(f"{what}: {exc!r}")
            channel.put("next")
            if channel.get(timeout=5) != "next": problems.append(f"{what}: the next message")
        if count() != before: problems.append(f"{what}: {count() - before} descriptors are left")
        if time.monotonic() - start > 4: problems.append(f"{what}: took long")

    def run():
        try: run_all()
        except BaseException as exc: problems.append(repr(exc))

    def run_all():
        whole = cloister.Channel(2)
        for role, value in (("channel", whole), ("sender", whole.sender), ("receiver", whole.receiver),
                            ("queue", cloister.create_queue(2)), ("unbounded", cloister.Channel())):
            packet, right = capture(value)
            offer(role, packet, right)
            for name, make in kinds.items():
                try: wrong = make()
                except OSError: continue  # which guests cannot have
                made.add(name)
                for place in range(len(right)):
                    for one in wrong:
                        offer(f"{name} as {role} {place}", packet, right[:place] + [one] + right[place + 1:])
                for one in wrong: os.close(one)
            for few in range(len(right)): offer(f"{few} of a {role}", packet, right[:few])
            offer(f"more than a {role}", packet, right + right)
            offer(f"turned {role}", packet, right[::-1])
            for one in right: os.close(one)
            value.close()
        whole.close()

    before = count()
    thread = threading.Thread(target=run)
    thread.start()
    thread.join(100)
    if len(made) < 10: problems.append(f"only {made}")
    if thread.is_alive(): problems.append("it waits")
    if count() != before: problems.append(f"{count() - before} descriptors are left")
    return "\n".join(problems)
)python";

}  // namespace cloister

#endif  // CLOISTER_TESTS_SUPPORT_HOSTILE_PORTS_H_
