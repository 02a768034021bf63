#include "service/rpc/unary_call.h"

#include "service/rpc/status_mapping.h"

namespace cloister::rpc {

grpc::ServerUnaryReactor* UnaryCall::Start() {
  self_ = shared_from_this();
  if (absl::Status status = Prepare(); !status.ok()) {
    Complete(status);
    return this;
  }
  // Before gRPC learns of this reactor, so that Begin runs before any cancellation.
  backend_.loop->Enter([self = self_] { self->Begin(); });
  return this;
}

void UnaryCall::Complete(const absl::Status& status) {
  if (completed_) return;
  completed_ = true;
  record_.set_status(status);
  Finish(ToGrpcStatus(status));
}

void UnaryCall::OnCancel() {
  backend_.loop->Post([self = shared_from_this()] {
    // gRPC tells of no cancellation once the answer is on its way.
    if (self->completed_) return self->TakeBack();
    self->Abandon();
    self->Complete(absl::CancelledError("the caller has gone"));
  });
}

void UnaryCall::OnDone() {
  record_.End();
  self_.reset();
}

}  // namespace cloister::rpc
