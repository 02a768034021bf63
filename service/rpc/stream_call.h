// One server-streaming call: an EventPump on the loop, and gRPC's reactor round it.

#ifndef CLOISTER_SERVICE_RPC_STREAM_CALL_H_
#define CLOISTER_SERVICE_RPC_STREAM_CALL_H_

#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "grpcpp/support/server_callback.h"
#include "service/rpc/event_pump.h"
#include "service/rpc/gate.h"
#include "service/rpc/status_mapping.h"

namespace cloister::rpc {

// `Response` wraps one ExecutionEvent in its field `event`.
//
// Thread-safety and ownership: as UnaryCall. After the pump's last Write or its Finish, only OnDone
// follows.
template <typename Response>
class StreamCall : public grpc::ServerWriteReactor<Response>,
                   public std::enable_shared_from_this<StreamCall<Response>>,
                   private EventSink {
 public:
  // gRPC thread, once. Returns itself, for the handler to return.
  grpc::ServerWriteReactor<Response>* Start() {
    self_ = this->shared_from_this();
    if (absl::Status status = Prepare(); !status.ok()) {
      Finish(status);
      return this;
    }
    // Before gRPC learns of this reactor, so that Begin runs before any cancellation.
    backend_.loop->Enter([self = self_] { self->Begin(&self->pump_); });
    return this;
  }

 protected:
  explicit StreamCall(Admission admission)
      : backend_(*admission.backend),
        record_(std::move(admission.record)),
        pump_(backend_.loop, this, backend_.keep_alive_interval) {}

  // gRPC thread: judges the request. An error ends the call.
  virtual absl::Status Prepare() = 0;
  // Loop: subscribes, and starts the pump or fails it.
  virtual void Begin(EventPump* pump) = 0;

  const Backend& backend() const { return backend_; }

 private:
  using Reactor = grpc::ServerWriteReactor<Response>;

  // EventSink, on the loop.
  void Write(v1::ExecutionEvent event, bool last) final {
    *response_.mutable_event() = std::move(event);
    if (last) {
      Reactor::StartWriteAndFinish(&response_, grpc::WriteOptions(), grpc::Status::OK);
    } else {
      Reactor::StartWrite(&response_);
    }
  }
  void Finish(const absl::Status& status) final {
    record_.set_status(status);
    Reactor::Finish(ToGrpcStatus(status));
  }

  // gRPC threads.
  void OnWriteDone(bool ok) final {
    backend_.loop->Enter([self = this->shared_from_this(), ok] { self->pump_.OnWritten(ok); });
  }
  void OnCancel() final {
    backend_.loop->Post([self = this->shared_from_this()] {
      self->pump_.Fail(absl::CancelledError("the caller has gone"));
    });
  }
  void OnDone() final {
    record_.End();
    // The pump's timer and subscription belong to the loop, so the call is let go of there.
    backend_.loop->Enter([self = std::move(self_)] {});
  }

  // As in UnaryCall.
  bool InternalInlineable() final { return true; }

  const Backend& backend_;
  CallRecord record_;
  Response response_;  // the write in flight
  EventPump pump_;     // loop
  std::shared_ptr<StreamCall> self_;
};

}  // namespace cloister::rpc

#endif  // CLOISTER_SERVICE_RPC_STREAM_CALL_H_
