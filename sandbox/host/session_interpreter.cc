#include "sandbox/host/session_interpreter.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace cloister::sandbox {

void SessionInterpreter::DropSession() {
  if (session_ != nullptr) parts_->loop->Cancel(end_timer_);
  session_.reset();
}

HostSession& SessionInterpreter::MakeSession(SandboxParts* parts, SessionSpec spec,
                                             OpenedFunction opened) {
  parts_ = parts;
  opened_ = std::move(opened);
  SessionObserver* const self = this;
  session_ = std::make_unique<HostSession>(parts, std::move(spec), self);
  session_->SetOnEnded([this](const std::string&) { OnSessionEnded(); });
  return *session_;
}

// ---- opening ------------------------------------------------------------------------------------

void SessionInterpreter::OnOpened(const absl::Status& status) {
  if (const auto opened = std::exchange(opened_, nullptr)) opened(status);  // may destroy this
}

void SessionInterpreter::FailOpening(const absl::Status& status) { OnOpened(status); }

// ---- cells --------------------------------------------------------------------------------------

// Only sandboxes made for one program run one.
void SessionInterpreter::Run(GuestProgram, const Limits&, ExecutionObserver* observer) {
  parts_->loop->Post([observer] {
    observer->OnFinished(
        {.status = absl::InternalError("an interpreter runs cells"), .outcome = {}, .files = {}});
  });
}

void SessionInterpreter::RunCell(CellSettings settings, GuestProgram program, const Limits& limits,
                                 ExecutionObserver* observer) {
  session_->RunCell(std::move(settings), std::move(program), limits, observer);
}

void SessionInterpreter::Ask(NotebookQuestion question, NotebookCallback done) {
  session_->Ask(std::move(question), std::move(done));
}

bool SessionInterpreter::SendInput(int64_t request, std::optional<std::string> text) {
  return session_->SendInput(request, std::move(text));
}

void SessionInterpreter::ResumeOutput() {
  parts_->output.Resume();
  session_->ResumeFrames();
}

void SessionInterpreter::OnLost(const v1::Outcome& how) {
  // Of one that shall end nobody wonders how.
  if (!is_ending()) observer_->OnLost(how);
}

void SessionInterpreter::OnLateOutput(int64_t cell, v1::LateOutput output) {
  observer_->OnLateOutput(cell, std::move(output));
}

// ---- the end ------------------------------------------------------------------------------------

void SessionInterpreter::EndNow(HostStop stop, const std::string& detail) {
  if (is_opening()) {
    return FailOpening(absl::UnavailableError(
        detail.empty() ? "the sandbox has ended" : absl::StrCat("it was not opened: ", detail)));
  }
  session_->EndNow(stop, detail);
}

void SessionInterpreter::End(std::function<void(const absl::Status&)> done) {
  if (is_ending()) return;
  on_ended_ = std::move(done);
  end_timer_ = parts_->loop->CallAfter(kEndTimeout, [this] { OnEndTimeout(); });
  if (!session_->has_ended()) return BeginEnd();
  parts_->loop->Post([this, alive = std::weak_ptr<char>(alive_)] {
    if (!alive.expired()) OnEnded();
  });
}

void SessionInterpreter::OnEnded() {
  parts_->loop->Cancel(end_timer_);
  if (const auto done = std::exchange(on_ended_, nullptr)) done(absl::OkStatus());
}

void SessionInterpreter::OnEndTimeout() {
  const std::weak_ptr<char> alive = alive_;
  session_->EndNow(HostStop::kInterruptGrace, "");  // kills it, and tells what runs
  if (alive.expired()) return;
  parts_->control->Kill(parts_->id);
  if (const auto done = std::exchange(on_ended_, nullptr)) {
    done(absl::DeadlineExceededError(absl::StrCat(
        "it did not end within ", absl::FormatDuration(kEndTimeout), " and was killed")));
  }
}

}  // namespace cloister::sandbox
