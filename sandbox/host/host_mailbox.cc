#include "sandbox/host/host_mailbox.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <cerrno>
#include <vector>

#include "absl/strings/str_cat.h"
#include "sandbox/host/mailbox_request.h"
#include "sandbox/wire/frame.h"
#include "sandbox/wire/passed_descriptors.h"

namespace cloister::sandbox {
namespace {

using internal::v1::MailboxFailure;
using internal::v1::MailboxReply;
using internal::v1::MailboxRequest;

// What one mailbox may take of the loop's turn; others wait meanwhile.
constexpr int kConnectionsPerTurn = 16;
constexpr int kPostsPerTurn = 64;
// What is still read of posts when the session is over.
constexpr int kLastPosts = 1000;

bool HasOption(int fd, int option, int wanted) {
  int value = 0;
  socklen_t size = sizeof(value);
  return ::getsockopt(fd, SOL_SOCKET, option, &value, &size) == 0 && value == wanted;
}

bool IsUnixSocket(const UniqueFd& fd, int type) {
  return HasOption(fd.get(), SO_DOMAIN, AF_UNIX) && HasOption(fd.get(), SO_TYPE, type);
}

}  // namespace

// ---- the line -----------------------------------------------------------------------------------

absl::Status HostMailbox::Open(UniqueFd line) {
  if (std::exchange(had_line_, true)) return absl::DataLossError("a second mailbox");
  if (!IsUnixSocket(line, SOCK_SEQPACKET)) {
    return absl::DataLossError("a mailbox's line that is no packet socket");
  }
  if (is_closed_) return absl::OkStatus();
  line_.emplace(loop_, std::move(line));
  // The guest sees a line that is closed.
  if (!line_->Open().ok()) line_.reset();
  if (observer_ != nullptr && line_.has_value()) line_->WaitReadable([this] { OnLine(); });
  return absl::OkStatus();
}

void HostMailbox::SetObserver(MailboxObserver* observer) {
  observer_ = observer;
  if (observer == nullptr) return CloseAll();
  if (line_.has_value()) line_->WaitReadable([this] { OnLine(); });
}

void HostMailbox::OnLine() {
  for (int i = 0; i < kConnectionsPerTurn; ++i) {
    const absl::Status accepted = Accept();
    if (is_closed_) return;
    if (absl::IsUnavailable(accepted)) break;
    if (absl::IsOutOfRange(accepted)) return line_.reset();
    if (!accepted.ok()) return Break(std::string(accepted.message()));
  }
  line_->WaitReadable([this] { OnLine(); });
}

absl::Status HostMailbox::Accept() {
  char bytes[2];
  iovec data = {bytes, sizeof(bytes)};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
  msghdr header = {};
  header.msg_iov = &data;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof(control);
  const ssize_t got = ::recvmsg(line_->fd(), &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return absl::UnavailableError("");
  if (got <= 0) return absl::OutOfRangeError("");
  std::vector<UniqueFd> came = TakeDescriptors(&header);
  if (got != 1 || (header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 || came.size() != 1 ||
      !IsUnixSocket(came.front(), SOCK_STREAM)) {
    return absl::DataLossError("something else than a connection on a mailbox's line");
  }
  if (connections_.size() >= kMaxConnections) {
    Refuse(came.front());
    return absl::OkStatus();
  }
  auto socket = std::make_unique<MailboxConnection>(loop_, std::move(came.front()), &budget_);
  if (!socket->Open().ok()) return absl::OkStatus();  // the guest sees that it is closed
  const int64_t number = ++last_number_;
  MailboxConnection& connection = *socket;
  connections_.emplace(number, Connection{State::kReading, std::move(socket)});
  // Most often the request is there already.
  if (auto frame = connection.Poll()) {
    OnFrame(number, *std::move(frame));
  } else {
    connection.AwaitFrame([this, number](auto next) { OnFrame(number, std::move(next)); });
  }
  return absl::OkStatus();
}

void HostMailbox::Refuse(const UniqueFd& socket) {
  const MailboxReply reply = MailboxFailureOf(
      MailboxFailure::REASON_TOO_MANY,
      absl::StrCat(kMaxConnections, " calls of this interpreter are open already"));
  const auto frame = EncodeFrame(reply, MailboxConnection::kMaxFrameBytes);
  if (frame.ok()) {
    (void)::send(socket.get(), frame->data(), frame->size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  }
}

// ---- requests -----------------------------------------------------------------------------------

void HostMailbox::OnFrame(int64_t number, MailboxConnection::FrameOrError frame) {
  Connection* const connection = Find(number);
  if (connection == nullptr) return;
  if (absl::IsOutOfRange(frame.status())) return Drop(number);
  if (!frame.ok()) return Break(std::string(frame.status().message()));
  if (connection->state == State::kReading) return OnRequestFrame(number, *frame);
  if (OnPostFrame(*frame)) ReadPosts(number);
}

void HostMailbox::OnRequestFrame(int64_t number, const std::string& frame) {
  absl::StatusOr<MailboxRequest> request = ParseMailboxRequest(frame);
  if (!request.ok()) return Break(std::string(request.status().message()));
  switch (request->request_case()) {
    case MailboxRequest::kOpenInbox:
      return OpenInbox(number);
    case MailboxRequest::kOpenPosts:
      return OpenPosts(number);
    default:
      return OnRequest(number, *std::move(request));
  }
}

// One at a time: what is held back has to be bounded.
void HostMailbox::OpenPosts(int64_t number) {
  std::erase_if(connections_,
                [](const auto& entry) { return entry.second.state == State::kPosts; });
  Find(number)->state = State::kPosts;
  ReadPosts(number);
}

void HostMailbox::OpenInbox(int64_t number) {
  absl::StatusOr<UniqueFd> receiver = inbox_.TakeReceiver();
  Connection& connection = *Find(number);
  if (!receiver.ok()) {
    return Reply(
        connection, number,
        MailboxFailureOf(MailboxFailure::REASON_REFUSED, std::string(receiver.status().message())),
        {});
  }
  MailboxReply reply;
  reply.mutable_descriptor_sent();
  Reply(connection, number, reply, *std::move(receiver));
}

void HostMailbox::OnRequest(int64_t number, MailboxRequest request) {
  const absl::Status checked = CheckMailboxRequest(request);
  Connection& connection = *Find(number);
  if (!checked.ok()) {
    return Reply(connection, number,
                 MailboxFailureOf(MailboxFailure::REASON_REFUSED, std::string(checked.message())),
                 {});
  }
  connection.state = State::kAwaitingAnswer;
  connection.socket->AwaitClose([this, number](bool is_closed) {
    if (!is_closed) return Break("a second request on a connection");
    Drop(number);
    if (observer_ != nullptr) observer_->OnRequestGone(number);
  });
  ReadAllPosts();
  if (Find(number) != nullptr && observer_ != nullptr)
    observer_->OnRequest(number, std::move(request));
}

void HostMailbox::Answer(int64_t number, MailboxReply reply, UniqueFd descriptor) {
  Connection* const connection = Find(number);
  if (connection == nullptr || connection->state != State::kAwaitingAnswer) return;
  if (reply.has_failure()) {
    reply = MailboxFailureOf(reply.failure().reason(), reply.failure().message());
  }
  Reply(*connection, number, reply, std::move(descriptor));
}

void HostMailbox::Reply(Connection& connection, int64_t number, const MailboxReply& reply,
                        UniqueFd descriptor) {
  connection.state = State::kAnswering;
  connection.socket->CancelAwait();
  absl::StatusOr<std::string> frame = EncodeFrame(reply, MailboxConnection::kMaxFrameBytes);
  if (!frame.ok()) {
    frame = EncodeFrame(
        MailboxFailureOf(MailboxFailure::REASON_REFUSED, "the result is larger than 16 MiB"),
        MailboxConnection::kMaxFrameBytes);
  }
  connection.socket->Send(*std::move(frame), std::move(descriptor),
                          [this, number](const absl::Status&) { Drop(number); });
  RetryStalled();
}

// ---- posts --------------------------------------------------------------------------------------

bool HostMailbox::OnPostFrame(const std::string& frame) {
  absl::StatusOr<std::string> clone = TakePost(frame);
  if (!clone.ok()) {
    Break(std::string(clone.status().message()));
    return false;
  }
  if (observer_ != nullptr && !observer_->OnPost(*std::move(clone))) posts_paused_ = true;
  RetryStalled();
  return true;
}

void HostMailbox::ReadPosts(int64_t number) {
  for (int i = 0; i < kPostsPerTurn; ++i) {
    Connection* const connection = Find(number);
    if (connection == nullptr || posts_paused_) return;
    std::optional<MailboxConnection::FrameOrError> frame = connection->socket->Poll();
    if (!frame.has_value()) break;
    if (absl::IsOutOfRange(frame->status())) return Drop(number);
    if (!frame->ok()) return Break(std::string(frame->status().message()));
    if (!OnPostFrame(**frame)) return;
  }
  Connection* const connection = Find(number);
  if (connection == nullptr || posts_paused_) return;
  connection->socket->AwaitFrame([this, number](auto frame) { OnFrame(number, std::move(frame)); });
}

void HostMailbox::ReadAllPosts() {
  std::vector<int64_t> numbers;
  for (const auto& [number, connection] : connections_) {
    if (connection.state == State::kPosts) numbers.push_back(number);
  }
  for (const int64_t number : numbers) ReadPosts(number);
}

void HostMailbox::ResumePosts() {
  if (!posts_paused_) return;
  posts_paused_ = false;
  loop_->Post([this, alive = std::weak_ptr<char>(alive_)] {
    if (!alive.expired()) ReadAllPosts();
  });
}

// ---- the end ------------------------------------------------------------------------------------

HostMailbox::Connection* HostMailbox::Find(int64_t number) {
  const auto found = connections_.find(number);
  return found == connections_.end() ? nullptr : &found->second;
}

void HostMailbox::Drop(int64_t number) {
  connections_.erase(number);
  RetryStalled();
}

void HostMailbox::RetryStalled() {
  bool any = false;
  for (const auto& [number, connection] : connections_) any |= connection.socket->is_stalled();
  if (!any || std::exchange(retry_posted_, true)) return;
  loop_->Post([this, alive = std::weak_ptr<char>(alive_)] {
    if (alive.expired()) return;
    retry_posted_ = false;
    std::vector<int64_t> numbers;
    for (const auto& [number, connection] : connections_) {
      if (connection.socket->is_stalled()) numbers.push_back(number);
    }
    for (const int64_t number : numbers) {
      if (Connection* const connection = Find(number)) connection->socket->Retry();
    }
  });
}

void HostMailbox::Close() {
  // So that what was posted just before an end is not lost with it.
  for (int i = 0; i < kLastPosts / kPostsPerTurn; ++i) ReadAllPosts();
  CloseAll();
}

void HostMailbox::Break(std::string detail) {
  CloseAll();
  on_broken_(std::move(detail));
}

void HostMailbox::CloseAll() {
  is_closed_ = true;
  line_.reset();
  connections_.clear();
  inbox_.Close();
}

}  // namespace cloister::sandbox
