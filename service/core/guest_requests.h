// What code in one interpreter asks about others, as the interpreter passes it on.

#ifndef CLOISTER_SERVICE_CORE_GUEST_REQUESTS_H_
#define CLOISTER_SERVICE_CORE_GUEST_REQUESTS_H_

#include <functional>
#include <string>
#include <vector>

#include "cloister/internal/v1/mailbox.pb.h"
#include "sandbox/base/unique_fd.h"

namespace cloister::core {

// Thread-safety: loop thread only.
class GuestRequests {
 public:
  virtual ~GuestRequests() = default;

  using AnswerFunction =
      std::function<void(internal::v1::MailboxReply reply, std::vector<sandbox::UniqueFd> descriptors)>;
  // Of a request nobody waits for any more; its answer is ignored.
  using AbandonFunction = std::function<void()>;

  // `interpreter` is the name of who asks; the request is any but open_inbox, open_posts and call_host.
  // `answer` follows once, perhaps inline. What is returned may be null.
  virtual AbandonFunction Serve(const std::string& interpreter, internal::v1::MailboxRequest request,
                                AnswerFunction answer) = 0;
};

}  // namespace cloister::core

#endif  // CLOISTER_SERVICE_CORE_GUEST_REQUESTS_H_
