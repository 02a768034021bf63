// Tells the observer of one call, from its start to its end.

#ifndef CLOISTER_SERVICE_RPC_CALL_RECORD_H_
#define CLOISTER_SERVICE_RPC_CALL_RECORD_H_

#include <cstdint>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "sandbox/base/monotonic_time.h"
#include "service/core/call_observer.h"

namespace cloister::rpc {

// Thread-safety: none; set_status happens before the destructor through gRPC's own ordering of
// Finish and OnDone.
class CallRecord {
 public:
  CallRecord(core::CallObserver* observer, core::CallMethod method)
      : observer_(observer), method_(method), started_(sandbox::MonotonicNanoseconds()) {
    observer_->OnCallStarted(method_);
  }
  // The call is that of the new one alone.
  CallRecord(CallRecord&&) = default;
  CallRecord& operator=(const CallRecord&) = delete;

  void set_status(absl::Status status) { status_ = std::move(status); }

  // Once, at the very end.
  void End() {
    const int64_t took = sandbox::MonotonicNanoseconds() - started_;
    observer_->OnCallEnded(method_, status_, absl::Nanoseconds(took));
  }

 private:
  core::CallObserver* const observer_;
  const core::CallMethod method_;
  const int64_t started_;
  absl::Status status_;
};

}  // namespace cloister::rpc

#endif  // CLOISTER_SERVICE_RPC_CALL_RECORD_H_
