// Memory of CPython's small objects: within the region, past its end, given back, from several threads.

#include "tests/unit/sandbox_guest/guest_test.h"

namespace cloister::sandbox {
namespace {

class ArenaMemoryTest : public GuestTest {};

constexpr char kMeasure[] =
    "import gc\n"
    "def megabytes():\n"
    "    gc.collect()\n"
    "    return int(open('/proc/self/statm').read().split()[1]) * 4096 >> 20\n"
    "def objects(count):\n"
    "    return [[i] for i in range(count)]\n"
    "before = megabytes()\n";

TEST_F(ArenaMemoryTest, GoesOnPastTheRegionAndGivesAllBack) {
  // Each is a list of its own, some 90 bytes: three times the region.
  const GuestRun run = Run(std::string(kMeasure) +
                           "held = objects(2_000_000)\n"
                           "at_most = megabytes()\n"
                           "right = all(held[i] == [i] for i in range(0, 2_000_000, 997))\n"
                           "held.clear()\n"
                           "print(right, at_most - before > 130, megabytes() - before < 40)");
  EXPECT_EQ(run.output, "True True True\n");
}

TEST_F(ArenaMemoryTest, UsesAgainWhatWasGivenBack) {
  const GuestRun run = Run(std::string(kMeasure) +
                           "for _ in range(20):\n"
                           "    held = objects(300_000)\n"
                           "    del held\n"
                           "print(megabytes() - before < 40)");
  EXPECT_EQ(run.output, "True\n");
}

TEST_F(ArenaMemoryTest, ServesThreads) {
  const GuestRun run = Run(std::string(kMeasure) +
                           "import threading\n"
                           "wrong = []\n"
                           "def work():\n"
                           "    for _ in range(4):\n"
                           "        held = objects(60_000)\n"
                           "        if any(held[i] != [i] for i in range(60_000)): wrong.append(1)\n"
                           "threads = [threading.Thread(target=work) for _ in range(4)]\n"
                           "for one in threads: one.start()\n"
                           "for one in threads: one.join()\n"
                           "print(wrong, megabytes() - before < 60)");
  EXPECT_EQ(run.output, "[] True\n");
}

}  // namespace
}  // namespace cloister::sandbox
