// Ends of channels that are none, and eventfds that are no bound: what comes of them in main and
// beside it. tests/integration has the other profiles.

#include <fcntl.h>

#include "absl/strings/str_cat.h"
#include "tests/support/hostile_ports.h"
#include "tests/unit/sandbox_guest/interpreters_test.h"
#include "tests/unit/sandbox_guest/messages_test.h"

namespace cloister::sandbox {
namespace {

class HostilePortTest : public MessageTest {};

TEST_F(HostilePortTest, AreRefusedOrOfUseAtOnce) {
  ExpectPrints(absl::StrCat(kHostilePorts, "print(attack_ports())"), "\n");
}

TEST_F(HostilePortTest, ACounterThatIsNoSemaphoreBoundsAllTheSame) {
  // Kernels that do not tell let it in; one read of it would take all that it has.
  ExpectPrints(
      "import cloister, os\n"
      "channel = cloister.Channel(3)\n"
      "counter = os.eventfd(3, os.EFD_NONBLOCK)\n"
      "paths = {n: os.readlink(f'/proc/self/fd/{n}') for n in map(int, "
      "os.listdir('/proc/self/fd')) "
      "if n != channel.fileno() and os.path.exists(f'/proc/self/fd/{n}')}\n"
      "credits = max(n for n, path in paths.items() if path == 'anon_inode:[eventfd]' and n != "
      "counter)\n"
      "os.dup2(counter, credits, inheritable=False)\n"
      "for i in range(3): channel.put_nowait(i)\n"
      "print(channel.full(), [channel.get() for _ in range(3)], channel.qsize())\n"
      "channel.close()\n"
      "os.close(counter)",
      "True [0, 1, 2] 0\n");
}

class HostilePortBesideTest : public FurtherInterpreterTest {};

TEST_F(HostilePortBesideTest, AreRefusedOrOfUseAtOnce) {
  if (IsSkipped()) return;
  for (const auto profile :
       {internal::v1::GIL_PROFILE_ISOLATED, internal::v1::GIL_PROFILE_SHARED_GIL}) {
    auto interpreter = process().Create(process().Request(profile));
    MailboxHost host(interpreter.get());
    const SessionAnswer answer =
        interpreter->Execute(absl::StrCat(kHostilePorts, "print(attack_ports())"));
    EXPECT_EQ(answer.output, "\n") << answer.finished().exception().traceback();
    interpreter->End();
  }
}

}  // namespace
}  // namespace cloister::sandbox
