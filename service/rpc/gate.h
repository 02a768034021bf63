// The one door to what the services stand on: whoever calls is judged here before anything else.

#ifndef CLOISTER_SERVICE_RPC_GATE_H_
#define CLOISTER_SERVICE_RPC_GATE_H_

#include <memory>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "grpcpp/support/server_callback.h"
#include "service/core/call_observer.h"
#include "service/rpc/backend.h"
#include "service/rpc/call_record.h"
#include "service/rpc/status_mapping.h"

namespace cloister::rpc {

// What a call begins with. A service has a Gate and no Backend, so no handler can leave the gate out.
struct Admission {
  // Null where the call is refused. Outlives the call.
  const Backend* backend = nullptr;
  absl::Status refusal = {};
  CallRecord record;
};

// Thread-safety: safe. Ownership: must outlive the server.
class Gate {
 public:
  virtual ~Gate() = default;
  // gRPC thread, once for each call, before its request is looked at.
  virtual Admission Admit(const grpc::CallbackServerContext& context, core::CallMethod method) = 0;

  // The same, and notes what the call is about, and what it makes. `response` is that of the call.
  template <typename Request>
  Admission Admit(const grpc::CallbackServerContext& context, core::CallMethod method,
                  const Request* request) {
    Admission admission = Admit(context, method);
    admission.record.NoteSubject(*request);
    return admission;
  }
  template <typename Request, typename Response>
  Admission Admit(const grpc::CallbackServerContext& context, core::CallMethod method,
                  const Request* request, const Response* response) {
    Admission admission = Admit(context, method, request);
    admission.record.NoteResponse(response);
    return admission;
  }
};

// Ends a refused call without the loop, which may have much to do. Ownership: its own, until OnDone.
template <typename Reactor>
class RefusedCall final : public Reactor {
 public:
  explicit RefusedCall(Admission admission) : record_(std::move(admission.record)) {
    record_.set_status(admission.refusal);
    this->Finish(ToGrpcStatus(admission.refusal));
  }

 private:
  void OnDone() override {
    record_.End();
    delete this;
  }

  CallRecord record_;
};

// Starts a `Call`, made of the admission and `arguments`, or refuses it. For handlers to return.
template <typename Call, typename... Arguments>
auto Serve(Admission admission, Arguments&&... arguments)
    -> decltype(std::declval<Call&>().Start()) {
  using Reactor = std::remove_pointer_t<decltype(std::declval<Call&>().Start())>;
  if (admission.backend == nullptr) return new RefusedCall<Reactor>(std::move(admission));
  return std::make_shared<Call>(std::move(admission), std::forward<Arguments>(arguments)...)
      ->Start();
}

}  // namespace cloister::rpc

#endif  // CLOISTER_SERVICE_RPC_GATE_H_
