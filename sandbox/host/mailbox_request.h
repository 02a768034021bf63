// What a guest may ask on a connection of its mailbox.

#ifndef CLOISTER_SANDBOX_HOST_MAILBOX_REQUEST_H_
#define CLOISTER_SANDBOX_HOST_MAILBOX_REQUEST_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cloister/internal/v1/mailbox.pb.h"

namespace cloister::sandbox {

// Names in requests have no more bytes, whatever they name.
inline constexpr size_t kMaxMailboxNameBytes = 255;
inline constexpr size_t kMaxMailboxSourceBytes = size_t{1} << 20;

// DATA_LOSS where no guest of ours sends it.
absl::StatusOr<internal::v1::MailboxRequest> ParseMailboxRequest(std::string_view bytes);

// INVALID_ARGUMENT: what is wrong with its names and clones, for the code that asked.
absl::Status CheckMailboxRequest(const internal::v1::MailboxRequest& request);

// The clone of a message to the client. DATA_LOSS where no guest of ours sends it.
absl::StatusOr<std::string> TakePost(std::string_view bytes);

internal::v1::MailboxReply MailboxFailureOf(internal::v1::MailboxFailure::Reason reason,
                                            std::string_view message);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_HOST_MAILBOX_REQUEST_H_
