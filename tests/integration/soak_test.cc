// Fresh runs in a row leave nothing behind on the host's side: no memory, descriptor or cgroup.
//
// CLOISTER_SOAK_RUNS says how many; 3,000 unless told otherwise.

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/integration/probe.h"
#include "tests/integration/server_process.h"

namespace cloister::testing {
namespace {

constexpr int kClients = 8;
constexpr int kWarmUpRuns = 1000;

// A pool that cannot grow, so that what grows is a leak.
constexpr char kConfig[] =
    "templates { name: \"python3.14\" pool { minimum_ready: 8 maximum_ready: 8 maximum: 24 } }";
// What 24 sandboxes may differ by from one moment to another: a dozen descriptors each.
constexpr int64_t kDescriptorSlack = 24 * 12;
constexpr int64_t kMemorySlackBytes = int64_t{24} << 20;

struct Footprint {
  int64_t descriptors = 0;
  int64_t memory_bytes = 0;
  int64_t cgroups = 0;
};

int64_t ResidentBytes(pid_t pid) {
  std::ifstream file(absl::StrCat("/proc/", pid, "/statm"));
  int64_t size = 0, resident = 0;
  file >> size >> resident;
  return resident * 4096;
}

int64_t CountEntries(const std::string& directory) {
  std::error_code error;
  const std::filesystem::directory_iterator begin(directory, error);
  return error ? 0 : std::distance(begin, std::filesystem::directory_iterator());
}

class SoakTest : public ::testing::Test {
 protected:
  SoakTest() : server_(kConfig) {}

  void RunTimes(int times) {
    std::atomic<int> left = times;
    std::atomic<int> wrong = 0;
    std::vector<std::thread> clients;
    for (int client = 0; client < kClients; ++client) {
      clients.emplace_back([&] {
        while (left.fetch_sub(1) > 0) {
          grpc::ClientContext context;
          v1::RunCodeRequest request;
          request.mutable_program()->set_code("print(1)");
          v1::RunCodeResponse response;
          const bool ok = server_.executions().RunCode(&context, request, &response).ok();
          if (!ok || response.stdout() != "1\n") ++wrong;
        }
      });
    }
    for (std::thread& client : clients) client.join();
    EXPECT_EQ(wrong, 0);
  }

  // Of everything that outlives a run: server, spawner, nursery, zygote.
  Footprint Measure() {
    Footprint footprint;
    for (pid_t pid : ProcessTree(server_.pid())) {
      const std::string name = ProcessName(pid);
      if (name == "sandbox" || name == "sandbox-init") continue;
      footprint.descriptors += CountEntries(absl::StrCat("/proc/", pid, "/fd"));
      footprint.memory_bytes += ResidentBytes(pid);
    }
    for (const std::string& base : CgroupLeftovers()) footprint.cgroups += CountEntries(base);
    return footprint;
  }

  ServerProcess server_;
};

TEST_F(SoakTest, RunsLeaveNothingOnTheHost) {
  ASSERT_TRUE(server_.WaitUntilReady().ok()) << server_.Log();
  const char* wanted = std::getenv("CLOISTER_SOAK_RUNS");
  const int runs = wanted != nullptr ? std::atoi(wanted) : 3000;
  RunTimes(kWarmUpRuns);
  const Footprint before = Measure();
  RunTimes(runs);
  const Footprint after = Measure();
  std::cerr << "after " << runs << " runs: descriptors " << before.descriptors << " -> "
            << after.descriptors << ", resident bytes " << before.memory_bytes << " -> "
            << after.memory_bytes << ", cgroup entries " << before.cgroups << " -> "
            << after.cgroups << "\n";
  EXPECT_LT(after.descriptors, before.descriptors + kDescriptorSlack);
  EXPECT_LT(after.memory_bytes, before.memory_bytes + kMemorySlackBytes);
  EXPECT_LE(after.cgroups, before.cgroups + 4 * 24);
}

}  // namespace
}  // namespace cloister::testing
