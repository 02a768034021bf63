// What code in live sandboxes does with messages, in all profiles, against a real server: posts,
// channels, calls, executors, and copies of a sandbox that uses them.

#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "tests/integration/fork_test_base.h"
#include "tests/support/hostile_ports.h"

namespace cloister::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class MessagesTest : public ForkTest {
 protected:
  void SetUp() override {
    v1::CreateSandboxRequest request;
    request.mutable_limits()->set_memory_bytes(512 << 20);
    main_ = Create(request).name();
    ASSERT_FALSE(main_.empty());
    (void)Cell(main_, "import cloister");
  }

  // Runs code that prints, and returns that; the traceback where it raised.
  std::string Output(const std::string& interpreter, const std::string& code) {
    const v1::RunCodeResponse response = Cell(interpreter, code);
    const v1::Exception& exception = response.outcome().exception();
    return exception.type().empty() ? response.stdout() : exception.traceback();
  }

  std::string main_;
};

class MessagesBetweenTest : public MessagesTest,
                            public ::testing::WithParamInterface<const char*> {};

// What the other interpreter runs: it sends everything back.
constexpr char kEcho[] =
    "def echo():\n"
    "    import cloister\n"
    "    receiver, sender = cloister.inbox.get(timeout=10)\n"
    "    for value in receiver: sender.put(value)\n"
    "    return 'done'\n";

TEST_P(MessagesBetweenTest, Interpreters) {
  EXPECT_EQ(
      Output(main_,
             absl::StrCat(kEcho, "other = cloister.spawn_interpreter(profile='", GetParam(),
                          "')\n"
                          "there, back = cloister.Channel(), cloister.Channel(3)\n"
                          "other.post((there.receiver, back.sender))\n"
                          "running = other.start_call(echo)\n"
                          "values = [1, 'two', {3: [4.0]}, b'5' * 5_000_000, {6}, back.sender]\n"
                          "for value in values[:-1]:\n"
                          "    there.put(value)\n"
                          "    assert back.get(timeout=10) == value\n"
                          "there.put(values[-1])\n"
                          "print(back.get(timeout=10))\n"
                          "there.close()\n"
                          "print(running.result(10))\n")),
      "<cloister.Sender maxsize=3>\ndone\n");
}

TEST_P(MessagesBetweenTest, EndsAreNoticed) {
  EXPECT_EQ(
      Output(main_,
             absl::StrCat("other = cloister.spawn_interpreter(profile='", GetParam(),
                          "')\n"
                          "channel = cloister.Channel()\n"
                          "sender, receiver = channel.sender, channel.receiver\n"
                          "channel.close()\n"
                          "def hold():\n"
                          "    import cloister\n"
                          "    global held\n"
                          "    held = cloister.inbox.get(timeout=10)\n"
                          "other.post(sender, transfer=[sender])\n"
                          "other.call(hold)\n"
                          "import threading\n"
                          "threading.Timer(0.2, other.close).start()\n"
                          "try: receiver.get(timeout=10)\n"
                          "except cloister.ChannelClosed as exc: print(exc)\n"
                          "try: other.post(1)\n"
                          "except (cloister.ChannelClosed, LookupError) as exc: print('gone')\n"
                          "try: other.call('math:sqrt', 4)\n"
                          "except (cloister.ChannelClosed, LookupError) as exc: print('gone')\n")),
      "nothing more will come: the other end is closed\ngone\ngone\n");
}

TEST_P(MessagesBetweenTest, CallsRaiseAndTimeOut) {
  EXPECT_EQ(
      Output(main_,
             absl::StrCat(
                 "with cloister.spawn_interpreter(profile='", GetParam(),
                 "') as other:\n"
                 "    print(other.call('math:sqrt', 9), len(other.call('list', range(50_000))))\n"
                 "    try: other.call('json:loads', '{')\n"
                 "    except cloister.RemoteError as exc: print(exc.type_name)\n"
                 "    try: other.call('time:sleep', 20, timeout=0.2)\n"
                 "    except TimeoutError: print('time')\n"
                 "    print(other.call('math:sqrt', 16))\n"
                 "    try: other.call('os:_exit', 1)\n"
                 "    except Exception as exc: print('lost' if isinstance(exc, "
                 "(cloister.ChannelClosed, RuntimeError)) else repr(exc))\n")),
      "3.0 50000\nJSONDecodeError\ntime\n4.0\nlost\n");
}

TEST_P(MessagesBetweenTest, Executors) {
  EXPECT_EQ(
      Output(main_, absl::StrCat("def square(x): return x * x\n"
                                 "with cloister.InterpreterPoolExecutor(2, profile='",
                                 GetParam(),
                                 "') as pool:\n"
                                 "    print(list(pool.map(square, range(50), chunksize=3))[-1])\n"
                                 "    print(pool.submit(pow, 2, 10).result(10), "
                                 "len(pool.submit(bytes, 3_000_000).result(10)))\n"
                                 "    print(repr(pool.submit(int, 'x').exception(10))[:10])\n")),
      "2401\n1024 3000000\nValueError\n");
}

TEST_P(MessagesBetweenTest, EndsThatAreNoneAreRefused) {
  EXPECT_EQ(
      Output(main_, absl::StrCat(kHostilePorts, "\nwith cloister.spawn_interpreter(profile='",
                                 GetParam(), "') as other: print(other.call(attack_ports))\n")),
      "\n");
}

INSTANTIATE_TEST_SUITE_P(Profiles, MessagesBetweenTest,
                         ::testing::Values("process", "isolated", "shared_gil"),
                         [](const auto& info) { return std::string(info.param); });

// ---- copies -------------------------------------------------------------------------------------

TEST_F(MessagesTest, OpenChannelsHinderACopyAndTheMailboxDoesNot) {
  EXPECT_EQ(Output(main_, "channel = cloister.Channel(2)\nprint(cloister.inbox.empty())"),
            "True\n");
  v1::ForkSandboxRequest request;
  request.set_name(main_);
  std::vector<std::string> names;
  const grpc::Status refused = TryFork(request, &names);
  EXPECT_EQ(Reason(refused), "FORK_REFUSED");
  EXPECT_THAT(refused.error_message(), HasSubstr("cloister.Channel"));
  EXPECT_THAT(refused.error_message(), ::testing::Not(HasSubstr("descriptor")));
  EXPECT_EQ(
      Output(main_,
             "cloister.post('posted', to='main')\nchannel.close()\nprint(cloister.inbox.empty())"),
      "False\n");
  const std::string copy = Fork(main_)[0];
  // What waits in the parent's inbox is the parent's.
  EXPECT_EQ(Output(copy,
                   "print(cloister.inbox.empty())\n"
                   "cloister.post('of the copy', to='main')\n"
                   "print(cloister.inbox.get(timeout=10))"),
            "True\nof the copy\n");
  EXPECT_EQ(Output(main_, "print(cloister.inbox.get(timeout=10), cloister.inbox.empty())"),
            "posted True\n");
}

TEST_F(MessagesTest, ACopyListensAsItsParentDid) {
  EXPECT_EQ(Output(main_,
                   "seen = []\n"
                   "cloister.on_message(seen.append)\n"
                   "cloister.post('first', to='main')\n"
                   "import asyncio\n"
                   "while not seen: await asyncio.sleep(0.01)\n"
                   "print(seen)"),
            "['first']\n");
  const std::string copy = Fork(main_)[0];
  for (const std::string& each : {copy, main_}) {
    EXPECT_EQ(Output(each,
                     "cloister.post('second', to='main')\n"
                     "while len(seen) < 2: await asyncio.sleep(0.01)\n"
                     "print(seen)"),
              "['first', 'second']\n");
  }
}

TEST_F(MessagesTest, EndsThatAreNoneAreRefusedInMain) {
  EXPECT_EQ(Output(main_, absl::StrCat(kHostilePorts, "\nprint(attack_ports())\n")), "\n");
}

TEST_F(MessagesTest, AKilledProcessLetsGoOfAllItsEnds) {
  EXPECT_EQ(
      Output(
          main_,
          "def hold():\n"
          "    import cloister, os\n"
          "    global held\n"
          "    held = cloister.inbox.get(timeout=10)\n"
          "    return os.getpid()\n"
          "def fill(): held[0].put('last')\n"
          "other = cloister.spawn_interpreter(profile='process')\n"
          "there, back, bounded = cloister.Channel(), cloister.Channel(), cloister.Channel(1)\n"
          "ends = (back.sender, there.receiver, bounded.receiver)\n"
          "other.post(ends, transfer=ends)\n"
          "pid = other.call(hold)\n"
          "other.call(fill)\n"
          "bounded.put(1)\n"
          "receiving, sending, waiting = back.receiver, there.sender, bounded.sender\n"
          "for one in (there, back, bounded): one.close()\n"
          "import os, signal, threading\n"
          "calls = []\n"
          "def put():\n"  // one of its ends is closed after the other
          "    while True: sending.put(1, timeout=10)\n"
          "def kill(): calls.append(other.start_call('os:kill', pid, signal.SIGKILL))\n"
          "threading.Timer(0.3, kill).start()\n"
          "print(receiving.get(timeout=10))\n"
          // Which waits for a credit that nobody gives any more.
          "for use in (lambda: waiting.put(2, timeout=10), lambda: receiving.get(timeout=10),\n"
          "            put, lambda: other.call(hold)):\n"
          "    try: use()\n"
          "    except (cloister.ChannelClosed, LookupError, RuntimeError) as exc: print('gone')\n"
          "for one in (receiving, sending, waiting): one.close()\n"
          "calls[0].exception(10)"),
      "last\ngone\ngone\ngone\ngone\n");
  EXPECT_EQ(Output(main_, "print(cloister.inbox.empty())"), "True\n");
}

TEST_F(MessagesTest, FreshSandboxesHaveNone) {
  EXPECT_THAT(RunText("import cloister\ncloister.post(1)").outcome().exception().message(),
              HasSubstr("CreateSandbox"));
}

TEST_F(MessagesTest, AreInterrupted) {
  for (const char* code : {"cloister.inbox.get()", "cloister.Channel().get()",
                           "while True: cloister.post(b'x' * 100_000)"}) {
    RunningCell cell(server_->executions(), main_, absl::StrCat("print('on', flush=True)\n", code));
    cell.AwaitOutput("on");
    (void)Interrupt(main_);
    EXPECT_EQ(cell.AwaitEnd().kind(), v1::Outcome::KIND_INTERRUPTED) << code;
  }
  EXPECT_EQ(Output(main_, "print(1)"), "1\n");
}

}  // namespace
}  // namespace cloister::testing
