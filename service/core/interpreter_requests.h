// What code in one interpreter asks about the others of its sandbox: a way into an inbox, a call, a
// new interpreter, an end. A guest reaches nothing outside its own sandbox, whatever it names.
//
// Thread-safety: loop thread only.
// Ownership: nothing is owned; all that Context names must outlive it.

#ifndef CLOISTER_SERVICE_CORE_INTERPRETER_REQUESTS_H_
#define CLOISTER_SERVICE_CORE_INTERPRETER_REQUESTS_H_

#include <string>

#include "absl/status/statusor.h"
#include "service/core/execution_manager.h"
#include "service/core/guest_requests.h"
#include "service/core/interpreter_call.h"
#include "service/core/interpreter_manager.h"
#include "service/core/sandbox_manager.h"
#include "service/core/spawn_turns.h"

namespace cloister::core {

class InterpreterRequests final : public GuestRequests {
 public:
  struct Context {
    SandboxManager* sandboxes;
    InterpreterManager* interpreters;
    ExecutionManager* executions;
    InterpreterCall::ExceptionFunction clone_of;
  };
  explicit InterpreterRequests(const Context& context) : context_(context) {}

  AbandonFunction Serve(const std::string& interpreter, internal::v1::MailboxRequest request,
                        AnswerFunction answer) override;

 private:
  void OpenPort(const std::string& from, const std::string& id, const AnswerFunction& answer);
  void OpenChannel(const std::string& from, const internal::v1::OpenChannel& wish,
                   const AnswerFunction& answer);
  void RemoveChannel(const std::string& from, const std::string& name,
                     const AnswerFunction& answer);
  AbandonFunction Call(const std::string& from, internal::v1::CallInterpreter call,
                       AnswerFunction answer);
  // In its turn.
  AbandonFunction Spawn(const std::string& from, const internal::v1::SpawnInterpreter& wish,
                        AnswerFunction answer);
  AbandonFunction Make(CreateInterpreterRequest request, AnswerFunction answer);
  void End(const std::string& from, const std::string& id, AnswerFunction answer);

  const Context context_;
  SpawnTurns spawns_;
};

}  // namespace cloister::core

#endif  // CLOISTER_SERVICE_CORE_INTERPRETER_REQUESTS_H_
