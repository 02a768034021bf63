// Shared memory and locks in messages: over channels to threads and processes, and from interpreter
// to interpreter.

#include "tests/unit/sandbox_guest/interpreters_test.h"
#include "tests/unit/sandbox_guest/messages_test.h"
#include "tests/unit/sandbox_guest/pretended_sandbox.h"

namespace cloister::sandbox {
namespace {

constexpr char kSupport[] =
    "import cloister, gc, os, queue, signal, threading, time\n"
    "def fails(function, *arguments, **options):\n"
    "    try: return function(*arguments, **options)\n"
    "    except Exception as exc: return type(exc).__name__\n"
    "def descriptors():\n"
    "    gc.collect()\n"
    "    return len(os.listdir('/proc/self/fd'))\n"
    "buffer = cloister.SharedBuffer(16)\n";

class SharedMessageTest : public MessageTest {
 protected:
  void Prints(const std::string& code, const std::string& output) {
    ExpectPrints(kSupport + code, output);
  }
};

TEST_F(SharedMessageTest, GoThroughChannels) {
  Prints(
      "channel = cloister.Channel()\n"
      "memoryview(buffer)[1] = 5\n"
      "channel.put({'shown': buffer})\n"
      "shown = channel.get()['shown']\n"
      "channel.put({'given': buffer}, transfer=[buffer])\n"
      "print(buffer.closed, fails(memoryview, buffer), shown.closed)\n"
      "given = channel.get()['given']\n"
      "memoryview(shown)[2] = 6\n"
      "print(bytes(given)[:4], fails(channel.put, given, transfer=[given, given]))\n",
      "True ValueError False\nb'\\x00\\x05\\x06\\x00' ValueError\n");
}

TEST_F(SharedMessageTest, AreAsTheyWereWhereNothingIsSent) {
  Prints(
      "channel = cloister.Channel(1)\n"
      "channel.put(0)\n"
      "print(fails(channel.put, buffer, timeout=0.02, transfer=[buffer]), buffer.closed)\n"
      "print(fails(channel.put_nowait, [buffer, object()]), buffer.closed)\n"
      "sender, receiver = channel.sender, channel.receiver\n"
      "channel.close(); receiver.close()\n"
      "print(fails(sender.put, buffer, transfer=[buffer]), buffer.closed)\n"
      "memoryview(buffer).release()\n"
      "buffer.close()\n",
      "QueueFull False\nDataCloneError False\nChannelClosed False\n");
}

TEST_F(SharedMessageTest, AreHeldWhileTheyWaitToBeSent) {
  Prints(
      "channel = cloister.Channel(1)\n"
      "channel.put(0)\n"
      "thread = threading.Thread(target=channel.put, args=(buffer,), kwargs={'transfer': "
      "[buffer]})\n"
      "thread.start()\n"
      "while fails(memoryview, buffer) != 'BufferError': time.sleep(0.001)\n"
      "print(fails(buffer.close), fails(cloister.Channel().put, buffer),\n"
      "      fails(cloister.Channel().put, buffer, transfer=[buffer]), buffer.atomic_add(0, 7))\n"
      "print(channel.get()); thread.join()\n"
      "print(buffer.closed, channel.get().atomic_load(0))\n",
      "BufferError DataCloneError BufferError 0\n0\nTrue 7\n");
}

TEST_F(SharedMessageTest, LeaveNothingWhereNobodyReadsThem) {
  Prints(
      "before = descriptors()\n"
      "for capacity in (0, 5):\n"
      "    channel = cloister.Channel(capacity)\n"
      "    for _ in range(5): channel.put([cloister.SharedBuffer(9000), cloister.Lock()])\n"
      "    channel.close()\n"
      "    del channel\n"
      "print(descriptors() - before)\n",
      "0\n");
}

// A process gets a lock from its parent, and is killed with it.
TEST_F(SharedMessageTest, ReachProcessesAndOutliveThem) {
  Prints(
      "channel, lock, condition = cloister.Channel(), cloister.Lock(), cloister.Condition()\n"
      "pid = os.fork()\n"
      "if pid == 0:\n"
      "    try:\n"
      "        shared, own, waits = channel.get(timeout=20)\n"
      "        own.acquire()\n"
      "        with waits:\n"
      "            shared.atomic_store(8, os.getpid())\n"
      "            waits.notify()\n"
      "        signal.pause()\n"
      "    finally:\n"
      "        os._exit(1)\n"
      "channel.put((buffer, lock, condition))\n"
      "with condition:\n"
      "    print(condition.wait_for(lambda: buffer.atomic_load(8), timeout=20) == pid)\n"
      "print(lock.acquire(False), lock.locked())\n"
      "os.kill(pid, signal.SIGKILL); os.waitpid(pid, 0)\n"
      "print(lock.acquire(timeout=20), lock.owner_died)\n"
      "lock.release()\n",
      "True\nFalse True\nTrue True\n");
}

class SharedBetweenInterpretersTest : public FurtherInterpreterTest {};

TEST_F(SharedBetweenInterpretersTest, GoFromInboxToInbox) {
  PretendedSandbox sandbox(&process());
  GuestInterpreter& one = sandbox.Add("one");
  GuestInterpreter& two = sandbox.Add("two");
  ValueOf(two, "import cloister\ncloister.inbox.empty()");
  EXPECT_EQ(ValueOf(one,
                    "import cloister\n"
                    "buffer, lock = cloister.SharedBuffer(16), cloister.Lock()\n"
                    "buffer.atomic_add(0, 41)\n"
                    "lock.acquire()\n"
                    "cloister.post((buffer, buffer, lock), to='two')\n"
                    "other = cloister.SharedBuffer(8)\n"
                    "cloister.post(other, to='two', transfer=[other])\n"
                    "other.closed, buffer.closed"),
            "(True, False)");
  EXPECT_EQ(ValueOf(two,
                    "buffer, same, lock = cloister.inbox.get(timeout=20)\n"
                    "other = cloister.inbox.get(timeout=20)\n"
                    "buffer is same, buffer.atomic_add(0, 1), lock.acquire(False), other.size"),
            "(True, 41, False, 8)");
  EXPECT_EQ(ValueOf(one, "lock.release()\nbuffer.atomic_load(0)"), "42");
  EXPECT_EQ(ValueOf(two, "lock.acquire(), lock.owner_died"), "(True, False)");
  // The sender's end is not theirs.
  sandbox.End("one");
  EXPECT_EQ(ValueOf(two, "lock.release()\nbuffer.atomic_add(0, 1), lock.acquire()"), "(42, True)");
}

}  // namespace
}  // namespace cloister::sandbox
