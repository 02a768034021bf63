// Connect: a client's stream with one interpreter, both ways.

#ifndef CLOISTER_SERVICE_RPC_CONNECT_CALL_H_
#define CLOISTER_SERVICE_RPC_CONNECT_CALL_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>
#include <variant>

#include "absl/status/statusor.h"
#include "cloister/v1/message_service.pb.h"
#include "grpcpp/support/server_callback.h"
#include "service/core/message_connection.h"
#include "service/rpc/gate.h"
#include "service/rpc/message_requests.h"

namespace cloister::rpc {

// One read and one write in flight. The next request is read when the one before is where it
// belongs: a post with core::MessageConnection, whether or not the inbox has room for it, unless
// the client has gone past its credit. Keep-alives while there is nothing to write.
//
// Thread-safety and ownership: as StreamCall.
class ConnectCall final : public grpc::ServerBidiReactor<v1::ConnectRequest, v1::ConnectResponse>,
                          public std::enable_shared_from_this<ConnectCall>,
                          private core::MessageListener {
 public:
  ConnectCall(Admission admission, grpc::CallbackServerContext* context)
      : backend_(*admission.backend), context_(context), record_(std::move(admission.record)) {}

  // gRPC thread, once. Returns itself, for the handler to return.
  grpc::ServerBidiReactor<v1::ConnectRequest, v1::ConnectResponse>* Start();

 private:
  using Reactor = grpc::ServerBidiReactor<v1::ConnectRequest, v1::ConnectResponse>;

  // gRPC threads.
  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;
  // As in UnaryCall.
  bool InternalInlineable() override { return true; }

  // Loop.
  void AwaitOpening();
  void OnRequest();
  void Open(TakenOpening opening);
  // With the memory that it takes, or once that can be had.
  void Take(TakenMessage message);
  void Post(TakenMessage message);
  void OnReadsDone();
  // Of the loop, once it is done with a request.
  void ReadNext();
  void VoteToRead();
  void Pump();
  // False where it cannot be told; its caller was told so.
  bool Tell(core::MessageEvent event);
  void Write();
  void Fail(const absl::Status& status);
  void ScheduleKeepAlive();
  void OnQuiet();
  // The client has so long to take what is left.
  void Leave();

  // core::MessageListener
  void OnMessages() override;
  void OnPosted(const absl::Status& status) override;

  const Backend& backend_;
  grpc::CallbackServerContext* const context_;
  CallRecord record_;
  v1::ConnectRequest request_;    // gRPC's between StartRead and OnReadDone
  v1::ConnectResponse response_;  // the write in flight
  // What OnReadDone made of the request, for the loop; no other is read before that has it.
  absl::StatusOr<std::variant<TakenOpening, TakenMessage, TakenAnswer>> taken_;
  // Who is the second to say that the next request may be read, OnReadDone at its end or the loop,
  // reads it. Most often that is the former, outside the loop's turn: reading on may write to the
  // client, and a turn keeps others waiting.
  std::atomic<int> read_votes_ = 0;
  // Loop only, as all below.
  std::unique_ptr<core::MessageConnection> connection_;
  uint64_t memory_wait_ = 0;     // of RequestMemory
  bool is_past_credit_ = false;  // and so not read
  bool is_leaving_ = false;
  bool is_pumping_ = false;
  bool writing_ = false;
  bool has_written_ = false;  // since the last look
  bool ended_ = false;
  absl::Status end_;  // to be told when the write is over
  sandbox::Loop::TimerId timer_ = 0;
  std::shared_ptr<ConnectCall> self_;
};

}  // namespace cloister::rpc

#endif  // CLOISTER_SERVICE_RPC_CONNECT_CALL_H_
