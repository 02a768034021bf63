// What is compared where a request_id comes again.

#ifndef CLOISTER_SERVICE_RPC_REQUEST_DIGEST_H_
#define CLOISTER_SERVICE_RPC_REQUEST_DIGEST_H_

#include <string>
#include <string_view>

#include "google/protobuf/message_lite.h"

namespace cloister::rpc {

// Equal for equal requests to one method, whatever order a map happens to be in.
std::string RequestDigest(std::string_view method, const google::protobuf::MessageLite& request);

}  // namespace cloister::rpc

#endif  // CLOISTER_SERVICE_RPC_REQUEST_DIGEST_H_
