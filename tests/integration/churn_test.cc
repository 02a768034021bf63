// Everything at once, for a while: clients create, execute, fork, freeze, interrupt, delete, crash
// and vanish, with interpreters and files; at the end nothing is left of it: no process, mount,
// cgroup or descriptor, and no memory to speak of.
//
// CLOISTER_CHURN_SECONDS says how long; 20 unless told otherwise. CLOISTER_CHURN_CLIENTS: 4. A long
// one tells each minute where it is.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <list>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tests/integration/churn_client.h"
#include "tests/integration/footprint.h"
#include "tests/integration/live_test.h"

namespace cloister::testing {
namespace {

using std::chrono::seconds;
using std::chrono::steady_clock;

// Pools that cannot grow, so that what grows is a leak.
constexpr char kConfig[] =
    "templates { name: \"python3.14\" pool { minimum_ready: 4 maximum_ready: 4 maximum: 256 } }\n"
    "live_sandboxes { maximum_count: 200 }\n"
    // Nothing here ends by time but what has a limit of its own, however busy the machine is.
    "default_limits { wall_time { seconds: 60 } cpu_time { seconds: 60 } }\n"
    // Ended executions are kept for a while, and with them memory that is no leak.
    "execution_retention { seconds: 1 }\n"
    // A call that was refused as the server's fault is told why there.
    "log_level: \"warn\"";

// Allocators keep some of what was in use at once; what grows with time grows past this.
constexpr int64_t kMemorySlackBytes = int64_t{16} << 20;
constexpr seconds kReportEvery{60};
constexpr seconds kMaximumWarmUp{180};  // until allocators hold what they will
constexpr seconds kSettling{60};
constexpr seconds kRest{
    3};  // longer than those live that nobody could delete: nobody knew their names
// Cgroups are used again; as many are kept as were ever needed at once.
constexpr int64_t kMaximumCgroups = 120;
constexpr int64_t kEntriesPerCgroup = 4;      // one for each controller
constexpr int64_t kDescriptorsPerCgroup = 8;  // of the spawner

int FromEnvironment(const char* name, int otherwise) {
  const char* value = std::getenv(name);
  return value != nullptr ? std::atoi(value) : otherwise;
}

class ChurnTest : public ::testing::Test {
 protected:
  ChurnTest() : server_(kConfig) {}

  void Churn(seconds time) {
    std::atomic<bool> stop = false;
    std::list<ChurnClient> clients;
    const int count = FromEnvironment("CLOISTER_CHURN_CLIENTS", 4);
    for (int i = 0; i < count; ++i) clients.emplace_back(&server_, seed_++);
    std::vector<std::thread> threads;
    for (ChurnClient& client : clients) {
      threads.emplace_back([&client, &stop] { client.WorkUntil(stop); });
    }
    const auto begin = steady_clock::now();
    auto next_report = begin + kReportEvery;
    while (steady_clock::now() < begin + time && !HasFailure()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
      if (steady_clock::now() < next_report) continue;
      next_report += kReportEvery;
      Report(std::chrono::duration_cast<seconds>(steady_clock::now() - begin), clients);
    }
    stop = true;
    for (std::thread& thread : threads) thread.join();
    churned_ = std::chrono::duration_cast<seconds>(steady_clock::now() - begin);
    for (const ChurnClient& client : clients) {
      for (const auto& [name, times] : client.done()) done_[name] += times;
      refused_ += client.refused();
    }
    DeleteAll();
  }

  void Report(seconds passed, const std::list<ChurnClient>& clients) {
    int64_t operations = 0;
    for (const ChurnClient& client : clients) operations += client.total();
    std::cerr << passed.count() << " s: " << operations << " operations; "
              << MeasureFootprint(server_.pid()).ToString() << std::endl;
  }

  void DeleteAll() {
    for (;;) {
      grpc::ClientContext context;
      v1::ListSandboxesResponse list;
      ASSERT_TRUE(server_.sandboxes().ListSandboxes(&context, {}, &list).ok()) << server_.Log();
      if (list.sandboxes().empty()) return;
      for (const v1::Sandbox& sandbox : list.sandboxes()) {
        grpc::ClientContext one;
        v1::DeleteSandboxRequest request;
        request.set_name(sandbox.name());
        v1::DeleteSandboxResponse response;
        (void)server_.sandboxes().DeleteSandbox(&one, request,
                                                &response);  // it may expire meanwhile
      }
    }
  }

  // Until allocators hold what they will: an hour of this adds less than the first minute of it.
  Footprint WarmUp(seconds round, seconds at_most) {
    Footprint rest = MeasureAtRest(server_.pid(), kRest, kSettling);
    for (seconds passed{0}; passed < at_most; passed += round) {
      const int64_t memory_bytes = rest.memory_bytes;
      Churn(round);
      rest = MeasureAtRest(server_.pid(), kRest, kSettling);
      if (rest.memory_bytes < memory_bytes + kMemorySlackBytes / 8) break;
    }
    return rest;
  }

  // How many sandboxes wait to become live ones: the pool keeps more or fewer, as they are asked
  // for.
  int ReadyToLive() {
    grpc::ClientContext context;
    v1::GetInfoResponse info;
    EXPECT_TRUE(server_.info().GetInfo(&context, {}, &info).ok()) << server_.Log();
    EXPECT_EQ(info.live_sandboxes().count(), 0);
    return info.templates_size() == 1 ? info.templates(0).live_pool().ready_count() : -1;
  }

  ServerProcess server_;
  unsigned seed_ = 1;
  seconds churned_{0};  // the last time
  std::map<std::string, int64_t> done_;
  int64_t refused_ = 0;
};

TEST_F(ChurnTest, LeavesNothingBehind) {
  ASSERT_TRUE(server_.WaitUntilReady().ok()) << server_.Log();
  const int time = FromEnvironment("CLOISTER_CHURN_SECONDS", 20);
  const Footprint before = WarmUp(std::clamp(seconds(time / 10), seconds(5), kMaximumWarmUp / 3),
                                  std::min(seconds(time), kMaximumWarmUp));
  const int ready_before = ReadyToLive();
  done_.clear();
  Churn(seconds(time));
  const Footprint after = MeasureAtRest(server_.pid(), kRest, kSettling);

  int64_t total = 0;
  for (const auto& [name, times] : done_) {
    std::cerr << "  " << name << ": " << times << "\n";
    total += times;
  }
  std::cerr << total << " operations in " << churned_.count() << " s, " << refused_
            << " refused as busy\n"
            << "before: " << before.ToString() << "\nafter:  " << after.ToString() << "\n"
            << DescribeGrowth(before, after);
  EXPECT_GT(total, time);
  // Each of those in the pool is an init, a first process and a shadow.
  const int more = ReadyToLive() - ready_before;
  EXPECT_EQ(after.sandbox_processes, before.sandbox_processes + 3 * more);
  EXPECT_EQ(after.lasting_processes, before.lasting_processes);
  // Those of the spawner for each of them.
  EXPECT_LE(after.descriptors, before.descriptors + 8 + 3 * std::max(0, more));
  EXPECT_EQ(after.mounts, before.mounts);
  EXPECT_LE(after.cgroup_entries, kMaximumCgroups * kEntriesPerCgroup);
  EXPECT_LE(after.cgroup_descriptors, kMaximumCgroups * kDescriptorsPerCgroup);
  EXPECT_LT(after.memory_bytes, before.memory_bytes + kMemorySlackBytes);
}

}  // namespace
}  // namespace cloister::testing
