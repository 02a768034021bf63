// Whether what the process of a sandbox's files says answers what it was asked. It runs none of the
// user's code, and yet lives among it: nothing of what it says is believed unchecked.

#ifndef CLOISTER_SANDBOX_HOST_FILE_REPLY_H_
#define CLOISTER_SANDBOX_HOST_FILE_REPLY_H_

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "cloister/internal/v1/file_access.pb.h"

namespace cloister::sandbox {

// The longest frame such a process may send: a part of a file, or a page of names.
inline constexpr size_t kMaxFileReplyBytes = size_t{2} << 20;
// Of a path it may name: 4,096 bytes, and what a name in a directory of that length adds.
inline constexpr size_t kMaxReplyPathBytes = 4352;

// DATA_LOSS where `reply` is none to `request`: another number, more than was asked for, names that
// are no paths, do not lie where they should or are out of order, numbers that cannot be.
absl::Status CheckFileReply(const internal::v1::FileRequest& request,
                            const internal::v1::FileReply& reply);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_HOST_FILE_REPLY_H_
