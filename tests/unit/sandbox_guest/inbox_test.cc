// The inbox of an interpreter and what it posts to its client.

#include <sys/socket.h>

#include "tests/unit/sandbox_guest/messages_test.h"

namespace cloister::sandbox {
namespace {

using testing::HasSubstr;

class InboxTest : public MessageTest {};

TEST_F(InboxTest, IsOpenedWhenItIsUsed) {
  ExpectPrints("import cloister\nprint(cloister.inbox)", "<cloister.inbox>\n");
  EXPECT_EQ(host().mailboxes_opened(), 0);
  ExpectPrints("print(cloister.inbox.empty())", "True\n");
  EXPECT_EQ(host().mailboxes_opened(), 1);
  host().Send(CloneOf("one"));
  ExpectPrints("print(cloister.inbox.empty(), cloister.inbox.get(), cloister.inbox.empty())",
               "False one True\n");
  EXPECT_EQ(host().mailboxes_opened(), 1);
}

TEST_F(InboxTest, GivesMessagesInTheirOrder) {
  for (int i = 0; i < 100; ++i) host().Send(CloneOf(std::to_string(i)));
  ExpectPrints(
      "import cloister\nprint([cloister.inbox.get() for _ in range(100)] == list(map(str, "
      "range(100))))",
      "True\n");
}

TEST_F(InboxTest, WaitsForAMessage) {
  session().on_output = [this](const std::string&) { host().Send(CloneOf("late")); };
  ExpectPrints("import cloister\nprint('on', flush=True)\nprint(cloister.inbox.get())",
               "on\nlate\n");
  session().on_output = [this](const std::string&) { host().Send(CloneOf("later")); };
  ExpectPrints("print('on', flush=True)\nprint(next(cloister.inbox))", "on\nlater\n");
}

TEST_F(InboxTest, EndsAWaitWhenTheTimeIsOver) {
  ExpectPrints(
      "import cloister, queue, time\n"
      "for get in (cloister.inbox.get_nowait, lambda: cloister.inbox.get(timeout=0.05),\n"
      "            lambda: cloister.inbox.get(False), lambda: cloister.inbox.get(timeout=0)):\n"
      "    start = time.monotonic()\n"
      "    try: get()\n"
      "    except queue.Empty: print('empty', 0.04 < time.monotonic() - start)\n",
      "empty False\nempty True\nempty False\nempty False\n");
  Raised(Execute("cloister.inbox.get(timeout='1')"), "TypeError");
  Raised(Execute("cloister.inbox.get(timeout=1, wait=2)"), "TypeError");
  Raised(Execute("cloister.inbox.get(True, 1, 2)"), "TypeError");
}

TEST_F(InboxTest, IsInterrupted) {
  host();
  session().on_output = [this](const std::string&) { session().Interrupt(); };
  Raised(
      Execute(
          "import cloister\ncloister.inbox.empty()\nprint('on', flush=True)\ncloister.inbox.get()"),
      "KeyboardInterrupt");
  host().Send(CloneOf("still"));
  ExpectPrints("print(cloister.inbox.get())", "still\n");
}

TEST_F(InboxTest, PutsLongMessagesTogether) {
  ExpectPrints("import cloister\ncloister.inbox.empty()", "");
  for (const size_t bytes : {kMaxInlineBytes, kMaxInlineBytes + 1, size_t{3} << 20}) {
    session().on_output = [this, bytes](const std::string&) { host().Send(CloneOfBytes(bytes)); };
    ExpectPrints("print('on', flush=True)\nprint(cloister.inbox.get() == b'x' * " +
                     std::to_string(bytes) + ")",
                 "on\nTrue\n");
  }
}

TEST_F(InboxTest, LetsOthersInBetweenThePartsOfALongMessage) {
  ExpectPrints("import cloister\ncloister.inbox.empty()", "");
  const std::string clone = CloneOfBytes(kMaxInlineBytes + 100);
  InboxPacketHeader header;
  header.clone_bytes = clone.size();
  header.flags = InboxPacketHeader::kFromHost | InboxPacketHeader::kMore;
  host().SendPacket(header, std::string_view(clone).substr(0, kMaxInlineBytes));
  const std::string other = CloneOf("other");
  InboxPacketHeader of_other;
  of_other.clone_bytes = other.size();
  host().SendPacket(of_other, other);
  ExpectPrints("print(cloister.inbox.get())\nprint(cloister.inbox._poll())", "other\nNone\n");
  header.flags = InboxPacketHeader::kFromHost;
  host().SendPacket(header, std::string_view(clone).substr(kMaxInlineBytes));
  ExpectPrints("print(len(cloister.inbox.get()))", std::to_string(kMaxInlineBytes + 100) + "\n");
}

TEST_F(InboxTest, IsSharedByThreads) {
  ExpectPrints("import cloister\ncloister.inbox.empty()", "");
  session().on_output = [this](const std::string&) {
    for (int i = 0; i < 300; ++i) host().Send(CloneOf(std::to_string(i)));
  };
  ExpectPrints(
      "import cloister, threading\n"
      "found = []\n"
      "def receive():\n"
      "    for _ in range(100): found.append(cloister.inbox.get())\n"
      "threads = [threading.Thread(target=receive) for _ in range(3)]\n"
      "for thread in threads: thread.start()\n"
      "print('on', flush=True)\n"
      "for thread in threads: thread.join()\n"
      "print(sorted(map(int, found)) == list(range(300)))",
      "on\nTrue\n");
}

TEST_F(InboxTest, IsAwaited) {
  session().on_output = [this](const std::string&) {
    for (const char* text : {"a", "b", "c", "d"}) host().Send(CloneOf(text));
  };
  ExpectPrints(
      "import asyncio, cloister\n"
      "print('on', flush=True)\n"
      "async def first(): return await cloister.inbox.get_async()\n"
      "print(sorted(await asyncio.gather(first(), first())))\n"
      "async for message in cloister.inbox:\n"
      "    print(message)\n"
      "    if message == 'd': break\n"
      "try: await asyncio.wait_for(cloister.inbox.get_async(), 0.05)\n"
      "except TimeoutError: print('time')",
      "on\n['a', 'b']\nc\nd\ntime\n");
}

TEST_F(InboxTest, CallsAFunctionBetweenCells) {
  ExpectPrints(
      "import cloister\n"
      "seen = []\n"
      "def on_message(value):\n"
      "    if value == 'bad': raise ValueError('of the handler')\n"
      "    cloister.post(value + '!')\n"
      "cloister.on_message(on_message)",
      "");
  host().Send(CloneOf("one"));
  host().Send(CloneOf("bad"));
  host().Send(CloneOf("two"));
  std::string late;
  // Tasks run while the session waits for what it is asked next.
  session().Await([&](const SessionAnswer& seen) {
    for (const auto& frame : seen.unasked) late += frame.late_output().stderr();
    return late.find("of the handler") != std::string::npos;
  });
  EXPECT_THAT(late, HasSubstr("ValueError: of the handler"));
  EXPECT_EQ(ValueOfClone(host().NextPost()).string_value(), "one!");
  EXPECT_EQ(ValueOfClone(host().NextPost()).string_value(), "two!");
  ExpectPrints(
      "async def later(value): cloister.post('async ' + value)\n"
      "cloister.on_message(later)",
      "");
  host().Send(CloneOf("three"));
  EXPECT_EQ(ValueOfClone(host().NextPost()).string_value(), "async three");
  ExpectPrints("cloister.on_message(None)", "");
  host().Send(CloneOf("four"));
  ExpectPrints("print(cloister.inbox.get())", "four\n");
  Raised(Execute("cloister.on_message(1)"), "TypeError");
}

TEST_F(InboxTest, ChangesTheFunctionWithinIt) {
  ExpectPrints(
      "import cloister\n"
      "def second(value): cloister.post('second ' + value)\n"
      "def first(value):\n"
      "    cloister.on_message(None)\n"
      "    cloister.on_message(second)\n"
      "cloister.on_message(first)",
      "");
  host().Send(CloneOf("one"));
  host().Send(CloneOf("two"));
  EXPECT_EQ(ValueOfClone(host().NextPost()).string_value(), "second two");
}

TEST_F(InboxTest, ListensNoMoreAtItsEnd) {
  ExpectPrints(
      "import cloister\n"
      "cloister.on_message(print)",
      "");
  shutdown(host().inbox(), SHUT_WR);
  std::string late;
  session().Await([&](const SessionAnswer& seen) {
    for (const auto& frame : seen.unasked) late += frame.late_output().stderr();
    return late.find("ChannelClosed") != std::string::npos;
  });
  ExpectPrints(
      "import asyncio, time\n"
      "start = time.process_time()\n"
      "await asyncio.sleep(0.3)\n"
      "print(time.process_time() - start < 0.1)",
      "True\n");
}

TEST_F(InboxTest, KeepsToTheTimeWhenItIsOpened) {
  host().HoldAnswers(true);
  ExpectPrints(
      "import cloister, queue, signal, time\n"
      "for get in (lambda: cloister.inbox.get(timeout=0.1), cloister.inbox.get_nowait):\n"
      "    start = time.monotonic()\n"
      "    try: get()\n"
      "    except queue.Empty: print('empty', time.monotonic() - start < 3)\n"
      "print(cloister.inbox.empty())\n"
      "def handle(*_):\n"
      "    try: cloister.inbox.get()\n"
      "    except RuntimeError as exc: print(exc)\n"
      "signal.signal(signal.SIGALRM, handle)\n"
      "signal.setitimer(signal.ITIMER_REAL, 0.1)\n"
      "try: cloister.inbox.get(timeout=0.3)\n"
      "except queue.Empty: print('empty')",
      "empty True\nempty True\nTrue\nthe first use of the inbox is under way in this thread, and "
      "this came in the midst of it\nempty\n");
  host().HoldAnswers(false);
  host().Send(CloneOf("text"));
  ExpectPrints("print(cloister.inbox.get(timeout=10))", "text\n");
}

TEST_F(InboxTest, IsOpenedWhereDescriptorsHadRunOut) {
  ExpectPrints(
      "import cloister, os, resource\n"
      "cloister.post(1)\n"  // which loads and opens all else
      "limits = resource.getrlimit(resource.RLIMIT_NOFILE)\n"
      "resource.setrlimit(resource.RLIMIT_NOFILE, (64, limits[1]))\n"
      "files = []\n"
      "try:\n"
      "    while True: files.append(os.open('/dev/null', os.O_RDONLY))\n"
      "except OSError: pass\n"
      "os.close(files.pop())\n"  // for the connection; none for the inbox
      "try: cloister.inbox.empty()\n"
      "except OSError as exc: print(exc.strerror)\n"
      "for file in files: os.close(file)\n"
      "resource.setrlimit(resource.RLIMIT_NOFILE, limits)\n"
      "print(cloister.inbox.empty())",
      "Too many open files\nTrue\n");
}

// ---- to the client ------------------------------------------------------------------------------

TEST_F(InboxTest, PostsToTheClient) {
  ExpectPrints("import cloister\nfor i in range(10): cloister.post(i)", "");
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(ValueOfClone(host().NextPost()).int_value(), i);
  }
}

TEST_F(InboxTest, RefusesToPostWhatIsNoMessage) {
  host();
  EXPECT_THAT(
      Raised(Execute("import cloister\ncloister.post([1, open('/dev/null')])"), "DataCloneError")
          .message(),
      HasSubstr("$[1]: _io.TextIOWrapper cannot be cloned"));
  EXPECT_THAT(Raised(Execute("cloister.post(list(range(30_000)))"), "DataCloneError").message(),
              HasSubstr("20000"));
  Raised(Execute("cloister.post(1, to=5)"), "TypeError");
  EXPECT_THAT(Raised(Execute("cloister.post(1, transfer=[2])"), "ValueError").message(),
              HasSubstr("client"));
}

TEST_F(InboxTest, WaitsForAClientThatDoesNotRead) {
  host().ReadPosts(false);
  ExpectPrints(
      "import cloister\n"
      "count = 0\n"
      "try:\n"
      "    while True:\n"
      "        cloister.post(b'x' * 100_000, timeout=0.05)\n"
      "        count += 1\n"
      "except TimeoutError: print(0 < count < 50)\n",
      "True\n");
  session().on_output = [this](const std::string&) { session().Interrupt(); };
  Raised(Execute("print('on', flush=True)\ncloister.post(b'x' * 10_000_000)"), "KeyboardInterrupt");
  host().ReadPosts(true);
  // What was cut off is not there, what follows is.
  ExpectPrints("cloister.post('end')", "");
  std::string post;
  do {
    post = host().NextPost();
    if (post.size() > 1000) EXPECT_EQ(ValueOfClone(post).bytes_value().size(), 100'000U);
  } while (post.size() > 1000);
  EXPECT_EQ(ValueOfClone(post).string_value(), "end");
}

TEST_F(InboxTest, APostInTheMidstOfAPostIsRefused) {
  host().ReadPosts(false);
  ExpectPrints(
      "import cloister, signal\n"
      "def handle(*_):\n"
      "    try: cloister.post('from the handler')\n"
      "    except RuntimeError as exc: print(exc)\n"
      "signal.signal(signal.SIGALRM, handle)\n"
      "try:\n"
      "    while True:\n"
      "        signal.setitimer(signal.ITIMER_REAL, 0.1)\n"
      "        cloister.post(b'x' * 100_000, timeout=0.3)\n"
      "except TimeoutError: print('time')",
      "a post to the client is under way in this thread, and this came in the midst of it\ntime\n");
  host().ReadPosts(true);
}

TEST_F(InboxTest, PostsOfThreadsDoNotMix) {
  ExpectPrints(
      "import cloister, threading\n"
      "def post(text):\n"
      "    for _ in range(20): cloister.post(text * 300_000)\n"
      "threads = [threading.Thread(target=post, args=(text,)) for text in 'abc']\n"
      "for thread in threads: thread.start()\n"
      "for thread in threads: thread.join()",
      "");
  for (int i = 0; i < 60; ++i) {
    const std::string text = ValueOfClone(host().NextPost()).string_value();
    ASSERT_EQ(text.size(), 300'000U);
    EXPECT_EQ(text, std::string(300'000, text[0]));
  }
}

// ---- where there is no mailbox ------------------------------------------------------------------

TEST_F(InboxTest, NeedsALiveSandbox) {
  const GuestRun run = Run("import cloister\ncloister.post(1)");
  EXPECT_THAT(ExpectRaised(run, "RuntimeError").message(), HasSubstr("CreateSandbox"));
  ExpectRaised(Run("import cloister\ncloister.inbox.get()"), "RuntimeError");
}

TEST_F(InboxTest, IsNotThatOfAForkOfTheProgram) {
  ExpectPrints("import cloister, os\ncloister.inbox.empty()\ncloister.post('parent')", "");
  host().Send(CloneOf("for the parent"));
  ExpectPrints(
      "pid = os.fork()\n"
      "if pid == 0:\n"
      "    code = 0\n"
      "    for use in (lambda: cloister.inbox.get(timeout=1), lambda: cloister.post('child'),\n"
      "                lambda: cloister.host.f()):\n"
      "        try: use()\n"
      "        except RuntimeError as exc: code += 'forked' in str(exc)\n"
      "    os._exit(code)\n"
      "print(os.waitpid(pid, 0)[1] >> 8, cloister.inbox.get())",
      "3 for the parent\n");
  EXPECT_EQ(ValueOfClone(host().NextPost()).string_value(), "parent");
}

}  // namespace
}  // namespace cloister::sandbox
