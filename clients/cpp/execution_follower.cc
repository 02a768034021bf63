#include "cloister/client/execution_follower.h"

#include <algorithm>
#include <utility>

#include "cloister/client/service_error.h"

namespace cloister::client {
namespace {

// Whether the stream ended for reasons of its own, so that the execution may still be followed. An
// answer of Cloister's always has a reason and is final.
bool IsLost(const grpc::Status& status) {
  if (status.ok()) return true;  // ended without `finished`
  switch (status.error_code()) {
    case grpc::StatusCode::UNAVAILABLE:
    case grpc::StatusCode::INTERNAL:
    case grpc::StatusCode::UNKNOWN:
    case grpc::StatusCode::CANCELLED:
      return ParseServiceError(status).reason.empty();
    default:
      return false;
  }
}

}  // namespace

ExecutionFollower::ExecutionFollower(v1::ExecutionService::StubInterface* stub,
                                     ReattachPolicy policy)
    : stub_(stub), policy_(policy) {}

grpc::Status ExecutionFollower::Execute(const v1::ExecuteRequest& request,
                                        const EventCallback& on_event) {
  grpc::Status status = ReadStream<v1::ExecuteResponse>(
      [&](grpc::ClientContext* context) { return stub_->Execute(context, request); }, on_event);
  return FollowToEnd(std::move(status), on_event);
}

grpc::Status ExecutionFollower::Attach(const std::string& execution, int64_t after_sequence,
                                       const EventCallback& on_event) {
  {
    absl::MutexLock lock(&mutex_);
    execution_ = execution;
  }
  last_sequence_ = after_sequence;
  grpc::Status status = AttachOnce(on_event);
  // Not a lost stream but an absent server.
  const bool never_connected = status.error_code() == grpc::StatusCode::UNAVAILABLE;
  if (never_connected && last_sequence_ == after_sequence) return status;
  return FollowToEnd(std::move(status), on_event);
}

void ExecutionFollower::Cancel() {
  absl::MutexLock lock(&mutex_);
  cancelled_ = true;
  if (context_ != nullptr) context_->TryCancel();
}

std::string ExecutionFollower::execution() const {
  absl::MutexLock lock(&mutex_);
  return execution_;
}

template <typename Response, typename Start>
grpc::Status ExecutionFollower::ReadStream(const Start& start, const EventCallback& on_event) {
  grpc::ClientContext context;
  {
    absl::MutexLock lock(&mutex_);
    if (cancelled_) return grpc::Status::CANCELLED;
    context_ = &context;
  }
  auto reader = start(&context);
  Response response;
  while (reader->Read(&response)) Deliver(response.event(), on_event);
  grpc::Status status = reader->Finish();
  absl::MutexLock lock(&mutex_);
  context_ = nullptr;
  return status;
}

void ExecutionFollower::Deliver(const v1::ExecutionEvent& event, const EventCallback& on_event) {
  if (event.sequence() == 0 || event.sequence() <= last_sequence_ || cancelled()) return;
  last_sequence_ = event.sequence();
  failed_attempts_ = 0;
  if (event.has_started()) {
    absl::MutexLock lock(&mutex_);
    execution_ = event.started().execution();
  }
  if (event.has_finished()) finished_ = true;
  on_event(event);
}

grpc::Status ExecutionFollower::AttachOnce(const EventCallback& on_event) {
  v1::AttachExecutionRequest request;
  request.set_execution(execution());
  request.set_after_sequence(last_sequence_);
  return ReadStream<v1::AttachExecutionResponse>(
      [&](grpc::ClientContext* context) { return stub_->AttachExecution(context, request); },
      on_event);
}

grpc::Status ExecutionFollower::FollowToEnd(grpc::Status status, const EventCallback& on_event) {
  while (!finished_) {
    if (cancelled()) return grpc::Status::CANCELLED;
    if (execution().empty() || !IsLost(status)) break;
    if (failed_attempts_ >= policy_.maximum_attempts) break;
    const absl::Duration delay =
        std::min(policy_.initial_delay * (int64_t{1} << std::min(failed_attempts_, 20)),
                 policy_.maximum_delay);
    ++failed_attempts_;
    if (on_lost_) on_lost_(status, delay);
    if (!Wait(delay)) return grpc::Status::CANCELLED;
    status = AttachOnce(on_event);
  }
  if (finished_) return grpc::Status::OK;
  if (!status.ok()) return status;
  return grpc::Status(grpc::StatusCode::UNAVAILABLE, "the stream ended before the program did");
}

bool ExecutionFollower::Wait(absl::Duration delay) {
  absl::MutexLock lock(&mutex_);
  return !mutex_.AwaitWithTimeout(absl::Condition(&cancelled_), delay);
}

bool ExecutionFollower::cancelled() const {
  absl::MutexLock lock(&mutex_);
  return cancelled_;
}

}  // namespace cloister::client
