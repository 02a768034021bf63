// What Ctrl-C does while a program is followed: the first asks the server to interrupt the program,
// whose end is then still shown; the second stops waiting for it.

#ifndef CLOISTER_CLIENTS_CLI_COMMANDS_INTERRUPT_LADDER_H_
#define CLOISTER_CLIENTS_CLI_COMMANDS_INTERRUPT_LADDER_H_

#include <string>

#include "absl/synchronization/notification.h"
#include "cloister/client/execution_follower.h"

namespace cloister::cli {

// Thread-safety: Climb from one thread at a time, any thread. Ownership: stub and follower must
// outlive it; the destructor waits for a call under way, after cancelling it.
class InterruptLadder {
 public:
  InterruptLadder(v1::ExecutionService::StubInterface* stub, client::ExecutionFollower* follower);
  ~InterruptLadder();

  // One Ctrl-C. Never blocks. Returns what to tell the user.
  std::string Climb();

 private:
  v1::ExecutionService::StubInterface* const stub_;
  client::ExecutionFollower* const follower_;

  bool interrupted_ = false;
  grpc::ClientContext context_;
  v1::InterruptExecutionRequest request_;
  v1::InterruptExecutionResponse response_;
  absl::Notification answered_;
};

}  // namespace cloister::cli

#endif  // CLOISTER_CLIENTS_CLI_COMMANDS_INTERRUPT_LADDER_H_
