// Follows one execution from its start to its end, across lost streams.

#ifndef CLOISTER_CLIENT_EXECUTION_FOLLOWER_H_
#define CLOISTER_CLIENT_EXECUTION_FOLLOWER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "cloister/v1/execution_service.grpc.pb.h"
#include "grpcpp/client_context.h"

namespace cloister::client {

// How patiently a lost stream is re-attached. The delay doubles from `initial_delay` to
// `maximum_delay`; an event received starts the count anew.
struct ReattachPolicy {
  absl::Duration initial_delay = absl::Milliseconds(50);
  absl::Duration maximum_delay = absl::Seconds(2);
  int maximum_attempts = 8;
};

// Delivers every event once and in order. A stream that breaks after `started` is taken up again by
// AttachExecution behind the last event seen; one that breaks before it is not, since nobody knows
// whether the program runs (repeat Execute with the same request_id for that).
//
// For one execution. Thread-safety: Execute or Attach once, on one thread; Cancel and execution()
// from any. Ownership: `stub` must outlive it.
class ExecutionFollower {
 public:
  // Called on the thread of Execute or Attach. Keep-alives are not passed on.
  using EventCallback = std::function<void(const v1::ExecutionEvent& event)>;
  // Told when a stream was lost and will be tried again after `delay`.
  using LostCallback = std::function<void(const grpc::Status& status, absl::Duration delay)>;

  explicit ExecutionFollower(v1::ExecutionService::StubInterface* stub, ReattachPolicy policy = {});

  void set_on_lost(LostCallback on_lost) { on_lost_ = std::move(on_lost); }

  // Both block until `finished` was delivered (OK), Cancel was called (CANCELLED), the service
  // refused, or the stream could not be re-attached (the last status).
  grpc::Status Execute(const v1::ExecuteRequest& request, const EventCallback& on_event);
  grpc::Status Attach(const std::string& execution, int64_t after_sequence,
                      const EventCallback& on_event);

  // Stops following; also from inside the callback. What the server does then is up to
  // on_disconnect.
  void Cancel() ABSL_LOCKS_EXCLUDED(mutex_);

  // `executions/{execution}`; empty until `started` arrived.
  std::string execution() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  template <typename Response, typename Start>
  grpc::Status ReadStream(const Start& start, const EventCallback& on_event);
  void Deliver(const v1::ExecutionEvent& event, const EventCallback& on_event);
  grpc::Status AttachOnce(const EventCallback& on_event);
  grpc::Status FollowToEnd(grpc::Status status, const EventCallback& on_event);
  // False where Cancel was called meanwhile.
  bool Wait(absl::Duration delay) ABSL_LOCKS_EXCLUDED(mutex_);
  bool cancelled() const ABSL_LOCKS_EXCLUDED(mutex_);

  v1::ExecutionService::StubInterface* const stub_;
  const ReattachPolicy policy_;
  LostCallback on_lost_;

  // Of the following thread.
  int64_t last_sequence_ = 0;
  bool finished_ = false;
  int failed_attempts_ = 0;

  mutable absl::Mutex mutex_;
  std::string execution_ ABSL_GUARDED_BY(mutex_);
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
  grpc::ClientContext* context_ ABSL_GUARDED_BY(mutex_) = nullptr;
};

}  // namespace cloister::client

#endif  // CLOISTER_CLIENT_EXECUTION_FOLLOWER_H_
