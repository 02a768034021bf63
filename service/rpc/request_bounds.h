// Sizes a request may have, whatever the limits. GetInfo publishes them.

#ifndef CLOISTER_SERVICE_RPC_REQUEST_BOUNDS_H_
#define CLOISTER_SERVICE_RPC_REQUEST_BOUNDS_H_

#include <cstdint>

namespace cloister::rpc {

struct RequestBounds {
  int64_t code_bytes = int64_t{1} << 20;
  int64_t stdin_bytes = int64_t{16} << 20;
  int64_t files_bytes = int64_t{48} << 20;
  int32_t file_count = 1000;
  int32_t argument_count = 256;
  int64_t arguments_bytes = int64_t{64} << 10;
  int32_t environment_count = 256;
  int64_t environment_bytes = int64_t{64} << 10;
  int32_t return_file_count = 100;
};

// Of one gRPC message, either way. Room for every bound above at once and, in a reply, for the
// output and all that a guest may say.
inline constexpr int kMaximumMessageBytes = 80 << 20;

// What a guest's own words (exception, value, returned files) may amount to in a reply.
inline constexpr int64_t kMaximumGuestReplyBytes = int64_t{52} << 20;

// So Limits.output_bytes cannot be configured above this, or RunCode could not return it.
inline constexpr int64_t kMaximumOutputBytes =
    kMaximumMessageBytes - kMaximumGuestReplyBytes - (int64_t{1} << 20);

}  // namespace cloister::rpc

#endif  // CLOISTER_SERVICE_RPC_REQUEST_BOUNDS_H_
