#include "sandbox/host/sandbox_interpreters.h"

#include <utility>
#include <vector>

#include "absl/strings/str_join.h"
#include "sandbox/host/process_interpreter.h"
#include "sandbox/host/thread_interpreter.h"

namespace cloister::sandbox {
namespace {

CreatedInterpreter Failed(absl::Status status) {
  return {.interpreter = nullptr, .status = std::move(status), .import_failed = std::nullopt};
}

absl::Status AbandonedError() { return absl::CancelledError("nobody wants it any more"); }

}  // namespace

int64_t SandboxInterpreters::Create(InterpreterSpec spec, const Limits& limits,
                                    SessionObserver* observer, Sandbox::InterpreterCallback done) {
  const int64_t number = ++last_number_;
  making_.try_emplace(number);
  switch (spec.profile) {
    case InterpreterProfile::kProcess:
      CreateProcess(number, std::move(spec), limits, observer, std::move(done));
      break;
    case InterpreterProfile::kIsolated:
    case InterpreterProfile::kSharedGil:
      CreateThread(number, std::move(spec), limits, observer, std::move(done));
      break;
  }
  return number;
}

void SandboxInterpreters::Abandon(int64_t number) {
  const auto found = making_.find(number);
  if (found == making_.end() || std::exchange(found->second.is_abandoned, true)) return;
  // Never inline. Where its process is not there yet, CanOpen sees that it is not wanted.
  loop_->Post([this, number, alive = std::weak_ptr<char>(alive_)] {
    if (alive.expired()) return;
    const auto making = making_.find(number);
    if (making == making_.end() || making->second.opening == nullptr) return;
    making->second.opening->FailOpening(AbandonedError());
  });
}

bool SandboxInterpreters::CanOpen(int64_t number, absl::Status process,
                                  const Sandbox::InterpreterCallback& done) {
  const auto making = making_.find(number);
  if (process.ok() && making->second.is_abandoned) process = AbandonedError();
  if (process.ok()) return true;
  making_.erase(making);
  done(Failed(std::move(process)));
  return false;
}

void SandboxInterpreters::CreateThread(int64_t number, InterpreterSpec spec, const Limits& limits,
                                       SessionObserver* observer,
                                       Sandbox::InterpreterCallback done) {
  std::shared_ptr<char> held = token(spec.profile);
  awaiting_shared_.push_back([this, number, spec = std::move(spec), limits, observer,
                              done = std::move(done),
                              held = std::move(held)](const absl::Status& status) {
    if (!CanOpen(number, status, done)) return;
    auto made = std::make_unique<ThreadInterpreter>(shared_, observer);
    ThreadInterpreter* const interpreter = made.get();
    interpreter->Hold(held);
    Opened opened = KeepUntilOpened(number, std::move(made), done);
    const absl::Status begun = interpreter->Open(spec, limits, opened);
    if (!begun.ok()) opened(begun);
  });
  if (is_starting_) return;
  is_starting_ = true;
  if (shared_ == nullptr || !shared_->is_usable()) return StartShared(limits);
  loop_->Post([this, limits, alive = std::weak_ptr<char>(alive_)] {
    if (alive.expired()) return;
    // It may have ended since.
    if (shared_ == nullptr || !shared_->is_usable()) return StartShared(limits);
    OnSharedStarted(absl::OkStatus());
  });
}

void SandboxInterpreters::StartShared(const Limits& limits) {
  add_process_([this, limits](auto process) {
    if (!process.ok()) return OnSharedStarted(process.status());
    shared_ = std::make_shared<InterpretersProcess>(*std::move(process), limits);
    // With its last interpreter it is done for, though not from inside its own call. Interpreters, which hold it
    // as well, may outlive this.
    shared_->SetOnEmpty([this, raw = shared_.get(), alive = std::weak_ptr<char>(alive_)] {
      if (alive.expired()) return;
      loop_->Post([this, raw, alive] {
        if (alive.expired() || is_starting_ || shared_.get() != raw) return;
        if (raw->is_empty()) shared_.reset();
      });
    });
    shared_->Open([this, kept = std::weak_ptr<InterpretersProcess>(shared_)](const absl::Status& status) {
      const auto self = kept.lock();  // until it has returned from this
      OnSharedStarted(status);
    });
  });
}

void SandboxInterpreters::OnSharedStarted(const absl::Status& status) {
  is_starting_ = false;
  if (!status.ok()) shared_.reset();
  const std::weak_ptr<char> alive = alive_;
  for (const Opened& waiting : std::exchange(awaiting_shared_, {})) {
    if (!alive.expired()) waiting(status);
  }
  if (alive.expired() || is_starting_) return;
  // Those who waited have gone.
  if (shared_ != nullptr && shared_->is_empty()) shared_.reset();
}

void SandboxInterpreters::CreateProcess(int64_t number, InterpreterSpec spec, const Limits& limits,
                                        SessionObserver* observer,
                                        Sandbox::InterpreterCallback done) {
  SessionSpec session;
  session.limits = limits;
  session.environment = std::move(spec.environment);
  session.imports = std::move(spec.imports);
  // The sandbox, whose this is, calls back only while it lives.
  add_process_([this, number, session = std::move(session), observer, done = std::move(done),
                token = token(spec.profile)](auto process) mutable {
    if (!CanOpen(number, process.status(), done)) return;
    auto made = std::make_unique<ProcessInterpreter>(*std::move(process), observer);
    ProcessInterpreter* const interpreter = made.get();
    interpreter->Hold(std::move(token));
    interpreter->Open(std::move(session), KeepUntilOpened(number, std::move(made), std::move(done)));
  });
}

SandboxInterpreters::Opened SandboxInterpreters::KeepUntilOpened(
    int64_t number, std::unique_ptr<SessionInterpreter> interpreter,
    Sandbox::InterpreterCallback done) {
  making_.at(number).opening = std::move(interpreter);
  return [this, number, done = std::move(done)](const absl::Status& status) {
    std::unique_ptr<SessionInterpreter> opened =
        std::move(making_.extract(number).mapped().opening);
    CreatedInterpreter created = Failed(status);
    created.import_failed = opened->import_failed();
    if (status.ok()) {
      created.interpreter = std::move(opened);
    } else {
      opened.reset();  // before anybody asks what lives
    }
    done(std::move(created));
  };
}

std::string SandboxInterpreters::Living() const {
  constexpr const char* kNames[] = {"an isolated", "a shared_gil", "a process"};
  std::vector<std::string> living;
  for (size_t i = 0; i < tokens_.size(); ++i) {
    if (tokens_[i].use_count() > 1) living.emplace_back(kNames[i]);
  }
  if (living.empty()) return "";
  return absl::StrJoin(living, " and ") + " interpreter is alive";
}

}  // namespace cloister::sandbox
