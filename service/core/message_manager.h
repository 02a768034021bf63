// Messages between clients and the interpreters of live sandboxes, by name.

#ifndef CLOISTER_SERVICE_CORE_MESSAGE_MANAGER_H_
#define CLOISTER_SERVICE_CORE_MESSAGE_MANAGER_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "service/core/message_connection.h"
#include "service/core/request_memory.h"
#include "service/core/sandbox_manager.h"

namespace cloister::core {

// Thread-safety: loop thread only. Ownership: `sandboxes` must outlive it, and the connections.
class MessageManager {
 public:
  explicit MessageManager(SandboxManager* sandboxes) : sandboxes_(sandboxes) {}

  // Errors, of both: SANDBOX_NOT_FOUND, SANDBOX_EXPIRED, SANDBOX_LOST, INTERPRETER_NOT_FOUND, INTERPRETER_LOST.

  // Into the inbox of an interpreter. Errors: INBOX_FULL, OVERLOADED.
  absl::Status Post(const std::string& interpreter, std::string clone, RequestMemory::Share held);
  // Errors: ALREADY_CONNECTED, SERVER_DRAINING.
  absl::StatusOr<std::unique_ptr<MessageConnection>> Connect(const std::string& interpreter, HostCallOptions options,
                                                             MessageListener* listener);

 private:
  absl::StatusOr<std::shared_ptr<LiveInterpreter>> Find(const std::string& interpreter) const;

  SandboxManager* const sandboxes_;
};

}  // namespace cloister::core

#endif  // CLOISTER_SERVICE_CORE_MESSAGE_MANAGER_H_
