// The questions of notebooks, which take turns with executions.

#include <utility>

#include "absl/strings/str_cat.h"
#include "sandbox/base/foreign_text.h"
#include "service/core/error.h"
#include "service/core/live_interpreter.h"

namespace cloister::core {
namespace {

absl::Status LookupError(const absl::Status& why) {
  return MakeError(v1::ERROR_REASON_LOOKUP_FAILED,
                   absl::StrCat("looking the interpreter's objects up failed: ",
                                sandbox::ForeignLine(std::string(why.message()))));
}

}  // namespace

absl::StatusOr<LiveInterpreter::Ticket> LiveInterpreter::Ask(sandbox::NotebookQuestion question,
                                                             absl::Time deadline,
                                                             sandbox::NotebookCallback done) {
  return Enqueue({.done = [done](const absl::StatusOr<Turn>& turn) { done(turn.status()); },
                  .question = std::move(question),
                  .answer = done},
                 deadline);
}

void LiveInterpreter::ServeQuestion(TurnQueue::Waiter waiter) {
  SetState(v1::Interpreter::STATE_BUSY);
  on_answer_ = std::move(waiter.answer);
  incarnation_->runner().Ask(
      *std::move(waiter.question),
      [weak = weak_from_this(), asked = incarnation_.get()](auto answer) {
        const auto self = weak.lock();
        if (self != nullptr && self->incarnation_.get() == asked) self->OnAnswer(std::move(answer));
      });
}

void LiveInterpreter::OnAnswer(absl::StatusOr<sandbox::NotebookAnswer> answer) {
  // The loss is told next, and why.
  if (absl::IsUnavailable(answer.status()) || on_answer_ == nullptr) return;
  const sandbox::NotebookCallback done = std::exchange(on_answer_, nullptr);
  SetState(v1::Interpreter::STATE_READY);
  if (answer.ok()) {
    done(std::move(answer));
  } else {
    done(LookupError(answer.status()));
  }
  Serve();
}

}  // namespace cloister::core
