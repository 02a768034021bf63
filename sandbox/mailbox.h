// Messages of one live interpreter (internal/v1/mailbox.proto): what comes from the client, what goes to it, and what
// the interpreter's code asks of others.
//
// Part of the seam described in sandbox.h; its rules of threads and callbacks hold here.

#ifndef CLOISTER_SANDBOX_MAILBOX_H_
#define CLOISTER_SANDBOX_MAILBOX_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cloister/internal/v1/mailbox.pb.h"
#include "sandbox/base/unique_fd.h"

namespace cloister::sandbox {

// Told of one mailbox. May end it from inside each call, but not destroy its interpreter.
class MailboxObserver {
 public:
  virtual ~MailboxObserver() = default;

  // A message to the client: a checked clone with inline buffers, fit for a Value. `held` is to be kept for as long as
  // that is, and given back on the loop. False: no more are read until Mailbox::ResumePosts.
  virtual bool OnPost(std::string clone, std::shared_ptr<void> held) = 0;

  // One of those that mailbox.proto has beside open_inbox and open_posts, to be answered by Mailbox::Answer.
  // Its clones are checked; all else in it is as the guest said it. Posts from before it were told, unless they are held
  // back.
  virtual void OnRequest(int64_t number, internal::v1::MailboxRequest request) = 0;

  // Nobody waits for the answer any more.
  virtual void OnRequestGone(int64_t number) = 0;

  // There is the room now that Mailbox::HasRoomFor did not find.
  virtual void OnInboxRoom() = 0;
};

class Mailbox {
 public:
  virtual ~Mailbox() = default;

  // What may wait in an inbox, of clones and of what each takes beside its bytes; or one message.
  static constexpr size_t kMaxInboxBytes = size_t{16} << 20;
  static constexpr size_t kMessageOverheadBytes = 128;

  // From here on it is served. Null: all that is open in it ends, and nothing is told any more. Never calls back inline.
  virtual void SetObserver(MailboxObserver* observer) = 0;

  // Whether a clone of so many bytes may be posted now; OnInboxRoom follows where not.
  virtual bool HasRoomFor(size_t bytes) = 0;

  // Puts a clone into the inbox. `held` is kept until it has left the host. UNAVAILABLE: nobody will read it.
  virtual absl::Status Post(std::string clone, std::shared_ptr<void> held) = 0;

  // Reads posts again.
  virtual void ResumePosts() = 0;

  // A descriptor through which others in the sandbox send into the inbox. UNAVAILABLE, as Post.
  virtual absl::StatusOr<UniqueFd> OpenSender() = 0;

  // Once for each request that is not gone; others are ignored. `descriptors` go with descriptor_sent and channel_sent.
  virtual void Answer(int64_t number, internal::v1::MailboxReply reply, std::vector<UniqueFd> descriptors) = 0;
  void Answer(int64_t number, internal::v1::MailboxReply reply) { Answer(number, std::move(reply), {}); }
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_MAILBOX_H_
