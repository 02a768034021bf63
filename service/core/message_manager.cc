#include "service/core/message_manager.h"

#include <utility>

#include "sandbox/base/status_macros.h"

namespace cloister::core {

absl::StatusOr<std::shared_ptr<LiveInterpreter>> MessageManager::Find(
    const std::string& interpreter) const {
  CLOISTER_ASSIGN_OR_RETURN(std::shared_ptr<LiveInterpreter> live,
                            sandboxes_->FindLive(interpreter));
  CLOISTER_RETURN_IF_ERROR(live->CheckThere());
  return live;
}

absl::Status MessageManager::Post(const std::string& interpreter, std::string clone,
                                  RequestMemory::Share held) {
  CLOISTER_ASSIGN_OR_RETURN(const std::shared_ptr<LiveInterpreter> live, Find(interpreter));
  return live->mail().Post(std::move(clone), std::move(held));
}

absl::StatusOr<std::unique_ptr<MessageConnection>> MessageManager::Connect(
    const std::string& interpreter, HostCallOptions options, MessageListener* listener) {
  CLOISTER_RETURN_IF_ERROR(sandboxes_->CheckNotDraining());
  CLOISTER_ASSIGN_OR_RETURN(const std::shared_ptr<LiveInterpreter> live, Find(interpreter));
  return live->mail().Connect(std::move(options), listener);
}

}  // namespace cloister::core
