// MapCode: one stream of verdicts.

#ifndef CLOISTER_SERVICE_RPC_MAP_CODE_CALL_H_
#define CLOISTER_SERVICE_RPC_MAP_CODE_CALL_H_

#include <memory>
#include <optional>

#include "cloister/v1/execution_service.pb.h"
#include "grpcpp/support/server_callback.h"
#include "service/core/program_map.h"
#include "service/rpc/gate.h"
#include "service/rpc/map_requests.h"

namespace cloister::rpc {

// One write in flight; keep-alives while it is quiet.
//
// Thread-safety and ownership: as StreamCall.
class MapCodeCall final : public grpc::ServerWriteReactor<v1::MapCodeResponse>,
                          public std::enable_shared_from_this<MapCodeCall> {
 public:
  MapCodeCall(Admission admission, grpc::CallbackServerContext* context,
              const v1::MapCodeRequest* request);

  // gRPC thread, once. Returns itself, for the handler to return.
  grpc::ServerWriteReactor<v1::MapCodeResponse>* Start();

 private:
  // Loop.
  void Begin();
  void Pump();
  void WriteVerdict(core::MapResult result);
  void WriteSummary();
  void Fail(const absl::Status& status);
  void End();
  void OnQuiet();
  void ScheduleKeepAlive();

  // gRPC threads.
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

  const Backend& backend_;
  grpc::CallbackServerContext* const context_;
  v1::MapCodeRequest* const request_;
  CallRecord record_;
  std::optional<MapPlan> plan_;
  v1::MapCodeResponse response_;  // the write in flight
  // Loop only, as all below.
  std::unique_ptr<core::ProgramMap> map_;
  sandbox::Loop::TimerId timer_ = 0;
  bool writing_ = false;
  bool ended_ = false;
  absl::Status failure_;  // to be told when the write is over
  std::shared_ptr<MapCodeCall> self_;
};

}  // namespace cloister::rpc

#endif  // CLOISTER_SERVICE_RPC_MAP_CODE_CALL_H_
