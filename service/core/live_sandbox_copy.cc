// The part of LiveSandbox that concerns copies: being one, and having its turn when it is copied.

#include <functional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "service/core/live_sandbox.h"

namespace cloister::core {
namespace {

// For placing files and environment in a copy.
constexpr absl::Duration kSetUpTime = absl::Seconds(10);

// Tells of the end; nothing else of such a cell is anybody's business.
class SetUpObserver final : public sandbox::ExecutionObserver {
 public:
  explicit SetUpObserver(std::function<void(sandbox::ExecutionEnd)> done)
      : done_(std::move(done)) {}
  void OnOutput(sandbox::OutputStream, std::string_view) override {}
  void OnFinished(sandbox::ExecutionEnd end) override { done_(std::move(end)); }

 private:
  const std::function<void(sandbox::ExecutionEnd)> done_;
};

}  // namespace

LiveSandboxSpec LiveSandboxSpec::OfCopy(const sandbox::Limits& limits) const {
  LiveSandboxSpec spec{.template_name = template_name,
                       .snapshot = {},
                       .limits = limits,
                       .environment = environment,
                       .added_environment = {}};
  // Of two with one name the later one holds.
  spec.environment.insert(spec.environment.end(), added_environment.begin(),
                          added_environment.end());
  return spec;
}

void LiveSandbox::Adopt(CopiedSession copy, const std::string& parent) {
  parent_ = parent;
  start_requested_ = context_.loop->Now();
  main_->BeginStart();
  ResumeCopy(std::move(copy));
  FinishStart(absl::OkStatus());
}

absl::Status LiveSandbox::StartFromSnapshot(StartFiles files) {
  // Shared, because a std::function has to be copyable.
  auto held = std::make_shared<StartFiles>(std::move(files));
  return context_.snapshots->CopySnapshot(
      spec_.snapshot, spec_.limits,
      [this, held, alive = std::weak_ptr<char>(alive_)](absl::StatusOr<CopiedSession> copy) {
        if (alive.expired() || state_ != v1::Sandbox::STATE_STARTING) return;
        if (!copy.ok()) return FinishStart(copy.status());
        ResumeCopy(*std::move(copy));
        if (spec_.added_environment.empty() && held->files.empty()) {
          return FinishStart(absl::OkStatus());
        }
        SetUpCopy(std::move(held->files));
      });
}

void LiveSandbox::ResumeCopy(CopiedSession copy) {
  const auto incarnation =
      std::make_shared<Incarnation>(main_->incarnation_owner(), std::move(copy.sandbox));
  main_->Attach(incarnation, v1::START_KIND_WARM, copy.last_cell, copy.last_history);
  incarnation->sandbox()->ResumeSession(incarnation.get());
}

// ---- setting up ---------------------------------------------------------------------------------

void LiveSandbox::SetUpCopy(std::vector<v1::File> files) {
  v1::Program program;
  for (const auto& [name, value] : spec_.added_environment) {
    (*program.mutable_environment())[name] = value;
  }
  for (v1::File& file : files) *program.add_files() = std::move(file);
  sandbox::CellSettings settings;
  settings.number = main_->TakeCell();
  settings.options.set_silent(true);
  settings.options.set_skip_history(true);
  sandbox::Limits limits = spec_.limits;
  limits.wall_time = limits.cpu_time = kSetUpTime;
  // Not from inside the end of the cell, which is the sandbox's call.
  copy_set_up_ = std::make_unique<SetUpObserver>(
      [this, alive = std::weak_ptr<char>(alive_)](sandbox::ExecutionEnd end) {
        context_.loop->Post([this, alive, end = std::move(end)] {
          if (!alive.expired() && state_ == v1::Sandbox::STATE_STARTING) OnCopySetUp(end);
        });
      });
  main_->incarnation()->sandbox()->RunCell(std::move(settings), std::move(program), limits,
                                           copy_set_up_.get());
}

void LiveSandbox::OnCopySetUp(const sandbox::ExecutionEnd& end) {
  copy_set_up_.reset();
  if (!end.status.ok()) return FailStart(end.status);
  if (end.outcome.kind() == v1::Outcome::KIND_SUCCEEDED) return FinishStart(absl::OkStatus());
  const std::string how =
      absl::StrCat(v1::Outcome::Kind_Name(end.outcome.kind()), ": ", end.outcome.detail());
  const bool is_too_much = end.outcome.kind() == v1::Outcome::KIND_RAISED ||
                           end.outcome.kind() == v1::Outcome::KIND_MEMORY_LIMIT;
  FailStart(is_too_much ? absl::ResourceExhaustedError(how) : absl::InternalError(how));
}

// ---- turns --------------------------------------------------------------------------------------

absl::Status LiveSandbox::RequestWork(Work work, absl::Time deadline, Refused refused) {
  if (absl::Status none = further_.CheckNone(); !none.ok()) return none;
  return main_->RequestWork(
      [this, work = std::move(work), refused](std::function<void()> over) {
        BeginWork(work, refused, std::move(over));
      },
      deadline, refused);
}

void LiveSandbox::BeginWork(const Work& work, const Refused& refused, std::function<void()> over) {
  // One may have come since.
  if (const absl::Status none = further_.CheckNone(); !none.ok()) {
    refused(none);
    return over();
  }
  const std::shared_ptr<Incarnation> incarnation = main_->incarnation();
  further_.SetHome(nullptr);
  work(*incarnation->sandbox(), [this, alive = std::weak_ptr<char>(alive_),
                                 which = std::weak_ptr(incarnation), over = std::move(over)] {
    over();
    const auto still = which.lock();
    const bool goes_on = !alive.expired() && still != nullptr && main_->incarnation() == still;
    if (goes_on) further_.SetHome(still);
  });
}

}  // namespace cloister::core
