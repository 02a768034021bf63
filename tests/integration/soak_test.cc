// Fresh runs in a row leave nothing behind on the host's side: no memory, descriptor or cgroup.
//
// CLOISTER_SOAK_RUNS says how many; 3,000 unless told otherwise.

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tests/integration/footprint.h"
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
// A sandbox that is just made has mounts under a name that passes for a lasting process's.
constexpr std::chrono::seconds kRest{1};
constexpr std::chrono::seconds kSettling{30};
constexpr int64_t kMemorySlackBytes = int64_t{24} << 20;

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

  ServerProcess server_;
};

TEST_F(SoakTest, RunsLeaveNothingOnTheHost) {
  ASSERT_TRUE(server_.WaitUntilReady().ok()) << server_.Log();
  const char* wanted = std::getenv("CLOISTER_SOAK_RUNS");
  const int runs = wanted != nullptr ? std::atoi(wanted) : 3000;
  RunTimes(kWarmUpRuns);
  const Footprint before = MeasureAtRest(server_.pid(), kRest, kSettling);
  RunTimes(runs);
  const Footprint after = MeasureAtRest(server_.pid(), kRest, kSettling);
  std::cerr << "before " << runs << " runs: " << before.ToString()
            << "\nafter: " << after.ToString() << "\n";
  EXPECT_LT(after.descriptors + after.cgroup_descriptors,
            before.descriptors + before.cgroup_descriptors + kDescriptorSlack);
  EXPECT_LT(after.memory_bytes, before.memory_bytes + kMemorySlackBytes);
  EXPECT_LE(after.cgroup_entries, before.cgroup_entries + 4 * 24);
  EXPECT_EQ(after.mounts, before.mounts);
}

}  // namespace
}  // namespace cloister::testing
