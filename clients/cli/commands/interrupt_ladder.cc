#include "clients/cli/commands/interrupt_ladder.h"

namespace cloister::cli {

InterruptLadder::InterruptLadder(v1::ExecutionService::StubInterface* stub,
                                 client::ExecutionFollower* follower)
    : stub_(stub), follower_(follower) {}

InterruptLadder::~InterruptLadder() {
  if (!interrupted_) return;
  context_.TryCancel();
  answered_.WaitForNotification();
}

std::string InterruptLadder::Climb() {
  const std::string execution = follower_->execution();
  if (interrupted_ || execution.empty()) {
    follower_->Cancel();
    return "stopped waiting; the server ends the program";
  }
  interrupted_ = true;
  request_.set_execution(execution);
  // The answer is of no interest: the program's end arrives by the stream.
  stub_->async()->InterruptExecution(&context_, &request_, &response_,
                                     [this](const grpc::Status&) { answered_.Notify(); });
  return "interrupting the program; Ctrl-C again to stop waiting";
}

}  // namespace cloister::cli
