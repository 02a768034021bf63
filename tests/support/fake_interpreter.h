// A further interpreter that exists in the test's imagination only, as fake_sandbox.h's sandboxes
// do.

#ifndef CLOISTER_TESTS_SUPPORT_FAKE_INTERPRETER_H_
#define CLOISTER_TESTS_SUPPORT_FAKE_INTERPRETER_H_

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "sandbox/base/loop.h"
#include "sandbox/interpreter.h"
#include "tests/support/fake_mailbox.h"

namespace cloister::testing {

// Records what it is told; does nothing unless the test makes it. `on_destroyed` is called last.
class FakeInterpreter final : public sandbox::Interpreter {
 public:
  FakeInterpreter(sandbox::Loop* loop, sandbox::InterpreterSpec spec,
                  sandbox::SessionObserver* session_observer, std::function<void()> on_destroyed)
      : loop_(loop),
        spec_(std::move(spec)),
        session_observer_(session_observer),
        on_destroyed_(std::move(on_destroyed)) {}
  ~FakeInterpreter() override { on_destroyed_(); }

  // What the guest does. Finish only after RunCell, once; state is preserved unless `end` says
  // otherwise.
  void Finish(v1::Outcome::Kind kind = v1::Outcome::KIND_SUCCEEDED) {
    sandbox::ExecutionEnd end;
    end.outcome.set_kind(kind);
    end.outcome.set_state_preserved(true);
    Finish(std::move(end));
  }
  void Finish(sandbox::ExecutionEnd end) {
    // The call may destroy this object.
    std::exchange(observer_, nullptr)->OnFinished(std::move(end));
  }
  void Lose(v1::Outcome::Kind kind) {
    v1::Outcome how;
    how.set_kind(kind);
    how.set_detail("lost in the test");
    session_observer_->OnLost(how);
  }

  bool running() const { return observer_ != nullptr; }
  const sandbox::InterpreterSpec& spec() const { return spec_; }
  const sandbox::CellSettings& cell() const { return cell_; }
  const std::vector<absl::Duration>& interrupts() const { return interrupts_; }
  const std::vector<sandbox::StopReason>& stops() const { return stops_; }
  internal::v1::InterpreterMemory held;
  // Of End; null before.
  std::function<void(const absl::Status&)> ending;

  FakeMailbox post;

  // sandbox::Interpreter
  int64_t id() const override { return 1; }
  sandbox::Mailbox& mailbox() override { return post; }
  sandbox::GuestProgram program;  // of the cell that was run last
  void RunCell(sandbox::CellSettings settings, sandbox::GuestProgram cell_program,
               const sandbox::Limits& /*limits*/, sandbox::ExecutionObserver* observer) override {
    cell_ = std::move(settings);
    program = std::move(cell_program);
    observer_ = observer;
  }
  void Run(sandbox::GuestProgram, const sandbox::Limits&, sandbox::ExecutionObserver*) override {}
  void Ask(sandbox::NotebookQuestion, sandbox::NotebookCallback) override {}
  void Interrupt(absl::Duration grace) override { interrupts_.push_back(grace); }
  void Stop(sandbox::StopReason reason) override {
    stops_.push_back(reason);
    loop_->Post([this, alive = std::weak_ptr<char>(alive_)] {
      if (alive.expired() || !running()) return;
      sandbox::ExecutionEnd end;
      end.outcome.set_kind(v1::Outcome::KIND_INTERRUPTED);
      Finish(std::move(end));
    });
  }
  void PauseOutput() override {}
  void ResumeOutput() override {}
  internal::v1::InterpreterMemory memory() const override { return held; }
  void End(std::function<void(const absl::Status&)> done) override { ending = std::move(done); }

 private:
  sandbox::Loop* const loop_;
  const sandbox::InterpreterSpec spec_;
  sandbox::SessionObserver* const session_observer_;
  const std::function<void()> on_destroyed_;
  sandbox::CellSettings cell_;
  sandbox::ExecutionObserver* observer_ = nullptr;
  std::vector<absl::Duration> interrupts_;
  std::vector<sandbox::StopReason> stops_;
  std::shared_ptr<char> alive_ = std::make_shared<char>();  // expires with the object
};

}  // namespace cloister::testing

#endif  // CLOISTER_TESTS_SUPPORT_FAKE_INTERPRETER_H_
