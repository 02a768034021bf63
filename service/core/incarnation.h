// One start of a live interpreter, until its loss, a restart or the end, and the turns it gives.
//
// A live interpreter lets go of an incarnation at once; the turn that is under way keeps it until
// the end of its program has been told. A further interpreter's keeps that of its sandbox, which
// must not end before it.

#ifndef CLOISTER_SERVICE_CORE_INCARNATION_H_
#define CLOISTER_SERVICE_CORE_INCARNATION_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "sandbox/sandbox.h"

namespace cloister::core {

// The live interpreter, as its incarnation sees it.
class IncarnationOwner {
 public:
  virtual ~IncarnationOwner() = default;
  virtual void OnOpened(const absl::Status& status) = 0;
  // While nothing ran.
  virtual void OnLost(const v1::Outcome& how) = 0;
  virtual void OnLateOutput(int64_t cell, v1::LateOutput output) = 0;
  // Before the execution is told. Without state_preserved it is the end of the incarnation.
  virtual void OnCellEnded(const sandbox::ExecutionEnd& end) = 0;
  // The execution let go of its turn.
  virtual void OnTurnOver() = 0;
};

// Thread-safety: loop thread only.
class Incarnation final : public sandbox::SessionObserver {
 public:
  // Of a further interpreter that is being made: Become follows.
  explicit Incarnation(IncarnationOwner* owner) : owner_(owner) {}
  Incarnation(IncarnationOwner* owner, std::unique_ptr<sandbox::Sandbox> sandbox)
      : owner_(owner), sandbox_(sandbox.get()), runner_(std::move(sandbox)) {}

  // It was made, in the sandbox of that incarnation.
  void Become(std::unique_ptr<sandbox::Interpreter> interpreter,
              std::shared_ptr<Incarnation> home) {
    home_ = std::move(home);
    interpreter_ = interpreter.get();
    runner_ = std::move(interpreter);
  }

  sandbox::CellRunner& runner() { return *runner_; }
  // Null but for `main`.
  sandbox::Sandbox* sandbox() { return sandbox_; }
  // Null for `main`.
  sandbox::Interpreter* interpreter() { return interpreter_; }

  // Tells its owner nothing any more.
  void Leave() { owner_ = nullptr; }
  // The same, and ends what runs.
  void Abandon(sandbox::StopReason reason) {
    Leave();
    runner_->Stop(reason);
  }

  // Null once left.
  IncarnationOwner* owner() const { return owner_; }

  // sandbox::SessionObserver; each may destroy this.
  void OnOpened(const absl::Status& status) override {
    if (owner_ != nullptr) owner_->OnOpened(status);
  }
  void OnLost(const v1::Outcome& how) override {
    if (owner_ != nullptr) owner_->OnLost(how);
  }
  void OnLateOutput(int64_t cell, v1::LateOutput output) override {
    if (owner_ != nullptr) owner_->OnLateOutput(cell, std::move(output));
  }

 private:
  IncarnationOwner* owner_;
  std::shared_ptr<Incarnation> home_;  // outlives the next
  sandbox::Sandbox* sandbox_ = nullptr;
  sandbox::Interpreter* interpreter_ = nullptr;
  std::unique_ptr<sandbox::CellRunner> runner_;
};

// One program's turn.
class CellTurn final : public sandbox::ProgramRunner, private sandbox::ExecutionObserver {
 public:
  CellTurn(std::shared_ptr<Incarnation> incarnation, sandbox::CellSettings settings)
      : incarnation_(std::move(incarnation)), settings_(std::move(settings)) {}
  ~CellTurn() override {
    if (incarnation_->owner() != nullptr) incarnation_->owner()->OnTurnOver();
  }

  // For what comes late from earlier cells. Null before Run and after the end.
  sandbox::ExecutionObserver* observer() const { return observer_; }

  // sandbox::ProgramRunner
  int64_t id() const override { return incarnation_->runner().id(); }
  void Run(sandbox::GuestProgram program, const sandbox::Limits& limits,
           sandbox::ExecutionObserver* observer) override {
    observer_ = observer;
    incarnation_->runner().RunCell(std::move(settings_), std::move(program), limits, this);
  }
  void Interrupt(absl::Duration grace) override { incarnation_->runner().Interrupt(grace); }
  void Stop(sandbox::StopReason reason) override { incarnation_->runner().Stop(reason); }
  void PauseOutput() override { incarnation_->runner().PauseOutput(); }
  void ResumeOutput() override { incarnation_->runner().ResumeOutput(); }
  bool SendInput(int64_t request, std::optional<std::string> text) override {
    return incarnation_->runner().SendInput(request, std::move(text));
  }

 private:
  // sandbox::ExecutionObserver
  void OnOutput(sandbox::OutputStream stream, std::string_view bytes) override {
    observer_->OnOutput(stream, bytes);
  }
  void OnCellEvent(v1::ExecutionEvent event) override { observer_->OnCellEvent(std::move(event)); }
  void OnFinished(sandbox::ExecutionEnd end) override {
    if (incarnation_->owner() != nullptr) incarnation_->owner()->OnCellEnded(end);
    std::exchange(observer_, nullptr)->OnFinished(std::move(end));  // destroys this
  }

  const std::shared_ptr<Incarnation> incarnation_;
  sandbox::CellSettings settings_;
  sandbox::ExecutionObserver* observer_ = nullptr;
};

}  // namespace cloister::core

#endif  // CLOISTER_SERVICE_CORE_INCARNATION_H_
