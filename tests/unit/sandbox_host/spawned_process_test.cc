#include "sandbox/host/spawned_process.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <string>
#include <utility>
#include <vector>

namespace cloister::sandbox {
namespace {

UniqueFd FileWith(const std::string& text) {
  UniqueFd fd(memfd_create("descriptor", MFD_CLOEXEC));
  EXPECT_EQ(write(fd.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  return fd;
}

std::vector<UniqueFd> Descriptors(const std::vector<std::string>& cgroup_files) {
  std::vector<UniqueFd> descriptors;
  for (int i = 0; i < 4; ++i) descriptors.push_back(FileWith(""));
  for (const std::string& text : cgroup_files) descriptors.push_back(FileWith(text));
  return descriptors;
}

struct Case {
  std::vector<std::string> cgroup_files;
  int64_t peak;
  bool knows_usage;
};

TEST(SpawnedProcessTest, TheNumberOfDescriptorsTellsWhichTheyAre) {
  const std::string peak = "7\n", cpu = "usage_usec 5\n", usage = "20000000\n",
                    stat = "inactive_file 1000000\n";
  AsioLoop loop;
  for (const Case& expected :
       {Case{{}, 0, false}, Case{{peak}, 7, false}, Case{{peak, cpu}, 7, false},
        Case{{peak, usage, stat}, 7, true}, Case{{peak, cpu, usage, stat}, 7, true}}) {
    std::vector<UniqueFd> descriptors = Descriptors(expected.cgroup_files);
    EXPECT_TRUE(CheckDescriptors(descriptors).ok());
    SandboxParts parts = MakeSandboxParts(&loop, nullptr, {}, std::move(descriptors));
    EXPECT_EQ(parts.meter.must_sample(), expected.cgroup_files.empty());
    if (!parts.meter.must_sample()) EXPECT_EQ(parts.meter.PeakMemory(), expected.peak);
    constexpr int64_t kLimit = 32'000'000;
    const int64_t room = kLimit - 20'000'000 + 1'000'000 - MemoryRoom::ReserveOf(kLimit);
    EXPECT_TRUE(parts.memory.Has(room, kLimit));
    EXPECT_EQ(parts.memory.Has(room + 1, kLimit), !expected.knows_usage);
  }
  EXPECT_FALSE(CheckDescriptors({}).ok());
  EXPECT_FALSE(CheckDescriptors(Descriptors({"", "", "", "", ""})).ok());
}

}  // namespace
}  // namespace cloister::sandbox
