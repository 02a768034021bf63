// Calls of the client's functions, and of functions in other interpreters, as the interpreter asks
// its host for them.

#include "tests/unit/sandbox_guest/messages_test.h"

namespace cloister::sandbox {
namespace {

using internal::v1::MailboxFailure;
using internal::v1::MailboxReply;
using internal::v1::MailboxRequest;
using testing::HasSubstr;

MailboxReply ReplyWith(const v1::Value& value) {
  MailboxReply reply;
  reply.set_value(CloneFromValue(value, {}).value_or(""));
  return reply;
}

MailboxReply Failure(MailboxFailure::Reason reason, const std::string& message) {
  MailboxReply reply;
  reply.mutable_failure()->set_reason(reason);
  reply.mutable_failure()->set_message(message);
  return reply;
}

// The only argument, or what stands for it.
v1::Value Argument(const std::string& arguments) {
  absl::StatusOr<v1::Value> value = ValueFromClone(arguments, kResultCloneLimits);
  EXPECT_TRUE(value.ok()) << value.status();
  return value.ok() && value->tuple_value().items_size() > 0 ? value->tuple_value().items(0)
                                                             : v1::Value();
}

class CallTest : public MessageTest {
 protected:
  void SetUp() override {
    host().answer = [this](const MailboxRequest& request) -> MailboxHost::Reply {
      const std::string& name = request.call_host().function();
      if (name == "echo") return ReplyWith(Argument(request.call_host().arguments()));
      if (name == "unknown") return Failure(MailboxFailure::REASON_NOT_FOUND, "no such function");
      if (name == "gone") return Failure(MailboxFailure::REASON_CLOSED, "the client is gone");
      if (name == "many") return Failure(MailboxFailure::REASON_TOO_MANY, "too many");
      if (name == "wrong") return Failure(MailboxFailure::REASON_REFUSED, "not so");
      if (name == "late") return Failure(MailboxFailure::REASON_ENDED, "did not answer");
      if (name == "interrupt") session().Interrupt();
      if (name == "text") {
        MailboxReply reply;
        reply.set_exception(CloneOf("no exception"));
        return reply;
      }
      if (name == "broken") {
        MailboxReply reply;
        reply.set_value("no clone");
        return reply;
      }
      return std::nullopt;
    };
  }
};

TEST_F(CallTest, CallsTheClient) {
  ExpectPrints(
      "import cloister\n"
      "print(cloister.host.echo([1, 'two']), cloister.host.echo(b'x' * 1_000_000)[:3], "
      "cloister.host)\n"
      "started = cloister.host.echo.start(5)\n"
      "print(started.result(), started.result(), started.done(), started.exception(), "
      "started.cancel())",
      "[1, 'two'] b'xxx' <cloister.host>\n5 5 True None False\n");
  ExpectPrints("print(await cloister.host.echo.start('awaited'))", "awaited\n");
  ExpectPrints(
      "import asyncio\n"
      "for takes_first in (False, True):\n"
      "    started = cloister.host.echo.start(7)\n"
      "    async def wait(): return await started\n"
      "    tasks = [asyncio.create_task(wait()) for _ in range(3)]\n"
      "    if takes_first:\n"
      "        await asyncio.sleep(0)\n"
      "        started.result()\n"
      "    print(await asyncio.wait_for(asyncio.gather(*tasks), 10))",
      "[7, 7, 7]\n[7, 7, 7]\n");
}

TEST_F(CallTest, RaisesWhatHappened) {
  const std::pair<const char*, const char*> expected[] = {
      {"unknown", "LookupError"},  {"gone", "ChannelClosed"}, {"many", "OverflowError"},
      {"wrong", "ValueError"},     {"late", "RuntimeError"},  {"text", "RuntimeError"},
      {"broken", "DataCloneError"}};
  for (const auto& [name, type] : expected) {
    Raised(Execute(std::string("import cloister\ncloister.host.") + name + "()"), type);
    ExpectPrints(std::string("started = cloister.host.") + name +
                     ".start()\nfor _ in range(2): print(type(started.exception()).__name__)",
                 std::string(type) + "\n" + type + "\n");
  }
  EXPECT_THAT(Raised(Execute("cloister.host.echo(open('/dev/null'))"), "DataCloneError").message(),
              HasSubstr("$[0]"));
}

TEST_F(CallTest, IsCancelled) {
  ExpectPrints(
      "import cloister\n"
      "from concurrent.futures import CancelledError\n"
      "started = cloister.host.wait.start()\n"
      "print(started.done(), started)\n"
      "try: started.result(0.05)\n"
      "except TimeoutError: print('time')\n"
      "print(started.cancel(), started.cancelled(), started.done())\n"
      "try: started.result()\n"
      "except CancelledError: print('cancelled')\n",
      "False <cloister call under way>\ntime\nTrue True True\ncancelled\n");
  host().AwaitCancelled(1);
  Raised(Execute("cloister.host.interrupt()"), "KeyboardInterrupt");
  host().AwaitCancelled(2);
  Raised(Execute("await cloister.host.interrupt.start()"), "KeyboardInterrupt");
  host().AwaitCancelled(3);
}

TEST_F(CallTest, IsDoneWhenAllOfItsResultIsThere) {
  host().HoldAnswers(true);
  session().on_output = [this](const std::string&) { host().HoldAnswers(false); };
  ExpectPrints(
      "import asyncio, cloister, select\n"
      "started, second = [cloister.host.echo.start(b'x' * 3_000_000) for _ in range(2)]\n"
      "select.select([started], [], [])\n"
      "beats = 0\n"
      "async def beat():\n"
      "    global beats\n"
      "    while True: beats += await asyncio.sleep(0.01, 1)\n"
      "beating = asyncio.create_task(beat())\n"
      "asyncio.get_running_loop().call_later(0.2, lambda: print('on', flush=True))\n"
      "was_done = started.done()\n"
      "print(was_done, len(await started), beats > 5, started.done())\n"
      "while not second.done(): await asyncio.sleep(0.01)\n"
      "print(second.cancel(), second.cancelled(), len(second.result()))\n"
      "beating.cancel()",
      "on\nFalse 3000000 True True\nFalse False 3000000\n");
}

TEST_F(CallTest, AWaitInTheMidstOfItselfIsRefused) {
  host().HoldAnswers(true);
  session().on_output = [this](const std::string&) { host().HoldAnswers(false); };
  ExpectPrints(
      "import cloister, signal\n"
      "started = cloister.host.echo.start(1)\n"
      "def handle(*_):\n"
      "    try: started.result()\n"
      "    except RuntimeError as exc: print(exc, flush=True)\n"
      "signal.signal(signal.SIGALRM, handle)\n"
      "signal.setitimer(signal.ITIMER_REAL, 0.1)\n"
      "print(started.result())",
      "a wait for this call is under way in this thread, and this came in the midst of it\n1\n");
}

TEST_F(CallTest, CallsOtherInterpreters) {
  MailboxRequest seen;
  host().answer = [&](const MailboxRequest& request) -> MailboxHost::Reply {
    seen = request;
    MailboxReply reply;
    if (request.has_spawn_interpreter()) reply.set_interpreter("w1");
    if (request.has_end_spawned()) reply.mutable_done();
    // What the interpreter there makes of the call, which is of the same sandbox: so this one shows
    // it.
    if (request.has_call_interpreter())
      return ReplyWith(Argument(request.call_interpreter().arguments()));
    return reply;
  };
  ExpectPrints(
      "import cloister\n"
      "worker = cloister.spawn_interpreter('w1', profile='isolated', imports=['json'], "
      "memory_limit_bytes=1 << 25)\n"
      "print(worker, worker.name)",
      "<cloister.Interpreter w1> w1\n");
  EXPECT_EQ(seen.spawn_interpreter().interpreter_id(), "w1");
  EXPECT_EQ(seen.spawn_interpreter().profile(), "isolated");
  EXPECT_EQ(seen.spawn_interpreter().imports(0), "json");
  EXPECT_EQ(seen.spawn_interpreter().memory_limit_bytes(), 1 << 25);
  Execute("worker.call('json:dumps', [1])");
  EXPECT_EQ(seen.call_interpreter().interpreter(), "w1");
  EXPECT_EQ(seen.call_interpreter().name(), "cloister:_invoke");
  ExpectPrints("with worker: pass", "");
  EXPECT_EQ(seen.end_spawned().interpreter(), "w1");
}

TEST_F(CallTest, RunsWhatOthersCall) {
  ExpectPrints(
      "import cloister, json\n"
      "def twice(x): return 2 * x\n"
      "from cloister import _invoke, clone\n"
      "import sys\n"
      "calls = {}\n"
      "describe = _invoke.__globals__['describe_function']\n"
      "encode, unpack = _invoke.__globals__['encode_clone'], _invoke.__globals__['_unpack']\n"
      "def run(function, *args, **kwargs): return unpack(_invoke(*describe(function), "
      "encode((args, kwargs))))\n"
      "print(run(twice, 4), run(json.dumps, {'a': 1}, indent=None), run('twice', 'x'), "
      "run('math:sqrt', 9))\n"
      "print(describe(twice))\n"
      "class Odd(Exception): pass\n"
      "def fail(): raise Odd(1, 'two')\n"
      "try: run('fail')\n"
      "except Odd as exc: print(exc.args, type(exc.__cause__), 'in fail' in str(exc.__cause__), "
      "'_invoke' in str(exc.__cause__))\n"
      "def chain():\n"
      "    try: fail()\n"
      "    except Odd as exc: raise ValueError(3) from exc\n"
      "try: run('chain')\n"
      "except ValueError as exc: print(repr(exc.__cause__), 'in chain' in "
      "str(exc.__cause__.__cause__))\n"
      "try: run('object')\n"
      "except cloister.DataCloneError as exc: print(exc)\n"
      "async def later(x): return x + 1\n"
      "print(unpack(await _invoke('later', None, encode(((1,), {})))))\n"
      "for bad in (lambda: 1, 5, [].append, 'nowhere', 'json:nothing', type('X', (), {})):\n"
      "    try: run(bad)\n"
      "    except Exception as exc: print(type(exc).__name__)\n",
      "8 {\"a\": 1} xx 3.0\n(None, 'def twice(x): return 2 * x\\n')\n(1, 'two') "
      "<class 'cloister.RemoteTraceback'> True False\nOdd(1, 'two') True\n"
      "$[0]: object cannot be cloned\n2\n"
      "TypeError\nTypeError\nTypeError\nNameError\nAttributeError\nTypeError\n");
}

}  // namespace
}  // namespace cloister::sandbox
