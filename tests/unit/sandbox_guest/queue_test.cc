// Code for concurrent.interpreters' queues does the same with ours, by another import.

#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/sandbox_guest/interpreters_test.h"
#include "tests/unit/sandbox_guest/messages_test.h"
#include "tests/unit/sandbox_guest/pretended_sandbox.h"

namespace cloister::sandbox {
namespace {

constexpr char kCode[] = R"(
import queue, threading

def attempt(call, *errors):
    try: print(call())
    except errors as exc: print(type(exc).__name__, *(isinstance(exc, kind) for kind in (queue.Empty, queue.Full)))

q = create_queue(maxsize=2)
print(type(q).__name__, isinstance(q, Queue), q.maxsize, q.qsize(), q.empty(), q.full())
q.put(1)
q.put_nowait("two")
print(q.qsize(), q.empty(), q.full())
for put in (lambda: q.put_nowait(3), lambda: q.put(3, timeout=0), lambda: q.put(3, block=False),
            lambda: q.put(3, False), lambda: q.put(3, True, 0), lambda: q.put(3, timeout=-1)):
    attempt(put, QueueFull, ValueError)
print(q.get(), q.get(True), q.qsize(), q.empty(), q.full())
for get in (q.get_nowait, lambda: q.get(timeout=0), lambda: q.get(block=False), lambda: q.get(False),
            lambda: q.get(True, 0), lambda: q.get(timeout=-1)):
    attempt(get, QueueEmpty, ValueError)
print(issubclass(QueueEmpty, queue.Empty), issubclass(QueueFull, queue.Full))

unbounded = create_queue()
print(unbounded.maxsize, create_queue(0).maxsize, unbounded.qsize(), unbounded.full())
values = [None, True, -5, 1 << 100, 2.5, "text", b"bytes", (1, ("a", None)), [1, {"k": {2}}]]
for value in values: unbounded.put(value)
print(unbounded.qsize(), unbounded.full(), unbounded.empty())
print([unbounded.get() for _ in values] == values, unbounded.empty())

unbounded.put(q)
same = unbounded.get()
print(same == q, hash(same) == hash(q), same.id == q.id, type(same).__name__, same.maxsize, q == unbounded)
same.put("through")
print(q.get(), len({q, same, unbounded}))

found = []
def consume():
    while (value := q.get()) is not None: found.append(value)
thread = threading.Thread(target=consume)
thread.start()
for i in range(50): q.put(i)
q.put(None)
thread.join()
print(found == list(range(50)))

# All tasks first, the workers then.
for i in range(3000): unbounded.put(i)
print(unbounded.qsize(), unbounded.full())
print([unbounded.get() for _ in range(3000)] == list(range(3000)), unbounded.qsize())
for wrong in (lambda: create_queue("x"), lambda: Queue("x")):
    attempt(wrong, TypeError)
)";

class QueueTest : public MessageTest {};

// What the image's own Python makes of it; "" where that has no interpreters.
std::string OutputOfPython() {
  const std::string code = std::string("from concurrent.interpreters import *\n") + kCode;
  int ends[2];
  EXPECT_EQ(pipe(ends), 0);
  const pid_t child = fork();
  if (child == 0) {
    dup2(ends[1], STDOUT_FILENO);
    if (chroot(GUEST_TEST_ROOTFS) == 0 && chdir("/") == 0) {
      execl("/usr/bin/python3", "python3", "-I", "-c", code.c_str(), nullptr);
    }
    _exit(127);
  }
  close(ends[1]);
  std::string output;
  char piece[4096];
  ssize_t count;
  while ((count = read(ends[0], piece, sizeof(piece))) > 0) output.append(piece, count);
  close(ends[0]);
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(output.empty() || status == 0) << output;
  return output;
}

TEST_F(QueueTest, DoesWhatThatOfPythonDoes) {
  const std::string expected = OutputOfPython();
  if (access(GUEST_TEST_ROOTFS "/usr/lib/python3.13", F_OK) != 0) ASSERT_NE(expected, "");
  const SessionAnswer answer = Execute(
      std::string("from cloister import create_queue, Queue, QueueEmpty, QueueFull\n") + kCode);
  EXPECT_EQ(answer.finished().kind(), internal::v1::Finished::KIND_SUCCEEDED)
      << answer.finished().exception().traceback();
  if (expected.empty()) {
    EXPECT_EQ(answer.output.substr(0, answer.output.find('\n')), "Queue True 2 0 True False");
  } else {
    EXPECT_EQ(answer.output, expected);
  }
}

TEST_F(QueueTest, KeepsWhatDoesNotFitForAsLongAsSomebodyMayReceiveIt) {
  ExpectPrints(
      "import cloister, gc, os, threading, time\n"
      "before = len(os.listdir('/proc/self/fd'))\n"
      "def settle():\n"
      "    end = time.monotonic() + 10\n"
      "    while threading.active_count() > 1 and time.monotonic() < end: time.sleep(0.01)\n"
      "    return threading.active_count(), len(os.listdir('/proc/self/fd')) - before\n"
      "queue = cloister.create_queue()\n"
      "for i in range(1000): queue.put([i] * 100)\n"
      "print(threading.active_count(), queue.qsize())\n"
      "found = [queue.get(timeout=10)[0] for _ in range(1000)]\n"
      "print(found == list(range(1000)), queue.qsize(), settle()[0])\n"
      "for i in range(1000): queue.put(i)\n"
      "del queue\n"
      "print(*settle())\n"
      "queue = cloister.create_queue()\n"
      "for i in range(1000): queue.put(i)\n"
      "queue.close()\n"
      "print(*settle())\n"
      "queue = cloister.create_queue()\n"
      "for i in range(1000): queue.put(i)\n"
      "pid = os.fork()\n"
      "if pid == 0:\n"
      "    queue.put('from the fork')\n"
      "    time.sleep(0.3)\n"
      "    os._exit(0)\n"
      "found = [queue.get(timeout=10) for _ in range(1000)]\n"
      "os.waitpid(pid, 0)\n"
      "found += [queue.get(timeout=10)] if not queue.empty() else []\n"
      "print([each for each in found if each != 'from the fork'] == list(range(1000)))",
      "2 1000\nTrue 0 1\n1 0\n1 0\nTrue\n");
}

class QueueBetweenTest : public FurtherInterpreterTest {};

TEST_F(QueueBetweenTest, IsOneQueueInAllInterpreters) {
  if (IsSkipped()) return;
  PretendedSandbox sandbox(&process());
  const SessionAnswer answer = sandbox.Add("first").Execute(
      "import cloister\n"
      "def fill(q, count):\n"
      "    for i in range(count): q.put(i)\n"
      "    q.put(q)\n"
      "    return type(q).__name__, q.maxsize, q.id\n"
      "for maxsize in (0, 3):\n"
      "    with cloister.InterpreterPoolExecutor(1) as pool:\n"
      "        q = cloister.create_queue(maxsize)\n"
      "        filling = pool.submit(fill, q, 10)\n"
      "        print([q.get(timeout=10) for _ in range(10)] == list(range(10)), q.get() == q)\n"
      "        print(filling.result() == ('Queue', maxsize, q.id), q.qsize())\n");
  EXPECT_EQ(answer.output, "True True\nTrue 0\nTrue True\nTrue 0\n")
      << answer.finished().exception().traceback();
}

}  // namespace
}  // namespace cloister::sandbox
