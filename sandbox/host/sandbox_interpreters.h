// The further interpreters of one live sandbox: makes them, and knows which live.
//
// Thread-safety: the loop's thread only.
// Ownership: of interpreters until they are handed over, which are ended with it.

#ifndef CLOISTER_SANDBOX_HOST_SANDBOX_INTERPRETERS_H_
#define CLOISTER_SANDBOX_HOST_SANDBOX_INTERPRETERS_H_

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "sandbox/base/limits.h"
#include "sandbox/host/interpreters_process.h"
#include "sandbox/host/member_process.h"
#include "sandbox/host/sandbox_parts.h"
#include "sandbox/host/session_interpreter.h"
#include "sandbox/sandbox.h"

namespace cloister::sandbox {

class SandboxInterpreters {
 public:
  // Makes a further process of the sandbox.
  using AddProcess = std::function<void(SandboxControl::ProcessCallback)>;

  SandboxInterpreters(Loop* loop, AddProcess add_process)
      : loop_(loop), add_process_(std::move(add_process)) {}
  SandboxInterpreters(const SandboxInterpreters&) = delete;
  SandboxInterpreters& operator=(const SandboxInterpreters&) = delete;

  // As Sandbox::CreateInterpreter. `limits` are the sandbox's.
  int64_t Create(InterpreterSpec spec, const Limits& limits, SessionObserver* observer,
                 Sandbox::InterpreterCallback done);
  // As Sandbox::AbandonInterpreter.
  void Abandon(int64_t number);

  // Which of them live, for people; empty where none does.
  std::string Living() const;

 private:
  using Opened = std::function<void(const absl::Status&)>;
  // One that was asked for and not handed over.
  struct Making {
    std::unique_ptr<SessionInterpreter> opening = nullptr;  // null until its process is there
    bool is_abandoned = false;
  };

  void CreateProcess(int64_t number, InterpreterSpec spec, const Limits& limits,
                     SessionObserver* observer, Sandbox::InterpreterCallback done);
  // In the process they share, which the first one starts.
  void CreateThread(int64_t number, InterpreterSpec spec, const Limits& limits,
                    SessionObserver* observer, Sandbox::InterpreterCallback done);
  // Its process is there, or is not to come: whether to go on. If not, `done` was told.
  bool CanOpen(int64_t number, absl::Status process, const Sandbox::InterpreterCallback& done);
  void StartShared(const Limits& limits);
  // It is there, or will not be.
  void OnSharedStarted(const absl::Status& status);
  // Keeps it until it is open; then hands it over.
  Opened KeepUntilOpened(int64_t number, std::unique_ptr<SessionInterpreter> interpreter,
                         Sandbox::InterpreterCallback done);
  std::shared_ptr<char>& token(InterpreterProfile profile) {
    return tokens_[static_cast<size_t>(profile)];
  }

  Loop* const loop_;
  const AddProcess add_process_;
  // Held by each that lives or is made, of each profile.
  std::array<std::shared_ptr<char>, 3> tokens_ = {
      std::make_shared<char>(), std::make_shared<char>(), std::make_shared<char>()};
  std::shared_ptr<InterpretersProcess> shared_;
  bool is_starting_ = false;
  std::vector<Opened> awaiting_shared_;
  int64_t last_number_ = 0;
  std::unordered_map<int64_t, Making> making_;
  std::shared_ptr<char> alive_ = std::make_shared<char>();  // expires with the object
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_HOST_SANDBOX_INTERPRETERS_H_
