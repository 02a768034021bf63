// The questions of notebooks, which take turns with executions.

#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "service/core/error.h"
#include "service/core/live_sandbox.h"

namespace cloister::core {
namespace {

// What a guest says of itself is quoted.
absl::Status LookupError(const absl::Status& why) {
  constexpr size_t kMaxQuotedBytes = 300;
  return MakeError(v1::ERROR_REASON_LOOKUP_FAILED,
                   absl::StrCat("looking the interpreter's objects up failed: ",
                                absl::CHexEscape(why.message().substr(0, kMaxQuotedBytes))));
}

}  // namespace

absl::StatusOr<LiveSandbox::Ticket> LiveSandbox::Ask(sandbox::NotebookQuestion question,
                                                     absl::Time deadline,
                                                     sandbox::NotebookCallback done) {
  return Enqueue({.done = [done](const absl::StatusOr<Turn>& turn) { done(turn.status()); },
                  .question = std::move(question),
                  .answer = done},
                 deadline);
}

void LiveSandbox::ServeQuestion(TurnQueue::Waiter waiter) {
  SetState(v1::Sandbox::STATE_BUSY);
  on_answer_ = std::move(waiter.answer);
  incarnation_->sandbox().Ask(*std::move(waiter.question),
                              [this, alive = std::weak_ptr<char>(alive_)](auto answer) {
                                if (!alive.expired()) OnAnswer(std::move(answer));
                              });
}

void LiveSandbox::OnAnswer(absl::StatusOr<sandbox::NotebookAnswer> answer) {
  // The loss is told next, and why.
  if (absl::IsUnavailable(answer.status()) || on_answer_ == nullptr) return;
  const sandbox::NotebookCallback done = std::exchange(on_answer_, nullptr);
  SetState(v1::Sandbox::STATE_READY);
  const std::weak_ptr<char> alive = alive_;
  if (answer.ok()) {
    done(std::move(answer));
  } else {
    done(LookupError(answer.status()));
  }
  if (!alive.expired()) Serve();
}

void LiveSandbox::FailQuestion(const absl::Status& why) {
  if (const auto done = std::exchange(on_answer_, nullptr)) done(why);
}

}  // namespace cloister::core
