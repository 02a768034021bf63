// Objects that move from interpreter to interpreter by pointer, and the copies where they cannot.

#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/unit/sandbox_guest/interpreters_test.h"
#include "tests/unit/sandbox_guest/messages_test.h"
#include "tests/unit/sandbox_guest/pretended_sandbox.h"

namespace cloister::sandbox {
namespace {

constexpr char kSupport[] =
    "import cloister, gc, os, queue, socket, struct, sys, threading, time\n"
    "def fails(function, *arguments, **options):\n"
    "    try: return function(*arguments, **options)\n"
    "    except Exception as exc: return type(exc).__name__\n"
    "def movable(value, count=1 << 20):\n"
    "    box = cloister.Movable(value * count)\n"
    "    assert box.is_sole\n"
    "    return box\n"
    "def address(box):\n"
    "    content = box.take()\n"
    "    return id(content), cloister.Movable(content)\n"
    "def resident(): return int(open('/proc/self/statm').read().split()[1]) >> 8\n";

class MovesTest : public FurtherInterpreterTest {
 protected:
  void SetUp() override {
    FurtherInterpreterTest::SetUp();
    if (IsSkipped()) return;
    sandbox_.emplace(&process());
    for (const char* name : {"one", "two"}) ValueOf(sandbox_->Add(name), kSupport);
    one_ = &sandbox_->Get("one");
    two_ = &sandbox_->Get("two");
    ValueOf(two(), "cloister.inbox.empty()");
  }
  GuestInterpreter& one() { return *one_; }
  GuestInterpreter& two() { return *two_; }
  PretendedSandbox& sandbox() { return *sandbox_; }

 private:
  std::optional<PretendedSandbox> sandbox_;
  GuestInterpreter* one_ = nullptr;
  GuestInterpreter* two_ = nullptr;
};

TEST_F(MovesTest, LargeObjectsThatNobodyElseHasKeepTheirAddress) {
  // The last is larger than any message.
  for (const char* value :
       {"b'b'", "'a'", "'\\xe4'", "'\\u20ac'", "'\\U0001f600'", "b'0123456789abcdef' * 3"}) {
    const std::string sent =
        ValueOf(one(), absl::StrCat("at, box = address(movable(", value,
                                    "))\n"
                                    "cloister.post({'box': box}, to='two', transfer=[box])\n"
                                    "at, box.closed, fails(box.take)"));
    const std::string came =
        ValueOf(two(), absl::StrCat("value = cloister.inbox.get(timeout=20)['box']\n"
                                    "assert value == ",
                                    value,
                                    " * (1 << 20)\n"
                                    "id(value), True, 'ValueError'"));
    EXPECT_EQ(came, sent) << value;
  }
}

TEST_F(MovesTest, OthersAreCopied) {
  ValueOf(
      one(),
      "kept = b'k' * (1 << 20)\n"
      "interned = sys.intern('i' * (1 << 20))\n"
      "boxes = [cloister.Movable(kept), cloister.Movable(interned), cloister.Movable(b'small'),\n"
      "         cloister.Movable('')]\n"
      "print([box.is_sole for box in boxes])\n"
      "for box in boxes: cloister.post([box, box], to='two', transfer=[box])\n"
      "alone = movable(b'a')\n"
      "cloister.post(alone, to='two')\n"
      "assert len(alone.take()) == 1 << 20\n");
  EXPECT_EQ(ValueOf(two(),
                    "pairs = [cloister.inbox.get(timeout=20) for _ in range(4)]\n"
                    "[(len(a), a is b) for a, b in pairs], len(cloister.inbox.get(timeout=20))"),
            "([(1048576, True), (1048576, True), (5, True), (0, True)], 1048576)");
  EXPECT_EQ(ValueOf(one(), "len(kept), kept[:2], interned[:2], all(box.closed for box in boxes)"),
            "(1048576, b'kk', 'ii', True)");
}

TEST_F(MovesTest, TheSameTwiceInAMessageIsTheSameObjectThere) {
  ValueOf(one(),
          "box = movable(b'b')\n"
          "cloister.post([box, (box,)], to='two', transfer=[box])");
  EXPECT_EQ(ValueOf(two(), "a, (b,) = cloister.inbox.get(timeout=20)\na is b, len(a)"),
            "(True, 1048576)");
}

TEST_F(MovesTest, StayWhereTheyAreIfNothingIsSent) {
  EXPECT_EQ(
      ValueOf(one(),
              "channel = cloister.Channel(1)\n"
              "channel.put(0)\n"
              "at, box = address(movable(b'b'))\n"
              "found = [fails(channel.put, box, timeout=0.02, transfer=[box]),\n"
              "         fails(cloister.post, [box, object()], to='two', transfer=[box]),\n"
              "         fails(cloister.post, 1, to='two', transfer=[box]),\n"
              "         fails(cloister.post, box, to='two', transfer=[box, box]),\n"
              "         fails(cloister.post, box, to='nobody', transfer=[box])]\n"
              "channel.receiver.close(); sender = channel.sender; channel.close()\n"
              "found.append(fails(sender.put, box, transfer=[box]))\n"
              "found, box.closed, id(box.take()) == at"),
      "(['QueueFull', 'DataCloneError', 'ValueError', 'ValueError', 'LookupError', 'ChannelClosed'], "
      "False, True)");
}

TEST_F(MovesTest, AreHeldWhileTheyWaitToBeSent) {
  EXPECT_EQ(
      ValueOf(
          one(),
          "channel = cloister.Channel(1)\n"
          "channel.put(0)\n"
          "box = movable(b'b')\n"
          "thread = threading.Thread(target=channel.put, args=(box,), kwargs={'transfer': [box]})\n"
          "thread.start()\n"
          "while fails(box.take) != 'BufferError': time.sleep(0.001)\n"
          "found = [fails(cloister.Channel().put, box), box.closed, repr(box),\n"
          "         fails(cloister.Channel().put, box, transfer=[box]), channel.get()]\n"
          "thread.join()\n"
          "found, len(channel.get()), box.closed, repr(box)"),
      "(['DataCloneError', False, '<cloister.Movable, being transferred>', 'BufferError', 0], "
      "1048576, True, '<cloister.Movable, transferred>')");
}

TEST_F(MovesTest, AreFreedWhereNobodyTakesThem) {
  EXPECT_EQ(
      ValueOf(one(),
              "before = resident()\n"
              "for _ in range(10):\n"
              "    channel = cloister.Channel()\n"
              "    for _ in range(2):\n"
              "        box = movable(b'x', 32 << 20)\n"
              "        channel.put(box, transfer=[box])\n"
              "    channel.close()\n"
              "deadline = time.monotonic() + 20\n"
              "while resident() > before + 60 and time.monotonic() < deadline: time.sleep(0.01)\n"
              "resident() <= before + 60"),
      "True");
}

// What interpreters count of their large objects has to be right, or they keep their memory, or
// give it back too early.
TEST_F(MovesTest, InterpretersEndWithNothingLeft) {
  for (int i = 0; i < 3; ++i) {
    ValueOf(one(),
            "for i in range(20):\n"
            "    box = movable(b'b' if i % 2 else 'a', 200_000)\n"
            "    cloister.post(box, to='two', transfer=[box])\n");
    ValueOf(two(), "for i in range(20): assert len(cloister.inbox.get(timeout=20)) == 200_000");
  }
  ValueOf(one(),
          "count = sys.getallocatedblocks()\n"
          "for i in range(40):\n"
          "    box = movable(b'b', 200_000)\n"
          "    channel = cloister.Channel()\n"
          "    channel.put(box, transfer=[box])\n"
          "    if i % 2: channel.get()\n"
          "    del box, channel\n"
          "assert abs(sys.getallocatedblocks() - count) < 30, sys.getallocatedblocks() - count");
  EXPECT_LT(sandbox().End("one").memory().current_bytes(), 64 << 10);
  EXPECT_LT(sandbox().End("two").memory().current_bytes(), 64 << 10);
}

TEST_F(MovesTest, OutliveTheirMaker) {
  ValueOf(one(),
          "box = movable('a', 5_000_000)\n"
          "cloister.post(box, to='two', transfer=[box])\n"
          "box = movable(b'b', 5_000_000)\n"
          "cloister.post(box, to='two', transfer=[box])");
  ValueOf(two(), "first = cloister.inbox.get(timeout=20)");
  // What nobody has taken is its own still.
  EXPECT_LT(sandbox().End("one").memory().current_bytes(), 5'064'000);
  EXPECT_EQ(ValueOf(two(),
                    "second = cloister.inbox.get(timeout=20)\n"
                    "first == 'a' * 5_000_000, second == b'b' * 5_000_000"),
            "(True, True)");
}

// As a receiver in another process does it.
TEST_F(MovesTest, WhoCannotTakeOneGetsACopy) {
  ValueOf(one(),
          "for value, count in ((b'b', 9_000_000), ('\\u20ac', 100_000)):\n"
          "    box = movable(value, count)\n"
          "    cloister.post(box, to='two', transfer=[box])");
  EXPECT_EQ(ValueOf(two(),
                    "inbox = socket.socket(fileno=os.dup(cloister.inbox.fileno()))\n"
                    "def copy():\n"
                    "    _, fds, _, _ = socket.recv_fds(inbox, 70000, 4)\n"
                    "    ticket = socket.socket(fileno=fds[0])\n"
                    "    ticket.send(b'c')\n"
                    "    header, fds, _, _ = socket.recv_fds(ticket, 100, 4)\n"
                    "    with open(fds[0], 'rb') as file: content = os.pread(fds[0], 1 << 25, 0)\n"
                    "    return struct.unpack('<IIQ', header), content, ticket.recv(9)\n"
                    "first, second = copy(), copy()\n"
                    "first[0], first[1] == b'b' * 9_000_000, first[2], second[0], "
                    "second[1].decode('utf-16-le') == '\\u20ac' * 100_000"),
            "((0, 0, 9000000), True, b'', (2, 0, 200000), True)");
  // A ticket that says something else is none.
  ValueOf(one(), "box = movable(b'b')\ncloister.post(box, to='two', transfer=[box])");
  EXPECT_EQ(ValueOf(two(),
                    "_, fds, _, _ = socket.recv_fds(inbox, 70000, 4)\n"
                    "ticket = socket.socket(fileno=fds[0])\n"
                    "ticket.send(b'other words')\n"
                    "ticket.recv(9)"),
            "b''");
}

TEST_F(MovesTest, ASecondTakerGetsNothing) {
  ValueOf(one(), "box = movable(b'b')\ncloister.post(box, to='two', transfer=[box])");
  EXPECT_EQ(ValueOf(two(),
                    "inbox = socket.socket(fileno=os.dup(cloister.inbox.fileno()))\n"
                    "packet, fds, _, _ = socket.recv_fds(inbox, 70000, 4)\n"
                    "channel = cloister.Channel()\n"
                    "sender = channel.sender\n"
                    "into = socket.socket(fileno=os.dup(sender.fileno()))\n"
                    "for _ in range(2): socket.send_fds(into, [packet], fds)\n"
                    "first = channel.get()\n"
                    "len(first), fails(channel.get), first == b'b' * (1 << 20)"),
            "(1048576, 'DataCloneError', True)");
}

TEST_F(MovesTest, AreChargedToWhoHasThem) {
  internal::v1::CreateInterpreter request = process().Request();
  request.set_memory_bytes(48 << 20);
  GuestInterpreter& small = sandbox().Add("small", request);
  ValueOf(small, absl::StrCat(kSupport, "cloister.inbox.empty()"));
  ValueOf(one(),
          "for count in (64 << 20, 16 << 20, 16 << 20):\n"
          "    box = movable(b'b', count)\n"
          "    cloister.post(box, to='small', transfer=[box])");
  EXPECT_EQ(ValueOf(small,
                    "too_large = fails(cloister.inbox.get, timeout=20)\n"
                    "value = cloister.inbox.get(timeout=20)\n"
                    "too_large, len(value) >> 20, fails(bytearray, 40 << 20)"),
            "('MemoryError', 16, 'MemoryError')");
  EXPECT_EQ(ValueOf(small, "del value\nlen(bytearray(20 << 20)) >> 20"), "20");
}

// ---- where nothing can move ---------------------------------------------------------------------

class CopiesTest : public MessageTest {
 protected:
  void Prints(const std::string& code, const std::string& output) {
    ExpectPrints(kSupport + code, output);
  }
};

TEST_F(CopiesTest, AMovableIsItsValue) {
  Prints(
      "box = movable(b'b')\n"
      "channel = cloister.Channel()\n"
      "channel.put((box, 1), transfer=[box])\n"
      "value, _ = channel.get()\n"
      "print(len(value), box.closed, repr(box), repr(cloister.Movable('s')), "
      "repr(cloister.Movable(b's')))\n"
      "print(cloister.clone([cloister.Movable('x')]), fails(box.take), fails(cloister.clone, "
      "box))\n"
      "taken = movable('s')\n"
      "print(len(taken.take()), repr(taken), taken.closed, fails(channel.put, taken, "
      "transfer=[taken]))\n"
      "class Text(str): pass\n"
      "print([fails(cloister.Movable, value) for value in (bytearray(3), 7, Text('x'), None)])\n"
      "cloister.post(cloister.Movable('to the client'))",
      "1048576 True <cloister.Movable, transferred> <cloister.Movable, str> <cloister.Movable, "
      "bytes>\n"
      "['x'] ValueError DataCloneError\n"
      "1048576 <cloister.Movable, taken> True ValueError\n"
      "['TypeError', 'TypeError', 'TypeError', 'TypeError']\n");
  EXPECT_EQ(ValueOfClone(host().NextPost()).string_value(), "to the client");
}

TEST_F(CopiesTest, ForgedOffersAreErrors) {
  Prints(
      "import fcntl\n"
      "def packet(role=b'moved', number=7, descriptors=1):\n"
      "    value = (bytes([22, 30, 2 + descriptors, 11, len(role)]) + role +\n"
      "             b'\\x07' + struct.pack('<q', number | 1 << 40))\n"
      "    for i in range(descriptors): value += bytes([23, i])\n"
      "    clone = b'CLN\\x01' + struct.pack('<IQ', descriptors, len(value)) + value\n"
      "    for i in range(descriptors): clone += struct.pack('<IIQQ', 3, i, 0, 0)\n"
      "    return struct.pack('<BBHIQ', 1, 0, descriptors, 0, len(clone)) + clone\n"
      "channel = cloister.Channel()\n"
      "sender = channel.sender\n"
      "into = socket.socket(fileno=os.dup(sender.fileno()))\n"
      "def get(*fds, **options):\n"
      "    socket.send_fds(into, [packet(**options)], fds)\n"
      "    return fails(channel.get, timeout=20)\n"
      "def answer(header, content, seals=7, count=1):\n"
      "    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)\n"
      "    memory = os.memfd_create('copy', os.MFD_ALLOW_SEALING)\n"
      "    os.write(memory, content)\n"
      "    fcntl.fcntl(memory, 1033, (2 | 4 | 8) & (seals * 2))\n"
      "    socket.send_fds(ours, [struct.pack('<IIQ', *header)], [memory] * count)\n"
      "    found = get(theirs.fileno())\n"
      "    asked = ours.recv(9)\n"
      "    return found if type(found) is str and found.endswith('Error') else (found, asked)\n"
      "print(answer((0, 0, 3), b'abc'), answer((2, 0, 2), b'\\xac\\x20'), "
      "answer((4, 0, 4), '\\U0001f600'.encode('utf-32-le')))\n"
      "print(answer((0, 0, 3), b'abc', seals=3), answer((0, 0, 4), b'abc'), answer((3, 0, 3), "
      "b'abc'),\n"
      "      answer((2, 0, 3), b'abc'), answer((4, 0, 4), b'\\xff' * 4), answer((0, 0, 0), b''),\n"
      "      answer((0, 0, 3), b'abc', count=0), answer((0, 0, 3), b'abc', count=3))\n"
      "file = os.open('/dev/null', os.O_RDWR)\n"
      "gone, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)\n"
      "gone.close()\n"
      "stream = socket.socketpair()\n"
      "print(get(file), get(theirs.fileno()), get(stream[0].fileno()), get(file, file, "
      "descriptors=2),\n"
      "      get(file, role=b'Moved'))\n"
      "channel.put('and on'); print(channel.get())",
      "(b'abc', b'c') ('\xe2\x82\xac', b'c') ('\xf0\x9f\x98\x80', b'c')\n"
      "DataCloneError DataCloneError DataCloneError DataCloneError DataCloneError DataCloneError "
      "DataCloneError DataCloneError\n"
      "DataCloneError DataCloneError DataCloneError DataCloneError DataCloneError\n"
      "and on\n");
}

}  // namespace
}  // namespace cloister::sandbox
