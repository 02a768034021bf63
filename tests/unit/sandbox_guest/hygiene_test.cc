// Two clones of one zygote share nothing that should be random, though all of them have the same
// pid.

#include <gtest/gtest.h>

#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "tests/unit/sandbox_guest/guest_test.h"

namespace cloister::sandbox {
namespace {

using Pids = GuestHarness::Pids;

// Every generator has been used before the fork: what would be seeded lazily is seeded.
constexpr char kUseAll[] =
    "import multiprocessing, os, random, secrets, ssl, tempfile, uuid\n"
    "random.random(), secrets.token_hex(), os.urandom(1), uuid.uuid1(), uuid.uuid4()\n"
    "next(tempfile._get_candidate_names()), ssl.RAND_bytes(1), ssl.SSLContext()\n"
    "hasattr(uuid, 'uuid7') and uuid.uuid7()\n";
constexpr char kPrintAll[] =
    "import multiprocessing, os, random, secrets, ssl, tempfile, uuid\n"
    "print('random', random.random(), random.randbytes(8))\n"
    "print('secrets', secrets.token_hex())\n"
    "print('urandom', os.urandom(8))\n"
    "print('uuid1', uuid.uuid1())\n"
    "print('uuid4', uuid.uuid4())\n"
    "if hasattr(uuid, 'uuid7'): print('uuid6', uuid.uuid6()); print('uuid7', uuid.uuid7())\n"
    "print('tempfile', next(tempfile._get_candidate_names()))\n"
    "print('openssl', ssl.RAND_bytes(8))\n"
    "print('authkey', bytes(multiprocessing.current_process().authkey))\n";

// Runs `code` in `count` clones of a zygote that ran `warm_up`. The code prints lines; no line of
// one clone may be a line of another.
void ExpectAllDiffer(Pids pids, const std::string& warm_up, const std::string& code, int count) {
  GuestHarness harness({.warm_up_source = warm_up, .pids = pids});
  ASSERT_TRUE(harness.start().has_ready()) << harness.start().DebugString();
  std::set<std::string> seen;
  for (int i = 0; i < count; ++i) {
    const GuestRun run = harness.Run("import os\nassert os.getpid() == 1\n" + code);
    ExpectSucceeded(run);
    std::istringstream lines(run.output);
    int fresh = 0;
    for (std::string line; std::getline(lines, line); ++fresh) {
      ASSERT_TRUE(seen.insert(line).second) << "clone " << i << " repeats: " << line;
    }
    ASSERT_GT(fresh, 0);
  }
}

TEST(HygieneTest, AThousandClonesDiffer) {
  ExpectAllDiffer(Pids::kSameInClones, kUseAll, kPrintAll, 1000);
}

// Not how sandboxes are made, yet nothing may depend on it.
TEST(HygieneTest, ClonesWithTheZygotesPidDiffer) {
  ExpectAllDiffer(Pids::kSameAsInZygote, kUseAll, kPrintAll, 100);
}

TEST(HygieneTest, ModulesOfTheProgramsOwnDiffer) {
  ExpectAllDiffer(Pids::kSameInClones, "",
                  "import random, ssl, uuid\n"
                  "print(random.random())\nprint(ssl.RAND_bytes(8))\nprint(uuid.uuid1())",
                  20);
}

TEST(HygieneTest, NumpyDiffers) {
  GuestHarness harness({.warm_up_imports = {"numpy"}});
  if (harness.start().has_broken()) GTEST_SKIP() << "the image has no numpy";
  ExpectAllDiffer(Pids::kSameInClones, "import numpy\nnumpy.random.rand()",
                  "import numpy\nprint(numpy.random.rand())", 100);
}

}  // namespace
}  // namespace cloister::sandbox
