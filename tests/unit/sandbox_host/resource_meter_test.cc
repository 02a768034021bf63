// Processor time of one process, and of a group.

#include "sandbox/host/resource_meter.h"

#include <sys/mman.h>
#include <unistd.h>

#include <string_view>
#include <utility>

#include "gtest/gtest.h"

namespace cloister::sandbox {
namespace {

// A file as the kernel shows it: the test changes what it says through `writer`.
class CounterFile {
 public:
  explicit CounterFile(std::string_view text) : writer_(::memfd_create("counter", MFD_CLOEXEC)) {
    Say(text);
  }
  void Say(std::string_view text) {
    EXPECT_EQ(::ftruncate(writer_.get(), 0), 0);
    EXPECT_EQ(::pwrite(writer_.get(), text.data(), text.size(), 0),
              static_cast<ssize_t>(text.size()));
  }
  UniqueFd Reader() const { return UniqueFd(::dup(writer_.get())); }

 private:
  UniqueFd writer_;
};

TEST(ResourceMeterTest, CountsAGroupFromItsSandboxsStart) {
  CounterFile usage("5000000000\n");  // of whoever had the group before
  ResourceMeter meter(::getpid(), UniqueFd(), usage.Reader());
  usage.Say("5100000000\n");  // the making of the sandbox
  meter.Start();
  usage.Say("5350000000\n");
  EXPECT_EQ(meter.CpuTime(), absl::Milliseconds(250));
  EXPECT_EQ(meter.SinceStart(absl::Milliseconds(400)), absl::Milliseconds(300));
}

TEST(ResourceMeterTest, ReadsTheFilesOfBothVersions) {
  CounterFile stat("usage_usec 1000\nuser_usec 900\nsystem_usec 100\n");
  ResourceMeter meter(::getpid(), UniqueFd(), stat.Reader());
  meter.Start();
  stat.Say("usage_usec 3500\nuser_usec 3400\n");
  EXPECT_EQ(meter.CpuTime(), absl::Microseconds(2500));
  stat.Say("nonsense");
  EXPECT_EQ(meter.CpuTime(), absl::Microseconds(2500)) << "as it was";
}

TEST(ResourceMeterTest, HasTheProcesssOwnClockOtherwise) {
  ResourceMeter meter(::getpid(), UniqueFd(), UniqueFd());
  meter.Start();
  volatile int64_t sum = 0;
  while (meter.CpuTime() < absl::Milliseconds(2)) sum = sum + 1;
  EXPECT_LT(meter.CpuTime(), absl::Seconds(10));
}

}  // namespace
}  // namespace cloister::sandbox
