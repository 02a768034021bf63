#include "service/core/program_map.h"

#include <algorithm>
#include <utility>

namespace cloister::core {
namespace {

bool IsFailure(const ExecutionResult& result) {
  if (!result.status.ok()) return true;
  if (result.outcome.kind() == v1::Outcome::KIND_EXITED) return result.outcome.exit_code() != 0;
  return result.outcome.kind() != v1::Outcome::KIND_SUCCEEDED;
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
                       std::function<void()> on_progress)
    : manager_(manager),
      options_(options),
      request_for_(std::move(request_for)),
      on_progress_(std::move(on_progress)),
      compilation_(std::move(compilation)),
      end_(options.count) {}

ProgramMap::~ProgramMap() = default;

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
  failure_ = compiling_->Start(*std::exchange(compilation_, std::nullopt));
  if (!failure_.ok()) compiling_.reset();
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
  while (!MayNotStart() && HasRoom()) StartNext();
}

void ProgramMap::StartNext() {
  const int index = next_++;
  auto run = std::make_unique<Run>(this, index);
  Run* const started = run.get();
  running_.emplace(index, std::move(run));
  ExecutionRequest request = request_for_(index);
  request.program.compiled = compiled_;
  failure_ = started->Start(std::move(request));
  if (!failure_.ok()) running_.erase(index);
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
