// What metrics and logs are told of calls, whatever carries them. Does nothing unless overridden.

#ifndef CLOISTER_SERVICE_CORE_CALL_OBSERVER_H_
#define CLOISTER_SERVICE_CORE_CALL_OBSERVER_H_

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace cloister::core {

enum class CallMethod {
  kRunCode,
  kExecute,
  kCallFunction,
  kMapCode,
  kAttachExecution,
  kInterruptExecution,
  kSendInput,
  kCreateSandbox,
  kGetSandbox,
  kListSandboxes,
  kUpdateSandbox,
  kDeleteSandbox,
  kRestartSandbox,
  kComplete,
  kInspect,
  kCheckComplete,
  kForkSandbox,
  kCreateSnapshot,
  kGetSnapshot,
  kListSnapshots,
  kDeleteSnapshot,
  kCreateInterpreter,
  kGetInterpreter,
  kListInterpreters,
  kRestartInterpreter,
  kDeleteInterpreter,
  kGetInfo,
  kWriteFile,
  kReadFile,
  kStatFile,
  kListFiles,
  kRemoveFile,
  kMakeDirectory,
  kPostMessage,
  kConnect,
};

// Full names, in the order of the enum.
inline constexpr std::array<std::string_view, 35> kCallMethodNames = {
    "cloister.v1.ExecutionService/RunCode",
    "cloister.v1.ExecutionService/Execute",
    "cloister.v1.ExecutionService/CallFunction",
    "cloister.v1.ExecutionService/MapCode",
    "cloister.v1.ExecutionService/AttachExecution",
    "cloister.v1.ExecutionService/InterruptExecution",
    "cloister.v1.ExecutionService/SendInput",
    "cloister.v1.SandboxService/CreateSandbox",
    "cloister.v1.SandboxService/GetSandbox",
    "cloister.v1.SandboxService/ListSandboxes",
    "cloister.v1.SandboxService/UpdateSandbox",
    "cloister.v1.SandboxService/DeleteSandbox",
    "cloister.v1.SandboxService/RestartSandbox",
    "cloister.v1.InterpreterService/Complete",
    "cloister.v1.InterpreterService/Inspect",
    "cloister.v1.InterpreterService/CheckComplete",
    "cloister.v1.SandboxService/ForkSandbox",
    "cloister.v1.SandboxService/CreateSnapshot",
    "cloister.v1.SandboxService/GetSnapshot",
    "cloister.v1.SandboxService/ListSnapshots",
    "cloister.v1.SandboxService/DeleteSnapshot",
    "cloister.v1.InterpreterService/CreateInterpreter",
    "cloister.v1.InterpreterService/GetInterpreter",
    "cloister.v1.InterpreterService/ListInterpreters",
    "cloister.v1.InterpreterService/RestartInterpreter",
    "cloister.v1.InterpreterService/DeleteInterpreter",
    "cloister.v1.InfoService/GetInfo",
    "cloister.v1.FileService/WriteFile",
    "cloister.v1.FileService/ReadFile",
    "cloister.v1.FileService/StatFile",
    "cloister.v1.FileService/ListFiles",
    "cloister.v1.FileService/RemoveFile",
    "cloister.v1.FileService/MakeDirectory",
    "cloister.v1.MessageService/PostMessage",
    "cloister.v1.MessageService/Connect",
};

// Who made a call, and about what: for a record of who did what. No code, no data, and never a
// credential.
struct CallParties {
  std::string tenant;
  // Which credential, not itself: "token:" and part of its hash, or "none".
  std::string credential;
  // As the transport names it.
  std::string peer;
  // Names of what the request is about, and of what the call has made, with commas; at most some
  // hundred bytes.
  std::string subject = {};
  std::string made = {};
};

// Thread-safety: called on any thread; must return quickly.
class CallObserver {
 public:
  virtual ~CallObserver() = default;
  virtual void OnCallStarted(CallMethod /*method*/) {}
  // `status` is what the caller was told; CANCELLED where it had gone.
  virtual void OnCallEnded(CallMethod /*method*/, const absl::Status& /*status*/,
                           absl::Duration /*took*/) {}
  // Of calls whose parties are recorded, beside OnCallEnded.
  virtual void OnCallAudited(CallMethod /*method*/, const CallParties& /*parties*/,
                             const absl::Status& /*status*/, absl::Duration /*took*/) {}
  // Requests that have not started hold so many bytes more, or less.
  virtual void OnRequestBytes(int64_t /*change*/) {}
};

}  // namespace cloister::core

#endif  // CLOISTER_SERVICE_CORE_CALL_OBSERVER_H_
