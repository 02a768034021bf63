// One unary call: begins on a gRPC thread, does its work on the loop, and outlives every race
// between completion and cancellation.

#ifndef CLOISTER_SERVICE_RPC_UNARY_CALL_H_
#define CLOISTER_SERVICE_RPC_UNARY_CALL_H_

#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "grpcpp/support/server_callback.h"
#include "service/rpc/gate.h"

namespace cloister::rpc {

// The request and the response belong to gRPC and live until OnDone, which cannot come before
// Complete; so a subclass may touch them until it has called Complete, and not afterwards.
//
// Thread-safety: as marked at each method. Ownership: keeps itself alive from Start to OnDone, and
// beyond that while the loop still holds something that refers to it.
class UnaryCall : public grpc::ServerUnaryReactor, public std::enable_shared_from_this<UnaryCall> {
 public:
  // gRPC thread, once. Returns itself, for the handler to return.
  grpc::ServerUnaryReactor* Start();

 protected:
  explicit UnaryCall(Admission admission)
      : backend_(*admission.backend), record_(std::move(admission.record)) {}

  // gRPC thread: judges the request. An error completes the call.
  virtual absl::Status Prepare() { return absl::OkStatus(); }
  // Loop: does the work, then or later calls Complete.
  virtual void Begin() = 0;
  // Loop: the caller has gone and Complete was not called yet; it will be, after this.
  virtual void Abandon() {}
  // Loop: the caller had gone before the answer of Complete was sent, so it does not know of what the
  // call has made. Of an answer that was sent nobody learns whether it arrived.
  virtual void TakeBack() {}

  // Loop: ends the call, once; later calls are ignored.
  void Complete(const absl::Status& status);
  bool completed() const { return completed_; }

  const Backend& backend() const { return backend_; }

 private:
  void OnCancel() final;
  void OnDone() final;
  // OnCancel and OnDone need no thread of gRPC's executor, which has to be woken for each: they only
  // count and post. gRPC calls this no API; without it calls cost more and work as well.
  bool InternalInlineable() final { return true; }

  const Backend& backend_;
  CallRecord record_;
  bool completed_ = false;  // loop, or before Start returns
  std::shared_ptr<UnaryCall> self_;
};

}  // namespace cloister::rpc

#endif  // CLOISTER_SERVICE_RPC_UNARY_CALL_H_
