// One interpreter in the life of a live sandbox, from its lease to its loss, a restart or the end,
// and the turns it gives.
//
// A live sandbox lets go of an incarnation at once; the turn that is under way keeps it until the
// end of its program has been told.

#ifndef CLOISTER_SERVICE_CORE_INCARNATION_H_
#define CLOISTER_SERVICE_CORE_INCARNATION_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "sandbox/sandbox.h"

namespace cloister::core {

// The live sandbox, as its incarnation sees it.
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
  Incarnation(IncarnationOwner* owner, std::unique_ptr<sandbox::Sandbox> sandbox)
      : owner_(owner), sandbox_(std::move(sandbox)) {}

  sandbox::Sandbox& sandbox() { return *sandbox_; }

  // Tells its owner nothing any more, and ends what runs.
  void Abandon(sandbox::StopReason reason) {
    owner_ = nullptr;
    sandbox_->Stop(reason);
  }

  // Null once abandoned.
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
  const std::unique_ptr<sandbox::Sandbox> sandbox_;
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
  int64_t id() const override { return incarnation_->sandbox().id(); }
  void Run(v1::Program program, const sandbox::Limits& limits,
           sandbox::ExecutionObserver* observer) override {
    observer_ = observer;
    incarnation_->sandbox().RunCell(std::move(settings_), std::move(program), limits, this);
  }
  void Interrupt(absl::Duration grace) override { incarnation_->sandbox().Interrupt(grace); }
  void Stop(sandbox::StopReason reason) override { incarnation_->sandbox().Stop(reason); }
  void PauseOutput() override { incarnation_->sandbox().PauseOutput(); }
  void ResumeOutput() override { incarnation_->sandbox().ResumeOutput(); }
  bool SendInput(int64_t request, std::optional<std::string> text) override {
    return incarnation_->sandbox().SendInput(request, std::move(text));
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
