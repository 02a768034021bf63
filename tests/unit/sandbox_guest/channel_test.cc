// Channels between threads of one interpreter, in every image's Python; between interpreters where
// there are any.

#include "tests/unit/sandbox_guest/interpreters_test.h"
#include "tests/unit/sandbox_guest/messages_test.h"

namespace cloister::sandbox {
namespace {

using testing::HasSubstr;

class ChannelTest : public MessageTest {};

TEST_F(ChannelTest, IsAQueue) {
  ExpectPrints(
      "import cloister, queue\n"
      "channel = cloister.Channel(3)\n"
      "for i in range(3): channel.put({'i': i})\n"
      "print(channel, channel.qsize(), channel.full(), channel.empty(), channel.maxsize)\n"
      "for put in (channel.put_nowait, lambda v: channel.put(v, timeout=0.02), lambda v: "
      "channel.put(v, False)):\n"
      "    try: put(3)\n"
      "    except queue.Full: print('full')\n"
      "print([channel.get()['i'] for _ in range(3)], channel.qsize(), channel.empty())\n"
      "try: channel.get_nowait()\n"
      "except queue.Empty: print('empty')\n"
      "print(cloister.create_queue(7).maxsize, cloister.Channel(-1).maxsize, "
      "cloister.Channel(maxsize=2).maxsize)\n"
      "for wait in (lambda: channel.get(timeout=-1), lambda: channel.put(1, timeout=-0.1), lambda: "
      "cloister.Channel(1 << 21)):\n"
      "    try: wait()\n"
      "    except ValueError: print('ValueError')",
      "<cloister.Channel maxsize=3> 3 True False 3\nfull\nfull\nfull\n[0, 1, 2] 0 True\nempty\n7 0 "
      "2\n"
      "ValueError\nValueError\nValueError\n");
  EXPECT_EQ(host().mailboxes_opened(), 0);
  Raised(Execute("cloister.Sender()"), "TypeError");
  Raised(Execute("cloister.Channel('x')"), "TypeError");
  EXPECT_THAT(Raised(Execute("cloister.Channel().qsize()"), "NotImplementedError").message(),
              HasSubstr("capacity"));
}

TEST_F(ChannelTest, MakesASenderWaitAndTellsIt) {
  ExpectPrints(
      "import cloister, threading, time\n"
      "for capacity in (0, 2):\n"
      "    channel = cloister.Channel(capacity)\n"
      "    def send():\n"
      "        for i in range(2000): channel.put(i)\n"
      "        channel.put('end')\n"
      "    thread = threading.Thread(target=send)\n"
      "    thread.start()\n"
      "    time.sleep(0.05)\n"
      "    print(thread.is_alive(), channel.full())\n"
      "    got = []\n"
      "    while (value := channel.get()) != 'end': got.append(value)\n"
      "    thread.join()\n"
      "    print(got == list(range(2000)))\n",
      "True True\nTrue\nTrue True\nTrue\n");
}

TEST_F(ChannelTest, EndsWhenItsEndsAreClosed) {
  ExpectPrints(
      "import cloister\n"
      "for capacity in (0, 2):\n"
      "    channel = cloister.Channel(capacity)\n"
      "    sender, receiver = channel.sender, channel.receiver\n"
      "    channel.close()\n"
      "    print(channel, sender.closed)\n"
      "    sender.put(1)\n"
      "    sender.put(2)\n"
      "    sender.close()\n"
      "    print(list(receiver))\n"
      "    for use in (receiver.get, receiver.get_nowait, lambda: sender.put(1), lambda: "
      "channel.get(),\n"
      "                lambda: channel.sender):\n"
      "        try: use()\n"
      "        except cloister.ChannelClosed: print('closed', end=' ')\n"
      "    channel = cloister.Channel(capacity)\n"
      "    sender, receiver = channel.sender, channel.receiver\n"
      "    channel.close()\n"
      "    sender.put(1)\n"
      "    receiver.close()\n"
      "    for _ in range(2):\n"
      "        try: sender.put(1)\n"
      "        except cloister.ChannelClosed: print('closed')\n",
      "<cloister.Channel closed> False\n[1, 2]\nclosed closed closed closed closed closed\nclosed\n"
      "<cloister.Channel closed> False\n[1, 2]\nclosed closed closed closed closed "
      "closed\nclosed\n");
}

TEST_F(ChannelTest, WakesWhoWaitsAtAnEndThatIsClosed) {
  ExpectPrints(
      "import cloister, threading, time\n"
      "def expect_closed(use):\n"
      "    try: use()\n"
      "    except cloister.ChannelClosed as exc: found.append(str(exc))\n"
      "def run(use, close):\n"
      "    global found\n"
      "    found = []\n"
      "    threads = [threading.Thread(target=expect_closed, args=(use,)) for _ in range(3)]\n"
      "    for thread in threads: thread.start()\n"
      "    time.sleep(0.1)\n"
      "    close()\n"
      "    for thread in threads: thread.join(10)\n"
      "    print(len(found), set(found))\n"
      "channel = cloister.Channel()\n"
      "run(channel.get, channel.close)\n"
      "channel = cloister.Channel(1)\n"
      "channel.put(0)\n"
      "run(lambda: channel.put(1), channel.close)\n"
      "channel = cloister.Channel(1)\n"
      "sender, receiver = channel.sender, channel.receiver\n"
      "channel.close()\n"
      "sender.put(0)\n"
      "run(lambda: sender.put(1), receiver.close)\n"
      "channel = cloister.Channel()\n"
      "sender, receiver = channel.sender, channel.receiver\n"
      "channel.close()\n"
      "run(lambda: receiver.get(), sender.close)\n",
      "3 {'this end is closed'}\n3 {'this end is closed'}\n"
      "3 {'nobody can receive it: the other end is closed'}\n"
      "3 {'nothing more will come: the other end is closed'}\n");
}

TEST_F(ChannelTest, TravelsInMessages) {
  ExpectPrints(
      "import cloister, os\n"
      "carrier = cloister.Channel()\n"
      "for capacity in (0, 4):\n"
      "    channel = cloister.Channel(capacity)\n"
      "    carrier.put({'whole': channel, 'ends': [channel.sender, channel.receiver], 'again': "
      "channel})\n"
      "    got = carrier.get()\n"
      "    print(got['whole'], got['again'] is got['whole'], *got['ends'])\n"
      "    got['ends'][0].put('through')\n"
      "    print(channel.get(), channel.qsize() if capacity else 0)\n"
      "    channel.put('back')\n"
      "    print(got['ends'][1].get())\n"
      "    del got\n"
      "channel = cloister.Channel()\n"
      "sender = channel.sender\n"
      "before = len(os.listdir('/proc/self/fd'))\n"
      "carrier.put(sender, transfer=[sender])\n"
      "print(sender.closed, len(os.listdir('/proc/self/fd')) - before)\n"
      "carrier.get().put('mine')\n"
      "print(channel.get())",
      "<cloister.Channel maxsize=0> True <cloister.Sender maxsize=0> <cloister.Receiver "
      "maxsize=0>\n"
      "through 0\nback\n"
      "<cloister.Channel maxsize=4> True <cloister.Sender maxsize=4> <cloister.Receiver "
      "maxsize=4>\n"
      "through 0\nback\nTrue -1\nmine\n");
}

TEST_F(ChannelTest, RefusesWhatCannotBeSentAndTakesNothing) {
  ExpectPrints(
      "import cloister, queue\n"
      "carrier, channel = cloister.Channel(1), cloister.Channel()\n"
      "sender = channel.sender\n"
      "def refuse(*errors, **options):\n"
      "    def put(value):\n"
      "        try: carrier.put(value, **options)\n"
      "        except errors as exc: print(type(exc).__name__, exc, carrier.qsize(), "
      "sender.closed)\n"
      "    return put\n"
      "refuse(cloister.DataCloneError)([1, {'a': object()}])\n"
      "refuse(cloister.DataCloneError, transfer=[sender])([sender, object()])\n"
      "refuse(ValueError, transfer=[sender])('without it')\n"
      "refuse(ValueError, transfer=[sender, sender])(sender)\n"
      "carrier.put('it is full')\n"
      "refuse(queue.Full, block=False, transfer=[sender])(sender)\n"
      "sender.put('still ours')\n"
      "print(channel.get(), carrier.get())\n"
      "try: cloister.post(channel)\n"
      "except cloister.DataCloneError as exc: print(exc)",
      "DataCloneError $[1].a: object cannot be cloned 0 False\n"
      "DataCloneError $[1]: object cannot be cloned 0 False\n"
      "ValueError transfer[0]: is not in the message 0 False\n"
      "ValueError transfer[1]: is there twice 0 False\n"
      "QueueFull  1 False\nstill ours it is full\n"
      "$: cloister.Channel cannot leave its sandbox\n");
}

TEST_F(ChannelTest, KeepsFewLongMessages) {
  ExpectPrints(
      "import cloister, queue\n"
      "channel = cloister.Channel()\n"
      "count = 0\n"
      "try:\n"
      "    while True:\n"
      "        channel.put_nowait(b'x' * 1_000_000)\n"
      "        count += 1\n"
      "except queue.Full: print(2 < count < 10)\n"
      "print(all(channel.get() == b'x' * 1_000_000 for _ in range(count)), channel.empty())",
      "True\nTrue True\n");
}

TEST_F(ChannelTest, IsAwaited) {
  ExpectPrints(
      "import asyncio, cloister, threading\n"
      "channel = cloister.Channel()\n"
      "sender, receiver = channel.sender, channel.receiver\n"
      "channel.close()\n"
      "def send():\n"
      "    for i in range(3): sender.put(i)\n"
      "    sender.close()\n"
      "threading.Timer(0.05, send).start()\n"
      "print([value async for value in receiver])\n"
      "channel = cloister.Channel()\n"
      "async def wait():\n"
      "    try: await channel.get_async()\n"
      "    except cloister.ChannelClosed: return 'closed'\n"
      "task = asyncio.create_task(wait())\n"
      "await asyncio.sleep(0.02)\n"
      "channel.close()\n"
      "print(await task)\n"
      "channel = cloister.Channel()\n"
      "task = asyncio.create_task(wait())\n"
      "threading.Timer(0.05, channel.close).start()\n"
      "print(await task)\n",
      "[0, 1, 2]\nclosed\nclosed\n");
}

TEST_F(ChannelTest, LoopsLetGoOfWhatIsClosed) {
  ExpectPrints(
      "import asyncio, cloister, os, threading, time\n"
      "async def wait(receiver):\n"
      "    try: return await receiver.get_async()\n"
      "    except cloister.ChannelClosed: return 'closed'\n"
      "before = len(os.listdir('/proc/self/fd'))\n"
      "for close in (lambda: channel.close(), lambda: threading.Timer(0.02, "
      "channel.close).start(),\n"
      "              lambda: carrier.put(channel, transfer=[channel])):\n"
      "    channel, carrier = cloister.Channel(), cloister.Channel()\n"
      "    receiver, sender = channel.receiver, channel.sender\n"
      "    tasks = [asyncio.create_task(wait(channel)) for _ in range(3)]\n"
      "    await asyncio.sleep(0.01)\n"
      "    close()\n"
      "    print(await asyncio.gather(*tasks))\n"
      "    sender.put(1)\n"
      "    start = time.process_time()\n"
      "    await asyncio.sleep(0.2)\n"
      "    print(time.process_time() - start < 0.1, receiver.get())\n"
      "    for each in (carrier, receiver, sender): each.close()\n"
      "print(len(os.listdir('/proc/self/fd')) - before <= 3)",  // of the loop
      "['closed', 'closed', 'closed']\nTrue 1\n['closed', 'closed', 'closed']\nTrue 1\n"
      "['closed', 'closed', 'closed']\nTrue 1\nTrue\n");
}

TEST_F(ChannelTest, KeepsItsCapacityWhateverEndsASender) {
  ExpectPrints(
      "import cloister, queue, threading, time\n"
      "channel = cloister.Channel(20)\n"
      "sender = channel.sender\n"
      "def send():\n"
      "    try:\n"
      "        while True: sender.put(b'x' * 30_000)\n"
      "    except cloister.ChannelClosed: pass\n"
      "thread = threading.Thread(target=send)\n"
      "thread.start()\n"
      "time.sleep(0.1)\n"
      "print(thread.is_alive(), channel.full())\n"
      "try: channel.put(b'x' * 30_000, timeout=0.02)\n"
      "except queue.Full: pass\n"
      "sender.close()\n"
      "thread.join()\n"
      "while not channel.empty(): channel.get()\n"
      "print(channel.qsize())",
      "True False\n0\n");
}

TEST_F(ChannelTest, ForksOfTheProgramHaveItsChannelsAndNotItsThreads) {
  ExpectPrints(
      "import cloister, os, threading, time\n"
      "channel, sending = cloister.Channel(), cloister.Channel()\n"
      "threads = [threading.Thread(target=lambda: print(channel.get())) for _ in range(3)]\n"
      "for thread in threads: thread.start()\n"
      "time.sleep(0.05)\n"
      "pid = os.fork()\n"
      "if pid == 0:\n"
      "    for _ in range(3): threading.Thread(target=time.sleep, args=(0.05,)).start()\n"
      "    sending.put('from the fork')\n"
      "    channel.close()\n"
      "    os._exit(0 if channel.fileno() < 0 else 1)\n"
      "print(os.waitpid(pid, 0)[1], sending.get())\n"
      "for _ in threads: channel.put('here')\n"
      "for thread in threads: thread.join()",
      "0 from the fork\nhere\nhere\nhere\n");
}

TEST_F(ChannelTest, ItsPartsRefuseWhatIsNone) {
  ExpectPrints(
      "import cloister\n"
      "own = cloister.post.__globals__\n"
      "for name, arguments in (('port_end', (cloister.Sender, 5, 1)), ('port_end', (int, "
      "cloister.Channel(), 1)),\n"
      "                        ('open_inbox', (1, None)), ('open_inbox', (int, None)), "
      "('open_port', (int, 'x', 1)),\n"
      "                        ('register_port', ('sender', 1)), ('register_port', ('queue', "
      "int))):\n"
      "    try: own[name](*arguments)\n"
      "    except TypeError: print('TypeError', end=' ')",
      "TypeError TypeError TypeError TypeError TypeError TypeError TypeError ");
}

TEST_F(ChannelTest, IsInterrupted) {
  for (const char* code : {"channel.get()", "full.put(1)", "crowded.put(1)"}) {
    host();
    session().on_output = [this](const std::string&) { session().Interrupt(); };
    Raised(Execute(std::string("import cloister\n"
                               "channel, full, crowded = cloister.Channel(), cloister.Channel(1), "
                               "cloister.Channel()\n"
                               "full.put(0)\n"
                               "while not crowded.full(): crowded.put(0)\n"
                               "try:\n"
                               "    while True: crowded.put_nowait(0)\n"
                               "except Exception: pass\n"
                               "print('on', flush=True)\n") +
                   code),
           "KeyboardInterrupt");
  }
  ExpectPrints("print(full.get(), full.qsize())", "0 0\n");
}

// ---- between interpreters -----------------------------------------------------------------------

class ChannelBetweenInterpretersTest : public FurtherInterpreterTest {};

TEST_F(ChannelBetweenInterpretersTest, Works) {
  auto first = process().Create();
  auto second = process().Create();
  MailboxHost first_host(first.get());
  MailboxHost second_host(second.get());
  first_host.AddPeer("second", &second_host);
  ValueOf(*second, "import cloister\ncloister.inbox.empty()");
  EXPECT_EQ(ValueOf(*first,
                    "import cloister\nthere, back = cloister.Channel(), cloister.Channel(2)\n"
                    "cloister.post((there.receiver, back.sender), to='second')"),
            "");
  internal::v1::ExecuteCell cell;
  cell.mutable_program()->set_code(
      "there, back = cloister.inbox.get()\n"
      "for value in there: back.put(value)");
  second->SendCell(std::move(cell));
  EXPECT_EQ(ValueOf(*first,
                    "def exchange(value):\n"
                    "    there.put(value)\n"
                    "    return back.get()\n"
                    "all(exchange(x) == x for x in (1, 'two', [3.0], b'4' * 100_000, {5: {6}}))"),
            "True");
  EXPECT_EQ(ValueOf(*first, "there.close()"), "");
  EXPECT_EQ(second->AwaitFirst().finished().kind(), internal::v1::Finished::KIND_SUCCEEDED);
  // The other interpreter ends while this one waits for it.
  EXPECT_EQ(ValueOf(*first,
                    "there = cloister.Channel()\nreceiver, sender = there.receiver, there.sender\n"
                    "there.close()\n"
                    "cloister.post(sender, to='second', transfer=[sender])\nsender.closed"),
            "True");
  ValueOf(*second, "sender = cloister.inbox.get()");
  cell.Clear();
  cell.mutable_program()->set_code("receiver.get()");
  first->SendCell(std::move(cell));
  second->End();
  const SessionAnswer answer = first->AwaitFirst();
  EXPECT_EQ(answer.finished().exception().type(), "ChannelClosed")
      << answer.finished().exception().traceback();
  // Its inbox is closed with it.
  EXPECT_EQ(first->Execute("cloister.post(1, to='second')").finished().exception().type(),
            "ChannelClosed");
  EXPECT_EQ(first->Execute("cloister.post(1, to='third')").finished().exception().type(),
            "LookupError");
  first->End();
}

TEST_F(ChannelBetweenInterpretersTest, IsInterrupted) {
  auto interpreter = process().Create();
  MailboxHost host(interpreter.get());
  ValueOf(*interpreter,
          "import cloister\nchannel, full = cloister.Channel(), cloister.Channel(1)\nfull.put(0)\n"
          "cloister.inbox.empty()");
  for (const char* code : {"channel.get()", "full.put(1)", "cloister.inbox.get()"}) {
    const SessionAnswer answer = interpreter->ExecuteAndInterrupt(code);
    EXPECT_EQ(answer.finished().exception().type(), "KeyboardInterrupt") << code;
  }
  interpreter->End();
}

}  // namespace
}  // namespace cloister::sandbox
