// A call of a function in one interpreter for code in another: an ordinary execution, in its turn.
//
// Thread-safety: loop thread only.
// Ownership: shared by who waits for it and the loop. Dropping it interrupts what runs.

#ifndef CLOISTER_SERVICE_CORE_INTERPRETER_CALL_H_
#define CLOISTER_SERVICE_CORE_INTERPRETER_CALL_H_

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "cloister/internal/v1/mailbox.pb.h"
#include "service/core/execution_manager.h"

namespace cloister::core {

// The name of the one function that this source defines. INVALID_ARGUMENT, for who sent it.
absl::StatusOr<std::string> FunctionOfSource(std::string_view source);

class InterpreterCall final : public ExecutionListener {
 public:
  using AnswerFunction = std::function<void(internal::v1::MailboxReply)>;

  // The clone of what an execution raised.
  using ExceptionFunction = std::function<std::string(const v1::Exception&)>;

  InterpreterCall(ExceptionFunction clone_of, AnswerFunction answer)
      : clone_of_(std::move(clone_of)), answer_(std::move(answer)) {}
  InterpreterCall(const InterpreterCall&) = delete;
  InterpreterCall& operator=(const InterpreterCall&) = delete;

  // Once. `interpreter` is the full name of the called one; `answer` follows once, perhaps inline.
  void Start(ExecutionManager& executions, const std::string& interpreter,
             internal::v1::CallInterpreter call);

 private:
  // ExecutionListener
  void OnProgress() override;
  void Answer(internal::v1::MailboxReply reply);
  internal::v1::MailboxReply ReplyOf(const ExecutionResult& result) const;

  const ExceptionFunction clone_of_;
  AnswerFunction answer_;
  std::unique_ptr<Subscription> subscription_;
};

}  // namespace cloister::core

#endif  // CLOISTER_SERVICE_CORE_INTERPRETER_CALL_H_
