// Messages in event loops: who waits, in which loop, and what is left when they are through.

#include "tests/unit/sandbox_guest/messages_test.h"

namespace cloister::sandbox {
namespace {

class MessageLoopTest : public MessageTest {
 protected:
  void SetUp() override {
    ExpectPrints(
        "import asyncio, cloister, os, threading, time\n"
        "def count(): return len(os.listdir('/proc/self/fd'))\n"
        "def watches(): return "
        "len(cloister.post.__globals__['load']('message_waits')['_watches'])\n"
        "async def cpu(seconds):\n"
        "    start = time.process_time()\n"
        "    await asyncio.sleep(seconds)\n"
        "    return time.process_time() - start\n"
        "await asyncio.sleep(0)",
        "");
  }
};

TEST_F(MessageLoopTest, EachWaiterGetsAMessage) {
  ExpectPrints(
      "channel = cloister.Channel()\n"
      "before = count()\n"
      "tasks = [asyncio.create_task(channel.get_async()) for _ in range(3)]\n"
      "await asyncio.sleep(0)\n"
      "for i in range(3): channel.put(i)\n"
      "print(await asyncio.wait_for(asyncio.gather(*tasks), 10))\n"
      "await asyncio.sleep(0.01)\n"
      "print(watches(), count() - before)",
      "[0, 1, 2]\n0 0\n");
}

TEST_F(MessageLoopTest, AWaiterThatIsCancelledPassesItsTurnOn) {
  ExpectPrints(
      "channel = cloister.Channel()\n"
      "first, second = [asyncio.create_task(channel.get_async()) for _ in range(2)]\n"
      "await asyncio.sleep(0)\n"
      "watch, = cloister.post.__globals__['load']('message_waits')['_watches'].values()\n"
      "channel.put(1)\n"
      "watch.on_readable()\n"  // it is the first one's turn
      "first.cancel()\n"
      "print(await asyncio.wait_for(second, 10), first.cancelled())\n"
      "third = asyncio.create_task(channel.get_async())\n"
      "await asyncio.sleep(0)\n"
      "third.cancel()\n"
      "await asyncio.sleep(0.01)\n"
      "channel.put(2)\n"
      "print(watches(), channel.get())",
      "1 True\n0 2\n");
}

TEST_F(MessageLoopTest, AnEndClosedElsewhereIsNoOthersWhenItsNumberIsUsedAgain) {
  ExpectPrints(
      "channel = cloister.Channel()\n"
      "keeps = channel.receiver\n"
      "number = channel.fileno()\n"
      "waiting = asyncio.create_task(channel.get_async())\n"
      "await asyncio.sleep(0.01)\n"
      "thread = threading.Thread(target=channel.close)\n"
      "thread.start()\n"
      "thread.join()\n"
      "try: await asyncio.wait_for(waiting, 10)\n"
      "except cloister.ChannelClosed: print('closed')\n"
      "others = [cloister.Channel() for _ in range(4)]\n"
      "print(number in {other.fileno() for other in others})\n"
      "tasks = [asyncio.create_task(other.get_async()) for other in others]\n"
      "await asyncio.sleep(0)\n"
      "for other in others: other.put(other.fileno())\n"
      "print(await asyncio.wait_for(asyncio.gather(*tasks), 10) == [other.fileno() for other in "
      "others])\n"
      "print(await cpu(0.3) < 0.1)",
      "closed\nTrue\nTrue\nTrue\n");
}

TEST_F(MessageLoopTest, NothingSpinsAfterTheEnd) {
  ExpectPrints(
      "for way in ('close', 'transfer'):\n"
      "    channel, carrier = cloister.Channel(), cloister.Channel()\n"
      "    receiver, sender = channel.receiver, channel.sender\n"
      "    waiting = asyncio.create_task(channel.get_async())\n"
      "    await asyncio.sleep(0.01)\n"
      "    if way == 'close': channel.close()\n"
      "    else: carrier.put(channel, transfer=[channel])\n"
      "    try: await asyncio.wait_for(waiting, 10)\n"
      "    except cloister.ChannelClosed: print('closed')\n"
      "    sender.put(1)\n"  // which the loop is not to see
      "    print(await cpu(0.3) < 0.1, watches(), receiver.get())",
      "closed\nTrue 0 1\nclosed\nTrue 0 1\n");
}

TEST_F(MessageLoopTest, OthersMayWatchTheSameDescriptor) {
  ExpectPrints(
      "channel = cloister.Channel()\n"
      "loop = asyncio.get_running_loop()\n"
      "seen = asyncio.Event()\n"
      "loop.add_reader(channel.fileno(), seen.set)\n"
      "waiting = asyncio.create_task(channel.get_async())\n"
      "await asyncio.sleep(0)\n"
      "channel.put(1)\n"
      "print(await waiting)\n"
      "await asyncio.wait_for(seen.wait(), 10)\n"
      "await asyncio.sleep(0.01)\n"
      "seen.clear()\n"
      "channel.put(2)\n"
      "await asyncio.wait_for(seen.wait(), 10)\n"
      "print(loop.remove_reader(channel.fileno()), channel.get())",
      "1\nTrue 2\n");
}

TEST_F(MessageLoopTest, LoopsThatWereClosedHoldNothing) {
  ExpectPrints(
      "before = count()\n"
      "channel = cloister.Channel()\n"
      "def wait_in_vain():\n"
      "    loop = asyncio.new_event_loop()\n"
      "    task = loop.create_task(channel.get_async())\n"
      "    loop.run_until_complete(asyncio.sleep(0))\n"
      "    loop.close()\n"
      "    task._log_destroy_pending = False\n"
      "thread = threading.Thread(target=wait_in_vain)\n"
      "thread.start()\n"
      "thread.join()\n"
      "channel.put(1)\n"
      "channel.put(2)\n"
      "print(await channel.get_async(), await asyncio.wait_for(channel.get_async(), 10))\n"
      "other = cloister.Channel()\n"
      "try: await asyncio.wait_for(other.get_async(), 0.01)\n"
      "except TimeoutError: print(watches())\n"
      "channel.close()\n"
      "other.close()\n"
      "print(count() - before)",
      "1 2\n0\n0\n");
}

TEST_F(MessageLoopTest, TwoLoopsOfTwoThreads) {
  ExpectPrints(
      "channel = cloister.Channel()\n"
      "found = []\n"
      "async def receive():\n"
      "    async for value in channel:\n"
      "        if value is None: break\n"
      "        found.append(value)\n"
      "threads = [threading.Thread(target=lambda: asyncio.run(receive())) for _ in range(2)]\n"
      "for thread in threads: thread.start()\n"
      "for i in range(200): channel.put(i)\n"
      "for _ in threads: channel.put(None)\n"
      "for thread in threads: await asyncio.to_thread(thread.join)\n"
      "print(sorted(found) == list(range(200)), watches())",
      "True 0\n");
}

TEST_F(MessageLoopTest, ACallIsAwaitedByManyAndAskedBeside) {
  host().answer = [](const internal::v1::MailboxRequest& request) {
    internal::v1::MailboxReply reply;
    reply.set_value(CloneOf(request.call_host().function()));
    return reply;
  };
  ExpectPrints(
      "before = count()\n"
      "for _ in range(50):\n"
      "    started = cloister.host.text.start()\n"
      "    async def wait(): return await started\n"
      "    tasks = [asyncio.create_task(wait()) for _ in range(3)]\n"
      "    await asyncio.sleep(0)\n"
      "    beside = await asyncio.to_thread(started.result)\n"
      "    assert await asyncio.wait_for(asyncio.gather(*tasks), 10) == [beside] * 3 == ['text'] * "
      "3\n"
      "print(watches(), count() - before)",  // the line to the host is there now
      "0 1\n");
}

}  // namespace
}  // namespace cloister::sandbox
