// What a zygote's warm-up does, refuses, and leaves to its clones.

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "tests/unit/sandbox_guest/guest_test.h"

namespace cloister::sandbox {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::MatchesRegex;

TEST(WarmUpTest, TellsTheVersion) {
  GuestHarness harness;
  EXPECT_THAT(harness.start().ready().python_version(), MatchesRegex("3\\.1[345]\\.[0-9]+"));
}

TEST(WarmUpTest, ImportsAreThereBeforeTheProgram) {
  GuestHarness harness({.warm_up_imports = {"json", "xml.dom.minidom"}});
  const GuestRun run =
      harness.Run("import sys\nprint('json' in sys.modules, 'xml.dom.minidom' in sys.modules)");
  EXPECT_EQ(run.output, "True True\n");
}

TEST(WarmUpTest, NamesTheImportThatFails) {
  GuestHarness harness({.warm_up_imports = {"json", "no_such_module"}});
  EXPECT_THAT(harness.start().broken().message(),
              AllOf(HasSubstr("import no_such_module"), HasSubstr("ModuleNotFoundError")));
}

TEST(WarmUpTest, NothingOfTheHostsEnvironmentGetsIn) {
  setenv("CLOISTER_TEST_SECRET", "hunter2", 1);
  setenv("PYTHONSTARTUP", "/tmp/x", 1);
  GuestHarness harness({.environment = {{"TEMPLATE", "yes"}}});
  const GuestRun run = harness.Run("import os\nprint(sorted(os.environ.items()))");
  EXPECT_EQ(
      run.output,
      "[('HOME', '/workspace'), ('LANG', 'C.UTF-8'), ('PATH', '/usr/bin'), ('TEMPLATE', 'yes')]\n");
  unsetenv("CLOISTER_TEST_SECRET");
  unsetenv("PYTHONSTARTUP");
}

TEST(WarmUpTest, InterpreterIsConfiguredAsPromised) {
  GuestHarness harness;
  const GuestRun run = harness.Run(
      "import sys, gc, signal, faulthandler\n"
      "f = sys.flags\n"
      "print(f.utf8_mode, f.dont_write_bytecode, f.no_user_site, f.ignore_environment)\n"
      "print(sys.executable, sys.prefix, gc.isenabled(), gc.get_freeze_count() > 1000)\n"
      "print(signal.getsignal(signal.SIGINT) is signal.default_int_handler, "
      "faulthandler.is_enabled())\n"
      "print([p for p in sys.path if 'dist-packages' in p])\n"
      "print(getattr(sys, 'is_remote_debug_enabled', lambda: False)())\n");
  ExpectSucceeded(run);
  EXPECT_THAT(run.output,
              MatchesRegex("1 1 1 1\n/usr/bin/python3\\.1[345] /usr True True\nTrue True\n"
                           "\\['/usr/lib/python3/dist-packages'\\]\nFalse\n"));
}

TEST(WarmUpTest, TheTouchProgramLeavesNoTrace) {
  GuestHarness harness;
  const GuestRun run = harness.Run(
      "import linecache, sys, gc\n"
      "print(list(linecache.cache), [m for m in sys.modules if 'touch' in m or 'cloister' in m])\n"
      "print(getattr(sys, 'last_exc', None), sys.exc_info())");
  EXPECT_EQ(run.output, "['main.py'] []\nNone (None, None, None)\n");
  EXPECT_EQ(run.error, "");
}

// What forks cheaply is the zygote's own memory: the code of files would be mapped anew by each clone.
TEST(WarmUpTest, CodeAndHeapLieInTheZygotesOwnMemory) {
  GuestHarness harness;
  const GuestRun run = harness.Run(
      "maps = [line.split() for line in open('/proc/self/maps')]\n"
      "code = [m[5] for m in maps if 'x' in m[1] and len(m) > 5 and m[5].startswith('/')]\n"
      "print([path for path in code if 'libpython' in path or 'libc.so' in path])\n"
      "print(any('w' in m[1] and 'x' in m[1] for m in maps))\n"
      "print(len(bytearray(5 << 20)))");
  ExpectSucceeded(run);
  EXPECT_EQ(run.output, "[]\nFalse\n5242880\n") << run.error;
}

// More objects than the region of arenas holds, and all of them freed again.
TEST(WarmUpTest, ObjectsOutgrowTheRegionOfArenas) {
  GuestHarness harness;
  const GuestRun run = harness.Run(
      "for _ in range(2):\n"
      "  big = [(i, str(i)) for i in range(700_000)]\n"
      "  print(sum(len(text) for _, text in big))\n"
      "  del big");
  ExpectSucceeded(run);
  EXPECT_EQ(run.output, "4088890\n4088890\n");
}

TEST(WarmUpTest, ClonesDoNotSeeEachOther) {
  GuestHarness harness;
  harness.Run("import json, builtins\njson.mark = builtins.mark = 1\nopen('left', 'w').write('x')");
  const GuestRun run = harness.Run(
      "import json, os\nprint(hasattr(json, 'mark'), 'mark' in dir(__builtins__), os.listdir())");
  EXPECT_EQ(run.output, "False False []\n");
}

// Figures for people; only that they are there is checked.
TEST(WarmUpTest, Timings) {
  const auto measure = [](const std::vector<std::string>& imports) {
    GuestHarness harness({.warm_up_imports = imports});
    std::vector<int64_t> fork, prepare, run;
    for (int i = 0; i < 200; ++i) {
      GuestRun seen = harness.Run("x=1");
      fork.push_back(seen.ready_nanoseconds["after_fork"]);
      prepare.push_back(seen.ready_nanoseconds["prepare"]);
      run.push_back(seen.run_nanoseconds);
    }
    const auto median = [](std::vector<int64_t>& values) {
      std::sort(values.begin(), values.end());
      return values[values.size() / 2] / 1000;
    };
    std::string name;
    for (const std::string& import : imports) name += import + " ";
    printf("warm-up %6.1f ms  fork %4ld us  prepare %4ld us  run %4ld us  %s\n",
           static_cast<double>(harness.start().ready().warm_up_nanoseconds()) / 1e6, median(fork),
           median(prepare), median(run), name.c_str());
    EXPECT_GT(run[0], 0);
  };
  measure({});
}

}  // namespace
}  // namespace cloister::sandbox
