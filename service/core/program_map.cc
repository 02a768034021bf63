#include "service/core/program_map.h"

#include <algorithm>
#include <utility>

#include "service/core/error.h"

namespace cloister::core {
namespace {

constexpr absl::Duration kFirstDelay = absl::Milliseconds(20);
constexpr absl::Duration kLongestDelay = absl::Seconds(1);

bool IsFailure(const ExecutionResult& result) {
  if (!result.status.ok()) return true;
  if (result.outcome.kind() == v1::Outcome::KIND_EXITED) return result.outcome.exit_code() != 0;
  return result.outcome.kind() != v1::Outcome::KIND_SUCCEEDED;
}

// Of the server, or of the tenant.
bool IsWantOfRoom(const absl::Status& status) {
  const v1::ErrorReason reason = ReasonOf(status);
  return reason == v1::ERROR_REASON_OVERLOADED || reason == v1::ERROR_REASON_CONCURRENCY_EXCEEDED ||
         reason == v1::ERROR_REASON_TENANT_MEMORY_EXCEEDED;
}

int64_t BytesOf(const ExecutionResult& result) {
  auto bytes = static_cast<int64_t>(result.stdout_bytes.size() + result.stderr_bytes.size() +
                                    result.outcome.SpaceUsedLong());
  for (const v1::ReturnedFile& file : result.files) {
    bytes += static_cast<int64_t>(file.content().size());
  }
  return bytes;
}

}  // namespace

// One execution and the map's part in it.
class ProgramMap::Run final : public ExecutionListener {
 public:
  Run(ProgramMap* map, int index) : map_(map), index_(index) {}

  absl::Status Start(ExecutionRequest request) {
    auto execution = map_->manager_->Start(std::move(request));
    if (!execution.ok()) return execution.status();
    auto subscription = (*execution)->Subscribe(this, ReaderRole::kOwner);
    if (!subscription.ok()) return subscription.status();
    subscription_ = *std::move(subscription);
    return absl::OkStatus();
  }

  const Execution& execution() const { return subscription_->execution(); }

 private:
  void OnProgress() override { map_->OnProgress(index_); }

  ProgramMap* const map_;
  const int index_;
  std::unique_ptr<Subscription> subscription_;
};

ProgramMap::ProgramMap(ExecutionManager* manager, ProgramMapOptions options,
                       std::optional<ExecutionRequest> compilation,
                       std::function<ExecutionRequest(int)> request_for,
                       std::function<void()> on_progress, std::function<void(int)> on_started)
    : manager_(manager),
      options_(options),
      request_for_(std::move(request_for)),
      on_progress_(std::move(on_progress)),
      on_started_(std::move(on_started)),
      compilation_(std::move(compilation)),
      end_(options.count),
      retry_delay_(kFirstDelay) {}

ProgramMap::~ProgramMap() { manager_->loop()->Cancel(retry_timer_); }

MapCounts ProgramMap::counts() const {
  return {
      .succeeded = succeeded_, .failed = failed_, .skipped = options_.count - succeeded_ - failed_};
}

std::optional<MapResult> ProgramMap::Take() {
  if (held_.empty()) return std::nullopt;
  const auto first = held_.begin();
  // In order: nothing of an input whose predecessors have not ended.
  if (options_.in_order && !running_.empty() && running_.begin()->first < first->first) {
    return std::nullopt;
  }
  MapResult result = std::move(first->second);
  held_.erase(first);
  held_bytes_ -= result.bytes;
  StartMore();
  return result;
}

bool ProgramMap::HasRoom() const {
  const auto running = static_cast<int>(running_.size());
  return running < options_.concurrency && held_bytes_ < kMaximumHeldBytes &&
         running + static_cast<int>(held_.size()) < 2 * options_.concurrency;
}

void ProgramMap::Start() {
  if (!compilation_.has_value()) return StartMore();
  compiling_ = std::make_unique<Run>(this, kCompilation);
  const absl::Status started = compiling_->Start(*std::exchange(compilation_, std::nullopt));
  if (started.ok()) return;
  compiling_.reset();
  // Then each compiles for itself, when there is room for it.
  if (IsWantOfRoom(started)) return StartMore();
  failure_ = started;
}

// Where it failed, for whatever reason, each run meets that reason by itself and tells of it.
void ProgramMap::OnCompiled() {
  if (!compiling_->execution().ended()) return;
  const std::unique_ptr<Run> compiling = std::move(compiling_);
  const ExecutionResult& result = compiling->execution().result();
  if (!IsFailure(result) && !result.compiled.empty()) {
    compiled_ = std::make_shared<const std::string>(result.compiled);
  }
  StartMore();
  on_progress_();
}

void ProgramMap::StartMore() {
  while (!MayNotStart() && HasRoom() && StartNext()) {
  }
}

bool ProgramMap::StartNext() {
  const int index = next_;
  auto run = std::make_unique<Run>(this, index);
  Run* const started = run.get();
  running_.emplace(index, std::move(run));
  ExecutionRequest request = request_for_(index);
  request.program.compiled = compiled_;
  const absl::Status status = started->Start(std::move(request));
  if (status.ok()) {
    ++next_;
    idle_since_ = absl::InfiniteFuture();
    retry_delay_ = kFirstDelay;
    if (on_started_ != nullptr) on_started_(index);
    return true;
  }
  running_.erase(index);
  if (running_.empty()) idle_since_ = std::min(idle_since_, manager_->loop()->Now());
  // One that has not begun is refused as any other call is.
  if (index > 0 && IsWantOfRoom(status) &&
      manager_->loop()->Now() < idle_since_ + kMaximumWait) {
    TryLater();
    return false;
  }
  failure_ = status;
  return true;
}

void ProgramMap::TryLater() {
  if (retry_timer_ != 0) return;
  retry_timer_ = manager_->loop()->CallAfter(retry_delay_, [this] {
    retry_timer_ = 0;
    retry_delay_ = std::min(2 * retry_delay_, kLongestDelay);
    StartMore();
    // Perhaps that it has failed.
    on_progress_();
  });
}

void ProgramMap::OnProgress(int index) {
  if (index == kCompilation && compiling_ != nullptr) return OnCompiled();
  const auto found = running_.find(index);
  if (found == running_.end() || !found->second->execution().ended()) return;
  const std::unique_ptr<Run> run = std::move(found->second);
  running_.erase(found);
  const Execution& execution = run->execution();
  MapResult result = {
      .index = index, .result = execution.result(), .start_kind = execution.start_kind()};
  result.bytes = BytesOf(result.result);
  const bool is_failure = IsFailure(result.result);
  ++(is_failure ? failed_ : succeeded_);
  held_bytes_ += result.bytes;
  held_.emplace(options_.in_order ? index : ended_, std::move(result));
  ++ended_;
  if (is_failure && options_.stop_on_failure) OnFailed(index);
  StartMore();
  on_progress_();
}

void ProgramMap::OnFailed(int index) {
  // In order, what comes before may still be the first failure.
  end_ = options_.in_order ? std::min(end_, index + 1) : std::min(end_, next_);
  if (!options_.in_order) return running_.clear();
  running_.erase(running_.upper_bound(index), running_.end());
  for (auto held = held_.upper_bound(index); held != held_.end(); held = held_.erase(held)) {
    held_bytes_ -= held->second.bytes;
    --(IsFailure(held->second.result) ? failed_ : succeeded_);
  }
}

}  // namespace cloister::core
