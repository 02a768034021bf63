// Interpreters that call one another, and the executor that is made of them.

#include <unistd.h>

#include "tests/unit/sandbox_guest/interpreters_test.h"
#include "tests/unit/sandbox_guest/pretended_sandbox.h"

namespace cloister::sandbox {
namespace {

class PoolTest : public FurtherInterpreterTest {
 protected:
  void SetUp() override {
    FurtherInterpreterTest::SetUp();
    if (IsSkipped()) return;
    sandbox_ = std::make_unique<PretendedSandbox>(&process());
    first_ = &sandbox_->Add("first");
  }
  void TearDown() override { sandbox_.reset(); }

  void ExpectPrints(const std::string& code, const std::string& output) {
    const SessionAnswer answer = first_->Execute(code);
    EXPECT_EQ(answer.finished().kind(), internal::v1::Finished::KIND_SUCCEEDED)
        << answer.finished().exception().traceback();
    EXPECT_EQ(answer.output, output) << answer.error;
  }

  std::unique_ptr<PretendedSandbox> sandbox_;
  GuestInterpreter* first_ = nullptr;
};

TEST_F(PoolTest, InterpretersCallOneAnother) {
  ExpectPrints(
      "import cloister\n"
      "class Odd(Exception): pass\n"
      "def twice(x): return 2 * x\n"
      "def fail(): return {}['missing']\n"
      "with cloister.spawn_interpreter() as other:\n"
      "    print(other.call(twice, 21), cloister.call(other.name, 'math:sqrt', 16))\n"
      "    print(other.call('json:dumps', [1], indent=None))\n"
      "    print(len(other.call(bytes, 5_000_000)), len(other.call('list', range(100_000))))\n"
      "    try: other.call(fail)\n"
      "    except KeyError as exc: print(repr(exc))\n"
      "    try: other.call('nowhere')\n"
      "    except NameError as exc: print(exc)\n"
      "    try: other.call('time:sleep', 5, timeout=0.1)\n"
      "    except TimeoutError: print('time')\n"
      "try: other.call(twice, 1)\n"
      "except LookupError: print('gone')\n"
      "other.close()",
      "42 4.0\n[1]\n5000000 100000\nKeyError('missing')\n"
      "name 'nowhere' is not defined; what is imported is called as 'module:name'\ntime\ngone\n");
}

TEST_F(PoolTest, RunsFunctionsInWorkers) {
  ExpectPrints(
      "import cloister, os, threading, time\n"
      "def square(x): return x * x\n"
      "def who(): import _thread; return _thread.get_ident()\n"
      "def nap(seconds): import time; time.sleep(seconds); return seconds\n"
      "def fail(*args): raise ValueError(*args)\n"
      "with cloister.InterpreterPoolExecutor(2) as pool:\n"
      "    print(pool.submit(square, 7).result())\n"
      "    print(list(pool.map(square, range(100))) == [x * x for x in range(100)])\n"
      "    print(list(pool.map(square, range(100), chunksize=7)) == [x * x for x in range(100)])\n"
      "    print(list(pool.map(pow, [2, 3], [4, 5])), list(pool.map(square, [])))\n"
      "    start = time.monotonic()\n"
      "    print([f.result() for f in [pool.submit(nap, 0.3), pool.submit(nap, 0.3)]], "
      "time.monotonic() - start < 0.55)\n"
      "    exc = pool.submit(fail, 1, 'two').exception()\n"
      "    print(repr(exc), 'in fail' in str(exc.__cause__), '_run' in str(exc.__cause__))\n"
      "    print(len({pool.submit(who).result() for _ in range(20)}) <= 2)\n"
      "    for bad in (lambda: 1, [].append):\n"
      "        print(type(pool.submit(bad).exception()).__name__)\n"
      "    print(type(pool.submit(square, open('/dev/null')).exception()).__name__)\n"
      "    print(type(pool.submit('builtins:object').exception()).__name__)\n"
      "    print(pool.submit(square, 3).result())\n"
      "try: pool.submit(square, 1)\n"
      "except RuntimeError as exc: print(exc)\n"
      "print(threading.active_count())",
      "49\nTrue\nTrue\n[16, 243] []\n[0.3, 0.3] True\nValueError(1, 'two') True False\nTrue\n"
      "TypeError\nTypeError\nDataCloneError\nDataCloneError\n9\n"
      "cannot schedule new futures after shutdown\n1\n");
  EXPECT_EQ(sandbox_->made(), 3);
  EXPECT_EQ(sandbox_->ended(), 2);
}

TEST_F(PoolTest, InitializesWorkers) {
  ExpectPrints(
      "import cloister\n"
      "def prepare(value):\n"
      "    global prepared\n"
      "    prepared = value\n"
      "def get(): return prepared\n"
      "with cloister.InterpreterPoolExecutor(1, prepare, ('yes',)) as pool:\n"
      "    print(pool.submit(get).result())\n"
      "def fail(): raise ValueError('in the initializer')\n"
      "with cloister.InterpreterPoolExecutor(1, fail) as pool:\n"
      "    exc = pool.submit(get).exception()\n"
      "    print(type(exc).__name__, repr(exc.__cause__))\n"
      "    try: pool.submit(get)\n"
      "    except cloister.BrokenInterpreterPool as exc: print(exc)",
      "yes\nBrokenInterpreterPool ValueError('in the initializer')\n"
      "a worker of the executor has ended\n");
}

TEST_F(PoolTest, CancelsWhatWaits) {
  ExpectPrints(
      "import cloister\n"
      "def nap(): import time; time.sleep(0.3); return 'slept'\n"
      "pool = cloister.InterpreterPoolExecutor(1)\n"
      "first, second, third = (pool.submit(nap) for _ in range(3))\n"
      "print(second.cancel(), second.cancelled(), first.cancel())\n"
      "pool.shutdown(wait=True, cancel_futures=True)\n"
      "print(first.result(), third.cancelled())\n"
      "pool = cloister.InterpreterPoolExecutor(1)\n"
      "last = pool.submit(nap)\n"
      "pool.shutdown(wait=False)\n"
      "print(last.result())\n"
      "cloister.InterpreterPoolExecutor(1).shutdown()",
      "True True False\nslept True\nslept\n");
}

TEST_F(PoolTest, CallbacksMayUseIt) {
  // Also by way of another thread, for which they wait.
  ExpectPrints(
      "import cloister, threading\n"
      "def one(): return 1\n"
      "found = []\n"
      "def elsewhere(future):\n"
      "    def submit():\n"
      "        try: found.append(pool.submit(one).result(10))\n"
      "        except Exception as exc: found.append(type(exc).__name__)\n"
      "    thread = threading.Thread(target=submit)\n"
      "    thread.start()\n"
      "    thread.join(10)\n"
      "    found.append(thread.is_alive())\n"
      "pool = cloister.InterpreterPoolExecutor(1)\n"
      "for value in (2, open('/dev/null')):\n"
      "    future = pool.submit(abs, value)\n"
      "    future.add_done_callback(elsewhere)\n"
      "    future.exception(20)\n"
      "    while len(found) < 2: pass\n"
      "    print(found)\n"
      "    found.clear()",
      "[1, False]\n[1, False]\n");
  first_->on_output = [this](const std::string&) {
    first_->on_output = nullptr;
    sandbox_->End("spawned1");
  };
  ExpectPrints(
      "def nap(): import time; time.sleep(60)\n"
      "future = pool.submit(nap)\n"
      "future.add_done_callback(elsewhere)\n"
      "print('on', flush=True)\n"
      "while len(found) < 2: pass\n"
      "print(found)\n"
      "pool.shutdown()",
      "on\n['BrokenInterpreterPool', False]\n");
}

TEST_F(PoolTest, ShutdownWaitsForWhatIsBegun) {
  sandbox_->before_spawn = [] { usleep(300'000); };
  ExpectPrints(
      "import cloister, threading, time\n"
      "def one(): return 1\n"
      "pool = cloister.InterpreterPoolExecutor(1)\n"
      "futures = []\n"
      "thread = threading.Thread(target=lambda: futures.append(pool.submit(one)))\n"
      "thread.start()\n"
      "while not pool._being_made: time.sleep(0.01)\n"
      "pool.shutdown(wait=True)\n"
      "thread.join()\n"
      "print(futures[0].done(), futures[0].result())",
      "True 1\n");
}

TEST_F(PoolTest, IsWaitedForInEveryWay) {
  ExpectPrints(
      "import asyncio, cloister, concurrent.futures, threading\n"
      "def double(x): return 2 * x\n"
      "def nap(seconds): import time; time.sleep(seconds); return seconds\n"
      "with cloister.InterpreterPoolExecutor(2) as pool:\n"
      "    futures = [pool.submit(double, i) for i in range(20)]\n"
      "    print(sorted(f.result() for f in concurrent.futures.as_completed(futures, 10)) == "
      "list(range(0, 40, 2)))\n"
      "    futures = [pool.submit(double, i) for i in range(20)]\n"
      "    print(await asyncio.gather(*map(asyncio.wrap_future, futures)) == list(range(0, 40, "
      "2)))\n"
      "    futures = [pool.submit(double, i) for i in range(200)]\n"
      "    found = []\n"
      "    threads = [threading.Thread(target=lambda i=i: found.append([f.result(20) for f in "
      "futures[i::4]])) for i in range(4)]\n"
      "    for thread in threads: thread.start()\n"
      "    for thread in threads: thread.join()\n"
      "    print(sorted(sum(found, [])) == list(range(0, 400, 2)))\n"
      "    slow = pool.submit(nap, 0.3)\n"
      "    for _ in range(2):\n"
      "        try: slow.result(0.05)\n"
      "        except TimeoutError: print('time')\n"
      "    print(slow.exception(10), slow.result(), list(pool.map(double, range(50), timeout=20)) "
      "== list(range(0, 100, 2)))\n"
      "    def keep():\n"
      "        global kept\n"
      "        import weakref\n"
      "        made = {1}\n"
      "        kept = weakref.ref(made)\n"
      "        return made\n"
      "    with cloister.InterpreterPoolExecutor(1) as one:\n"
      "        print(one.submit(keep).result(), one.submit('__main__:kept').result())",
      "True\nTrue\nTrue\ntime\ntime\nNone 0.3 True\n{1} None\n");
}

TEST_F(PoolTest, AnInterruptOfAWaitLosesNothing) {
  ExpectPrints(
      "import cloister\n"
      "def nap(seconds): import time; time.sleep(seconds); return seconds\n"
      "pool = cloister.InterpreterPoolExecutor(1)\n"
      "pool.submit(nap, 0).result()\n",
      "");
  for (int i = 0; i < 3; ++i) {
    first_->on_output = [this](const std::string&) { first_->Interrupt(); };
    EXPECT_EQ(first_
                  ->Execute("future = pool.submit(nap, 0.3)\nsecond = pool.submit(nap, 0.1)\n"
                            "print('on', flush=True)\nfuture.result()")
                  .finished()
                  .exception()
                  .type(),
              "KeyboardInterrupt");
    first_->on_output = nullptr;
    ExpectPrints("print(second.result(10), future.result(10))", "0.1 0.3\n");
  }
  ExpectPrints("pool.shutdown()", "");
}

TEST_F(PoolTest, OutlivesAnInterruptWhileAWorkerIsMade) {
  ExpectPrints(
      "import cloister\n"
      "def one(): return 1\n"
      "pool = cloister.InterpreterPoolExecutor(1)",
      "");
  sandbox_->before_spawn = [this] {
    first_->Interrupt();
    // The answer comes when nobody waits for it any more.
    usleep(300'000);
  };
  EXPECT_EQ(first_->Execute("pool.submit(one)").finished().exception().type(), "KeyboardInterrupt");
  ExpectPrints("print(pool.submit(one).result(10))\npool.shutdown()", "1\n");
}

TEST_F(PoolTest, LeavesNothingBehind) {
  ExpectPrints(
      "import cloister, os, sys\n"
      "def count(): return len(os.listdir('/proc/self/fd'))\n"
      "def run():\n"
      "    with cloister.InterpreterPoolExecutor(1) as pool:\n"
      "        print(repr(pool.submit(sys.exit, 3).exception()), pool.submit(abs, -1).result())\n"
      "run()\n"
      "before = count()\n"
      "for _ in range(3): run()\n"
      "print(count() - before)\n"
      "def data(): return 'function'\n"
      "with cloister.spawn_interpreter() as other:\n"
      "    other.call('exec', 'import __main__; __main__.data = [1]')\n"
      "    print(other.call(data), other.call('exec', 'import __main__; assert __main__.data == "
      "[1]'))",
      "SystemExit(3) 1\nSystemExit(3) 1\nSystemExit(3) 1\nSystemExit(3) 1\n0\nfunction None\n");
}

TEST_F(PoolTest, EndsWithItsObjectWhenAllIsDone) {
  ExpectPrints(
      "import cloister, gc, threading, time\n"
      "def nap(seconds): import time; time.sleep(seconds); return seconds\n"
      "pool = cloister.InterpreterPoolExecutor(1)\n"
      "futures = [pool.submit(nap, 0.05) for _ in range(3)]\n"
      "del pool\n"
      "gc.collect()\n"
      "while threading.active_count() > 1: time.sleep(0.01)\n"
      "print([future.done() and future.result() for future in futures])",
      "[0.05, 0.05, 0.05]\n");
  EXPECT_EQ(sandbox_->ended(), 1);
}

TEST_F(PoolTest, EndsTheInterpreterThatCannotBePrepared) {
  ExpectPrints(
      "import cloister\n"
      "with cloister.InterpreterPoolExecutor(1, print, (open('/dev/null'),)) as pool:\n"
      "    exc = pool.submit(abs, -1).exception()\n"
      "    print(type(exc).__name__, type(exc.__cause__).__name__)",
      "BrokenInterpreterPool DataCloneError\n");
  EXPECT_EQ(sandbox_->made(), 2);
  EXPECT_EQ(sandbox_->ended(), 1);
}

TEST_F(PoolTest, IsBrokenWhenAWorkerEnds) {
  ExpectPrints(
      "import cloister\n"
      "pool = cloister.InterpreterPoolExecutor(1)\n"
      "def one(): return 1\n"
      "print(pool.submit(one).result())",
      "1\n");
  sandbox_->End("spawned1");
  ExpectPrints(
      "try: pool.submit(one).result(10)\n"
      "except cloister.BrokenInterpreterPool as exc: print(exc.__cause__ is not None)\n"
      "pool.shutdown()",
      "True\n");
}

}  // namespace
}  // namespace cloister::sandbox
