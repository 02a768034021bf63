// One program over many inputs: keeps some executions going and hands out what comes of them. Where
// it is worth it, a sandbox of its own compiles the program first, for all of them.

#ifndef CLOISTER_SERVICE_CORE_PROGRAM_MAP_H_
#define CLOISTER_SERVICE_CORE_PROGRAM_MAP_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "sandbox/base/loop.h"
#include "service/core/execution.h"
#include "service/core/execution_manager.h"

namespace cloister::core {

struct ProgramMapOptions {
  int count = 0;        // of inputs
  int concurrency = 1;  // executions at a time
  bool in_order = true;
  bool stop_on_failure = false;
};

// What came of one input.
struct MapResult {
  int index = 0;
  int64_t bytes = 0;  // roughly, in memory
  ExecutionResult result = {};
  v1::StartKind start_kind = v1::START_KIND_UNSPECIFIED;
};

struct MapCounts {
  int succeeded = 0;
  int failed = 0;
  int skipped = 0;
};

// Results that nobody takes hold back what follows: at most twice `concurrency` executions are
// started beyond those taken, and none while kMaximumHeldBytes wait; what runs by then adds its
// own.
//
// Where the server, or the tenant, has no room for another execution (OVERLOADED, CONCURRENCY_EXCEEDED,
// TENANT_MEMORY_EXCEEDED), a map that has begun waits and
// tries again: at once where something of its own ends, otherwise after 20 ms, and twice as long
// each time up to a second. It gives up when for kMaximumWait nothing of its own has run, and its
// caller when the call's deadline is over.
//
// Thread-safety: loop thread only. Ownership: `manager` must outlive it. Destroying it kills what
// runs.
class ProgramMap {
 public:
  static constexpr int64_t kMaximumHeldBytes = int64_t{32} << 20;
  static constexpr absl::Duration kMaximumWait = absl::Minutes(1);

  // `compilation` is the request that compiles the program. `request_for` makes the request of an
  // input, again where it could not be started; `on_started` is told that it was. `on_progress` is
  // never called inline: look at Take and AtEnd after Start.
  ProgramMap(ExecutionManager* manager, ProgramMapOptions options,
             std::optional<ExecutionRequest> compilation,
             std::function<ExecutionRequest(int)> request_for, std::function<void()> on_progress,
             std::function<void(int)> on_started = nullptr);
  ProgramMap(const ProgramMap&) = delete;
  ProgramMap& operator=(const ProgramMap&) = delete;
  ~ProgramMap();

  void Start();

  // The next result, if there is one.
  std::optional<MapResult> Take();

  // Whether all that will come was taken.
  bool AtEnd() const {
    return compiling_ == nullptr && running_.empty() && held_.empty() && MayNotStart();
  }

  // Why the rest could not be started, where it could not.
  const absl::Status& failure() const { return failure_; }

  // Complete at the end.
  MapCounts counts() const;

 private:
  class Run;

  bool MayNotStart() const { return next_ >= end_ || !failure_.ok(); }
  bool HasRoom() const;
  void StartMore();
  // Whether it, or the map's end, was started.
  bool StartNext();
  void TryLater();
  void OnProgress(int index);
  void OnCompiled();
  void OnFailed(int index);

  static constexpr int kCompilation = -1;  // as an index

  ExecutionManager* const manager_;
  const ProgramMapOptions options_;
  const std::function<ExecutionRequest(int)> request_for_;
  const std::function<void()> on_progress_;
  const std::function<void(int)> on_started_;
  std::optional<ExecutionRequest> compilation_;
  std::unique_ptr<Run> compiling_;
  std::shared_ptr<const std::string> compiled_;
  std::map<int, std::unique_ptr<Run>> running_;
  // By index, or by the order in which they ended.
  std::map<int, MapResult> held_;
  int64_t held_bytes_ = 0;
  int next_ = 0;  // to be started
  int end_;       // none from here on is
  int ended_ = 0;
  int succeeded_ = 0;
  int failed_ = 0;
  absl::Status failure_;
  sandbox::Loop::TimerId retry_timer_ = 0;
  absl::Duration retry_delay_;
  absl::Time idle_since_ = absl::InfiniteFuture();  // the first try since something of its own ran
};

}  // namespace cloister::core

#endif  // CLOISTER_SERVICE_CORE_PROGRAM_MAP_H_
