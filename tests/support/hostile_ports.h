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

    problems = []
    def count(): return len(os.listdir("/proc/self/fd"))

    def capture(value):
        with cloister.Channel() as channel:
            channel.put(value)
            with socket.socket(fileno=os.dup(channel.fileno())) as raw:
                packet, descriptors, _, _ = socket.recv_fds(raw, 1 << 16, 64)
        return packet, descriptors

    def kinds():
        """Pairs of a name and descriptors to be had by it, all to be closed."""
        yield "memfd", [os.memfd_create("x")]
        yield "pipe", list(os.pipe())
        for name, kind in (("stream", socket.SOCK_STREAM), ("datagram", socket.SOCK_DGRAM),
                           ("two-way packets", socket.SOCK_SEQPACKET)):
            yield name, [one.detach() for one in socket.socketpair(socket.AF_UNIX, kind)]
        yield "nobody's", [socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET).detach()]
        left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        right.close()
        yield "deserted", [left.detach()]
        left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        left.shutdown(socket.SHUT_RDWR)
        yield "shut", [left.detach(), right.detach()]
        yield "eventfd that waits", [os.eventfd(2, os.EFD_SEMAPHORE)]
        yield "eventfd that is no semaphore", [os.eventfd(2, os.EFD_NONBLOCK)]
        full = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_SEMAPHORE)
        os.eventfd_write(full, (1 << 64) - 2)
        yield "eventfd that is full", [full]
        yield "eventfd that is empty", [os.eventfd(0, os.EFD_NONBLOCK | os.EFD_SEMAPHORE)]
        yield "directory", [os.open("/", os.O_RDONLY)]
        yield "path", [os.open("/", os.O_PATH)]
        yield "file", [os.open("/proc/self/status", os.O_RDONLY)]
        yield "device", [os.open("/dev/zero", os.O_RDWR)]

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
            for name, wrong in kinds():
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
    if thread.is_alive(): problems.append("it waits")
    if count() != before: problems.append(f"{count() - before} descriptors are left")
    return "\n".join(problems)
)python";

}  // namespace cloister

#endif  // CLOISTER_TESTS_SUPPORT_HOSTILE_PORTS_H_
