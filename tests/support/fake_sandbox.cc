#include "tests/support/fake_sandbox.h"

#include <cstdlib>
#include <utility>

namespace cloister::testing {

FakeSandbox::~FakeSandbox() {
  if (!interpreters_.empty()) std::abort();  // they must not outlive it
  factory_->OnDestroyed(id_);
}

void FakeSandbox::Write(std::string_view bytes, sandbox::OutputStream stream) {
  observer_->OnOutput(stream, bytes);
}

void FakeSandbox::Finish(v1::Outcome::Kind kind) {
  sandbox::ExecutionEnd end;
  end.outcome.set_kind(kind);
  end.outcome.set_state_preserved(session_.has_value());
  Finish(std::move(end));
}

void FakeSandbox::Finish(sandbox::ExecutionEnd end) {
  // The call may destroy this object.
  std::exchange(observer_, nullptr)->OnFinished(std::move(end));
}

void FakeSandbox::AccessFiles(internal::v1::FileRequest request, FileCallback done) {
  if (on_file == nullptr) {
    file_requests.emplace_back(std::move(request), std::move(done));
    return;
  }
  factory_->loop()->Post([this, request = std::move(request), done = std::move(done),
                          alive = std::weak_ptr<char>(alive_)] {
    if (!alive.expired()) done(on_file(request));
  });
}

absl::StatusOr<sandbox::NamedChannel> FakeSandbox::OpenChannel(const std::string& name,
                                                               std::optional<uint32_t> capacity) {
  const uint32_t made_with = channels.try_emplace(name, capacity.value_or(0)).first->second;
  if (capacity.value_or(made_with) != made_with) {
    return absl::FailedPreconditionError("it has another capacity");
  }
  sandbox::NamedChannel channel;
  channel.capacity = made_with;
  channel.descriptors.resize(made_with == 0 ? 2 : 3);
  return channel;
}

void FakeSandbox::Run(sandbox::GuestProgram program, const sandbox::Limits& limits,
                      sandbox::ExecutionObserver* observer) {
  program_ = std::move(program);
  limits_ = limits;
  observer_ = observer;
  if (factory_->on_run) factory_->on_run(*this);
}

void FakeSandbox::OpenSession(sandbox::SessionSpec spec, sandbox::SessionObserver* observer) {
  session_ = std::move(spec);
  session_observer_ = observer;
  if (!factory_->answer_sessions) return;
  factory_->loop()->Post([this, alive = std::weak_ptr<char>(alive_)] {
    if (!alive.expired()) session_observer_->OnOpened(factory_->session_error);
  });
}

void FakeSandbox::RunCell(sandbox::CellSettings settings, sandbox::GuestProgram program,
                          const sandbox::Limits& limits, sandbox::ExecutionObserver* observer) {
  cell_ = std::move(settings);
  Run(std::move(program), limits, observer);
}

int64_t FakeSandbox::CreateInterpreter(sandbox::InterpreterSpec spec,
                                       sandbox::SessionObserver* observer,
                                       InterpreterCallback done) {
  pending_interpreters_.push_back({std::move(spec), observer, std::move(done)});
  if (factory_->answer_interpreters) {
    factory_->loop()->Post([this, alive = std::weak_ptr<char>(alive_)] {
      if (!alive.expired()) AnswerInterpreter();
    });
  }
  return ++last_interpreter_;
}

void FakeSandbox::AnswerInterpreter(sandbox::CreatedInterpreter answer) {
  PendingInterpreter pending = std::move(pending_interpreters_.front());
  pending_interpreters_.pop_front();
  if (answer.status.ok()) {
    auto made = std::make_unique<FakeInterpreter>(
        factory_->loop(), std::move(pending.spec), pending.observer,
        [this, index = made_.size()] { std::erase(interpreters_, made_[index]); });
    made_.push_back(made.get());
    interpreters_.push_back(made.get());
    answer.interpreter = std::move(made);
  }
  pending.done(std::move(answer));
}

bool FakeSandbox::SendInput(int64_t request, std::optional<std::string> text) {
  if (request != open_request) return false;
  inputs_.push_back(text.value_or("<end>"));
  return true;
}

void FakeSandbox::Lose(v1::Outcome::Kind kind) {
  v1::Outcome how;
  how.set_kind(kind);
  how.set_detail("lost in the test");
  session_observer_->OnLost(how);
}

void FakeSandbox::SayLate(int64_t cell, const std::string& text) {
  v1::LateOutput output;
  output.set_stdout(text);
  session_observer_->OnLateOutput(cell, std::move(output));
}

void FakeSandbox::AnswerFork(const absl::Status& status) {
  const int count = fork_->count;
  fork_.reset();
  const ForkCallback done = std::exchange(on_forked_, nullptr);
  if (!status.ok()) return done(status);
  std::vector<std::unique_ptr<sandbox::Sandbox>> copies;
  for (int i = 0; i < count; ++i) copies.push_back(factory_->Make(zygote_id_));
  done(std::move(copies));
}

void FakeSandbox::Stop(sandbox::StopReason reason) {
  stops_.push_back(reason);
  // One that a test made by itself, for a single program, ends when the test says so.
  if (!session_.has_value() && factory_->live().count(id_) == 0) return;
  factory_->loop()->Post([this, alive = std::weak_ptr<char>(alive_)] {
    if (alive.expired() || !running()) return;
    sandbox::ExecutionEnd end;
    end.outcome.set_kind(v1::Outcome::KIND_INTERRUPTED);
    Finish(std::move(end));
  });
}

void FakeSandbox::PauseOutput() {
  output_paused_ = true;
  ++pause_count_;
}

void FakeSandboxFactory::AnswerZygote() {
  auto [id, done] = std::move(pending_zygotes_.front());
  pending_zygotes_.pop_front();
  if (zygote_error.ok()) {
    sandbox::ZygoteInfo info;
    info.zygote_id = id;
    info.python_version = "3.14.10";
    done(std::move(info));
  } else {
    done(zygote_error);
  }
}

void FakeSandboxFactory::AnswerSandbox() {
  PendingSandbox pending = std::move(pending_sandboxes_.front());
  pending_sandboxes_.pop_front();
  Deliver(std::move(pending));
}

void FakeSandboxFactory::KillZygote(int64_t zygote_id, const std::string& reason) {
  observer_->OnZygoteExited(zygote_id, reason);
}

void FakeSandboxFactory::LoseIdleSandbox(int64_t sandbox_id) {
  observer_->OnIdleSandboxLost(sandbox_id);
}

void FakeSandboxFactory::ReportGone() {
  for (int64_t id : std::exchange(unreported_, {})) {
    if (observer_ == nullptr) return;
    sandbox::SandboxExit exit;
    exit.sandbox_id = id;
    exit.peak_memory_bytes = peak_memory_bytes;
    observer_->OnSandboxGone(exit);
  }
}

void FakeSandboxFactory::LoseSpawner(const std::string& reason) {
  observer_->OnSpawnerLost(reason);
}

std::vector<FakeSandbox*> FakeSandboxFactory::running() const {
  std::vector<FakeSandbox*> running;
  for (const auto& [id, sandbox] : live_) {
    if (sandbox->running()) running.push_back(sandbox);
  }
  return running;
}

int64_t FakeSandboxFactory::StartZygote(const internal::v1::ZygoteSpec&, ZygoteCallback done) {
  const int64_t id = ++last_id_;
  zygotes_.push_back(id);
  pending_zygotes_.emplace_back(id, std::move(done));
  if (answer_zygotes) loop_->Post([this] { AnswerZygote(); });
  return id;
}

void FakeSandboxFactory::CreateSandbox(int64_t zygote_id, SandboxCallback done) {
  ++requested_count_;
  if (!answer_sandboxes) {
    pending_sandboxes_.push_back({zygote_id, std::move(done)});
    return;
  }
  loop_->CallAfter(create_time, [this, zygote_id, done = std::move(done)]() mutable {
    Deliver({zygote_id, std::move(done)});
  });
}

void FakeSandboxFactory::Deliver(PendingSandbox pending) {
  if (!sandbox_error.ok()) {
    pending.done(sandbox_error);
    return;
  }
  pending.done(Make(pending.zygote_id));
}

std::unique_ptr<FakeSandbox> FakeSandboxFactory::Make(int64_t zygote_id) {
  const int64_t id = ++last_id_;
  ++created_count_;
  last_clones_[zygote_id] = loop_->Now();
  auto sandbox = std::make_unique<FakeSandbox>(this, id, zygote_id);
  live_[id] = sandbox.get();
  return sandbox;
}

void FakeSandboxFactory::OnDestroyed(int64_t sandbox_id) {
  ++destroyed_count_;
  live_.erase(sandbox_id);
  unreported_.push_back(sandbox_id);
  if (report_gone) loop_->Post([this] { ReportGone(); });
}

}  // namespace cloister::testing
