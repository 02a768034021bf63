// What is compared where a request_id comes again.

#ifndef CLOISTER_SERVICE_RPC_REQUEST_DIGEST_H_
#define CLOISTER_SERVICE_RPC_REQUEST_DIGEST_H_

#include <string>
#include <string_view>

#include "google/protobuf/message_lite.h"

namespace cloister::rpc {

// Equal for equal requests to one method, whatever order a map happens to be in.
std::string RequestDigest(std::string_view method, const google::protobuf::MessageLite& request);

// What `taken` needs to be recognised when it comes again: nothing without a request_id.
template <typename Request, typename Taken>
void TakeRequestId(std::string_view method, const Request& request, Taken* taken) {
  if (request.request_id().empty()) return;
  taken->request_id = request.request_id();
  taken->payload_digest = RequestDigest(method, request);
}

}  // namespace cloister::rpc

#endif  // CLOISTER_SERVICE_RPC_REQUEST_DIGEST_H_
