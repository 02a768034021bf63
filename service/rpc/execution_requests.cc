#include "service/rpc/execution_requests.h"

#include <openssl/sha.h>

#include <string_view>
#include <utility>

#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "sandbox/base/status_macros.h"

namespace cloister::rpc {
namespace {

// Equal for equal requests to one method, whatever order a map happens to be in.
std::string Digest(std::string_view method, const google::protobuf::MessageLite& request) {
  std::string bytes(method);
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream output(&stream);
    output.SetSerializationDeterministic(true);
    request.SerializeToCodedStream(&output);
  }
  std::string digest(SHA256_DIGEST_LENGTH, '\0');
  SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(),
         reinterpret_cast<unsigned char*>(digest.data()));
  return digest;
}

template <typename Request>
absl::StatusOr<core::ExecutionRequest> Take(const Backend& backend, core::ExecutionMode mode,
                                            Request* request) {
  CLOISTER_ASSIGN_OR_RETURN(const sandbox::Limits limits, backend.validator->Check(*request));
  core::ExecutionRequest taken;
  // As it lies in memory, which for many small things is far more than on the wire.
  CLOISTER_ASSIGN_OR_RETURN(
      taken.memory,
      backend.request_memory->Take(static_cast<int64_t>(request->program().SpaceUsedLong())));
  if (!request->request_id().empty()) {
    taken.request_id = request->request_id();
    taken.payload_digest =
        Digest(mode == core::ExecutionMode::kCollect ? "RunCode" : "Execute", *request);
  }
  taken.template_name =
      request->template_().empty() ? backend.default_template : request->template_();
  taken.program = std::move(*request->mutable_program());
  taken.limits = limits;
  taken.mode = mode;
  return taken;
}

}  // namespace

absl::StatusOr<core::ExecutionRequest> TakeRequest(const Backend& backend,
                                                   v1::RunCodeRequest* request) {
  return Take(backend, core::ExecutionMode::kCollect, request);
}

absl::StatusOr<core::ExecutionRequest> TakeRequest(const Backend& backend,
                                                   v1::ExecuteRequest* request) {
  const bool detach = request->on_disconnect() == v1::ExecuteRequest::ON_DISCONNECT_DETACH;
  CLOISTER_ASSIGN_OR_RETURN(core::ExecutionRequest taken,
                            Take(backend, core::ExecutionMode::kStream, request));
  taken.on_disconnect = detach ? core::OnDisconnect::kDetach : core::OnDisconnect::kInterrupt;
  return taken;
}

}  // namespace cloister::rpc
