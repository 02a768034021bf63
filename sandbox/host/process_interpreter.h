// An interpreter in a further process of a live sandbox: everything loads there, and nothing of it
// touches the others.
//
// Thread-safety: the loop's thread only. Ownership: of the process.

#ifndef CLOISTER_SANDBOX_HOST_PROCESS_INTERPRETER_H_
#define CLOISTER_SANDBOX_HOST_PROCESS_INTERPRETER_H_

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "sandbox/host/member_process.h"
#include "sandbox/host/session_interpreter.h"

namespace cloister::sandbox {

class ProcessInterpreter final : public SessionInterpreter, private MemberProcess::User {
 public:
  ProcessInterpreter(std::unique_ptr<MemberProcess> process, SessionObserver* observer)
      : SessionInterpreter(observer), process_(std::move(process)) {
    process_->SetUser(this);
  }
  ~ProcessInterpreter() override {
    process_->SetUser(nullptr);
    DropSession();
  }

  // Once, as the first thing.
  void Open(SessionSpec spec, OpenedFunction opened) {
    MakeSession(process_->parts(), std::move(spec), std::move(opened)).Open(std::nullopt);
  }

 private:
  // SessionInterpreter.
  void BeginEnd() override { session().Leave(kEndTimeout); }
  void OnSessionEnded() override { OnEnded(); }

  // MemberProcess::User.
  void OnSignaled() override { session().OnSignaled(); }
  void OnExited(const internal::v1::SandboxExited& exit) override { session().OnExited(exit); }
  void OnSandboxEnded(HostStop stop, const std::string& detail) override { EndNow(stop, detail); }

  const std::unique_ptr<MemberProcess> process_;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_HOST_PROCESS_INTERPRETER_H_
