// A connection to the host: one request and its reply, or posts to the client.
//
// Thread-safety: with the GIL, which is released where it waits; one thread at a time sends, and
// one receives.

#ifndef CLOISTER_SANDBOX_GUEST_MESSAGES_CONNECTION_H_
#define CLOISTER_SANDBOX_GUEST_MESSAGES_CONNECTION_H_

#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cloister/internal/v1/mailbox.pb.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/guest/messages/deadline.h"
#include "sandbox/guest/messages/message_ends.h"
#include "sandbox/guest/python_object.h"
#include "sandbox/wire/frame.h"

namespace cloister::sandbox {

// A clone and what is around it.
inline constexpr size_t kMaxMailboxFrameBytes = (size_t{16} << 20) + (size_t{64} << 10);

class HostConnection {
 public:
  explicit HostConnection(MessageEnds::Of of) { ends_.of = of; }

  MessageEnds& ends() { return ends_; }

  // Connects, and sends the request. False with a Python exception set; it is closed then. Where
  // the host closes its end before it has read all, its reply says why.
  bool Start(const internal::v1::MailboxRequest& request, const Deadline& deadline);

  // Sends a frame. False with a Python exception set; where a part of it went out already, the
  // connection is closed.
  bool Send(const google::protobuf::MessageLite& message, const Deadline& deadline);

  // Reads what has come, without waiting. Whether Finish() and ReadReply() would not wait.
  bool HasReply();

  // The reply as a Python object, or raised; TimeoutError where it has not come.
  PyRef Finish(const Deadline& deadline);

  // Reads the reply. False with a Python exception set.
  bool ReadReply(const Deadline& deadline, internal::v1::MailboxReply* reply);
  // What came with it; -1 where nothing did.
  UniqueFd TakeDescriptor();
  std::vector<UniqueFd> TakeDescriptors() { return std::exchange(descriptors_, {}); }

 private:
  enum class Sending { kDone, kGone, kFailed };
  Sending SendFrame(const google::protobuf::MessageLite& message, const Deadline& deadline);
  // False with a Python exception set.
  bool ReserveDescriptor();
  bool Wait(short events, const Deadline& deadline);
  enum class Reading { kSome, kNothing, kEnd };
  // Does not wait. Once it is kEnd, problem_ says why.
  Reading ReadSome();

  MessageEnds ends_;
  FrameDecoder decoder_{kMaxMailboxFrameBytes};
  std::optional<std::string> reply_;  // that is whole
  std::string problem_;               // why none comes
  std::vector<UniqueFd> descriptors_;
};

// The exception of a failure; always null.
PyRef RaiseFailure(const internal::v1::MailboxFailure& failure);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_MESSAGES_CONNECTION_H_
