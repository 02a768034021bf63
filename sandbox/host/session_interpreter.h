// What further interpreters of all profiles have in common: a session of cells on a channel of
// their own, and an end in good order. Where it lives, and how it is ended, the subclass knows.
//
// Thread-safety: the loop's thread only.
// Ownership: borrows the parts, which the subclass owns. May be destroyed at any time, from inside
// its observers and callbacks too.

#ifndef CLOISTER_SANDBOX_HOST_SESSION_INTERPRETER_H_
#define CLOISTER_SANDBOX_HOST_SESSION_INTERPRETER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "sandbox/host/host_session.h"
#include "sandbox/host/sandbox_parts.h"
#include "sandbox/interpreter.h"

namespace cloister::sandbox {

class SessionInterpreter : public Interpreter, protected SessionObserver {
 public:
  // How long an end in good order may take.
  static constexpr absl::Duration kEndTimeout = absl::Seconds(5);

  SessionInterpreter(const SessionInterpreter&) = delete;
  SessionInterpreter& operator=(const SessionInterpreter&) = delete;
  ~SessionInterpreter() override { DropSession(); }

  // What became of its opening, never inline; what comes after an error is nothing.
  using OpenedFunction = std::function<void(const absl::Status&)>;
  std::optional<internal::v1::ImportFailed> import_failed() const {
    return session_ == nullptr ? std::nullopt : session_->import_failed();
  }

  // While it is opened: it will not be.
  void FailOpening(const absl::Status& status);

  // It counts among the living as long as somebody holds this.
  void Hold(std::shared_ptr<char> token) { token_ = std::move(token); }

  // Interpreter.
  int64_t id() const override { return parts_->id; }
  void Run(GuestProgram program, const Limits& limits, ExecutionObserver* observer) override;
  void RunCell(CellSettings settings, GuestProgram program, const Limits& limits,
               ExecutionObserver* observer) override;
  void Ask(NotebookQuestion question, NotebookCallback done) override;
  Mailbox& mailbox() override { return session_->mailbox(); }
  bool SendInput(int64_t request, std::optional<std::string> text) override;
  void Interrupt(absl::Duration grace) override { session_->Interrupt(grace); }
  void Stop(StopReason reason) override { session_->Stop(HostStopOf(reason), ""); }
  void PauseOutput() override { parts_->output.Pause(); }
  void ResumeOutput() override;
  internal::v1::InterpreterMemory memory() const override { return session_->memory(); }
  void End(std::function<void(const absl::Status&)> done) override;

 protected:
  explicit SessionInterpreter(SessionObserver* observer) : observer_(observer) {}

  // Once, when the parts are there; then one of the session's openings follows.
  HostSession& MakeSession(SandboxParts* parts, SessionSpec spec, OpenedFunction opened);
  HostSession& session() { return *session_; }
  // In the subclass's destructor, before the parts go.
  void DropSession();
  bool is_opening() const { return opened_ != nullptr; }
  bool is_running() const { return session_ != nullptr && session_->CellIsRunning(); }
  bool is_ending() const { return on_ended_ != nullptr; }

  // Its sandbox, or the process it shares, has ended: tells what runs, or its observer.
  void EndNow(HostStop stop, const std::string& detail);

  // Has the guest end it.
  virtual void BeginEnd() = 0;
  // What BeginEnd asked for has come, or is not to come any more.
  void OnEnded();
  // Expires with the object.
  std::weak_ptr<char> alive() const { return alive_; }
  // Its session is over, however.
  virtual void OnSessionEnded() = 0;

 private:
  // SessionObserver.
  void OnOpened(const absl::Status& status) override;
  void OnLost(const v1::Outcome& how) override;
  void OnLateOutput(int64_t cell, v1::LateOutput output) override;

  void OnEndTimeout();

  SessionObserver* const observer_;
  SandboxParts* parts_ = nullptr;
  std::unique_ptr<HostSession> session_;
  OpenedFunction opened_;
  std::function<void(const absl::Status&)> on_ended_;
  Loop::TimerId end_timer_ = 0;
  std::shared_ptr<char> token_;
  std::shared_ptr<char> alive_ = std::make_shared<char>();  // expires with the object
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_HOST_SESSION_INTERPRETER_H_
