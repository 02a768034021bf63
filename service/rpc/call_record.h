// Tells the observer of one call, from its start to its end.

#ifndef CLOISTER_SERVICE_RPC_CALL_RECORD_H_
#define CLOISTER_SERVICE_RPC_CALL_RECORD_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "sandbox/base/monotonic_time.h"
#include "service/core/call_observer.h"
#include "service/rpc/call_subject.h"

namespace cloister::rpc {

// Thread-safety: none; set_status happens before the destructor through gRPC's own ordering of
// Finish and OnDone.
class CallRecord {
 public:
  // `parties`: null where nobody wants to know.
  CallRecord(core::CallObserver* observer, core::CallMethod method,
             std::unique_ptr<core::CallParties> parties = nullptr)
      : observer_(observer),
        method_(method),
        started_(sandbox::MonotonicNanoseconds()),
        parties_(std::move(parties)) {
    observer_->OnCallStarted(method_);
  }
  // The call is that of the new one alone.
  CallRecord(CallRecord&&) = default;
  CallRecord& operator=(const CallRecord&) = delete;

  void set_status(absl::Status status) { status_ = std::move(status); }

  template <typename Request>
  void NoteSubject(const Request& request) {
    if (parties_ != nullptr) parties_->subject = SubjectOf(request);
  }
  // `response` is looked at when the call ends well.
  template <typename Response>
  void NoteResponse(const Response* response) {
    if (parties_ != nullptr) made_ = [response] { return MadeBy(*response); };
  }

  // Once, at the very end.
  void End() {
    const absl::Duration took = absl::Nanoseconds(sandbox::MonotonicNanoseconds() - started_);
    if (parties_ != nullptr) {
      if (made_ && status_.ok()) parties_->made = made_();
      observer_->OnCallAudited(method_, *parties_, status_, took);
    }
    observer_->OnCallEnded(method_, status_, took);
  }

 private:
  core::CallObserver* const observer_;
  const core::CallMethod method_;
  const int64_t started_;
  std::unique_ptr<core::CallParties> parties_;
  std::function<std::string()> made_;
  absl::Status status_;
};

}  // namespace cloister::rpc

#endif  // CLOISTER_SERVICE_RPC_CALL_RECORD_H_
