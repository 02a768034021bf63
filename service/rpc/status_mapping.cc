#include "service/rpc/status_mapping.h"

#include <string>

#include "absl/strings/cord.h"
#include "google/rpc/status.pb.h"
#include "service/core/error.h"

namespace cloister::rpc {
namespace {

std::string SerializedDetails(const absl::Status& status) {
  google::rpc::Status details;
  details.set_code(static_cast<int>(status.code()));
  details.set_message(std::string(status.message()));
  status.ForEachPayload([&details](absl::string_view type_url, const absl::Cord& payload) {
    google::protobuf::Any* detail = details.add_details();
    detail->set_type_url(std::string(type_url));
    detail->set_value(std::string(payload));
  });
  return details.SerializeAsString();
}

}  // namespace

grpc::Status ToGrpcStatus(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  if (status.code() == absl::StatusCode::kCancelled) return grpc::Status::CANCELLED;
  if (core::ReasonOf(status) == v1::ERROR_REASON_UNSPECIFIED) {
    return ToGrpcStatus(core::MakeError(v1::ERROR_REASON_SANDBOX_SETUP_FAILED,
                                        "the server failed; its log says why"));
  }
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), std::string(status.message()),
                      SerializedDetails(status));
}

}  // namespace cloister::rpc
