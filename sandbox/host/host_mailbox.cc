#include "sandbox/host/host_mailbox.h"

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <cerrno>
#include <vector>

#include "absl/strings/str_cat.h"
#include "sandbox/base/syscall_status.h"
#include "sandbox/host/mailbox_request.h"
#include "sandbox/wire/frame.h"
#include "sandbox/wire/passed_descriptors.h"

namespace cloister::sandbox {
namespace {

using internal::v1::MailboxFailure;
using internal::v1::MailboxReply;
using internal::v1::MailboxRequest;

// Where no connection could be made, it is tried again.
constexpr absl::Duration kRetryInterval = absl::Milliseconds(100);

bool HasOption(int fd, int option, int wanted) {
  int value = 0;
  socklen_t size = sizeof(value);
  return ::getsockopt(fd, SOL_SOCKET, option, &value, &size) == 0 && value == wanted;
}

bool IsUnixSocket(const UniqueFd& fd, int type) {
  return HasOption(fd.get(), SO_DOMAIN, AF_UNIX) && HasOption(fd.get(), SO_TYPE, type);
}

struct SocketPair {
  UniqueFd host;
  UniqueFd guest;
};

absl::StatusOr<SocketPair> MakePair(int type) {
  int ends[2];
  if (::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) != 0) return SyscallError("socketpair");
  // Who sends descriptors is told that they are not taken (Linux 6.16); before, the kernel drops
  // them.
  constexpr int kPassRights = 83;
  const int off = 0;
  (void)::setsockopt(ends[0], SOL_SOCKET, kPassRights, &off, sizeof(off));
  return SocketPair{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

int64_t MaxConnectionsOfAll() {
  static const int64_t quarter = [] {
    rlimit limit = {};
    return ::getrlimit(RLIMIT_NOFILE, &limit) == 0 ? static_cast<int64_t>(limit.rlim_cur / 4) : 256;
  }();
  return HostMailbox::max_connections_of_all == 0 ? quarter : HostMailbox::max_connections_of_all;
}

// In a packet of one byte, without waiting.
bool SendDescriptor(int socket, int descriptor) {
  char byte = 'c';
  iovec bytes = {&byte, sizeof(byte)};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr header = {};
  header.msg_iov = &bytes;
  header.msg_iovlen = 1;
  AttachDescriptors({&descriptor, 1}, control, &header);
  return ::sendmsg(socket, &header, MSG_DONTWAIT | MSG_NOSIGNAL) == sizeof(byte);
}

absl::StatusOr<std::string> EncodeFailure(MailboxFailure::Reason reason, const char* message) {
  return EncodeFrame(MailboxFailureOf(reason, message), MailboxConnection::kMaxFrameBytes);
}

}  // namespace

// ---- the line -----------------------------------------------------------------------------------

absl::Status HostMailbox::Open(UniqueFd carrier) {
  if (std::exchange(had_line_, true)) return absl::DataLossError("a second mailbox");
  if (carrier && !IsUnixSocket(carrier, SOCK_SEQPACKET)) {
    return absl::DataLossError("a mailbox's line that is no packet socket");
  }
  // The server had no descriptor left to receive it with: the guest sees that it is closed.
  if (is_closed_ || !carrier) return absl::OkStatus();
  absl::StatusOr<SocketPair> line = MakePair(SOCK_SEQPACKET);
  // Without descriptors for one the guest sees a carrier that is closed.
  if (!line.ok() || !SendDescriptor(carrier.get(), line->guest.get())) return absl::OkStatus();
  line_.emplace(loop_, std::move(line->host));
  if (!line_->Open().ok()) line_.reset();
  if (observer_ != nullptr) Serve();
  return absl::OkStatus();
}

void HostMailbox::SetObserver(MailboxObserver* observer) {
  observer_ = observer;
  if (observer == nullptr) return CloseAll();
  Serve();
}

void HostMailbox::Serve() {
  if (!line_.has_value()) return;
  line_->WaitReadable([this] { OnLine(); });
  MakeAhead();
}

// The guest says nothing on its line: it has closed it, or is none of ours.
void HostMailbox::OnLine() {
  char byte;
  const ssize_t got = ::recv(line_->fd(), &byte, sizeof(byte), MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
    return line_->WaitReadable([this] { OnLine(); });
  }
  if (got > 0) return Break("words on a mailbox's line");
  line_.reset();
}

void HostMailbox::MakeAhead() {
  if (!line_.has_value() || observer_ == nullptr || std::exchange(is_making_ahead_, true)) return;
  size_t unused = 0;
  for (const auto& [number, connection] : connections_) {
    unused += connection.state == State::kUnused ? 1 : 0;
  }
  for (; unused < kConnectionsAhead && connections_.size() < kMaxConnections; ++unused) {
    if (MakeConnection()) continue;
    if (unused == 0 && retry_timer_ == 0) {
      retry_timer_ = loop_->CallAfter(kRetryInterval, [this] {
        retry_timer_ = 0;
        MakeAhead();
      });
    }
    break;
  }
  is_making_ahead_ = false;
}

bool HostMailbox::MakeConnection() {
  if (open_connections >= MaxConnectionsOfAll()) return false;
  absl::StatusOr<SocketPair> pair = MakePair(SOCK_STREAM);
  if (!pair.ok()) return false;
  auto socket = std::make_unique<MailboxConnection>(loop_, std::move(pair->host), budget_.get());
  if (!socket->Open().ok() || !SendDescriptor(line_->fd(), pair->guest.get())) return false;
  const int64_t number = ++last_number_;
  MailboxConnection& connection = *socket;
  connections_.try_emplace(number, std::move(socket));
  connection.AwaitUse([this, number] { OnUsed(number); });
  return true;
}

// Its first bytes are there, or its end.
void HostMailbox::OnUsed(int64_t number) {
  Connection* const connection = Find(number);
  if (connection == nullptr) return;
  connection->state = State::kReading;
  MakeAhead();
  MailboxConnection& socket = *connection->socket;
  // Most often the whole request is there.
  if (auto frame = socket.Poll()) {
    OnFrame(number, *std::move(frame));
  } else {
    socket.AwaitFrame([this, number](auto next) { OnFrame(number, std::move(next)); });
  }
}

// ---- requests -----------------------------------------------------------------------------------

void HostMailbox::OnFrame(int64_t number, MailboxConnection::FrameOrError frame) {
  Connection* const connection = Find(number);
  if (connection == nullptr) return;
  if (absl::IsOutOfRange(frame.status())) return Drop(number);
  if (!frame.ok()) return Break(std::string(frame.status().message()));
  if (connection->state == State::kReading) return OnRequestFrame(number, ParseMailboxRequest(*frame));
  if (OnPostFrame(*frame)) ReadPosts(number);
}

void HostMailbox::OnRequestFrame(int64_t number, absl::StatusOr<MailboxRequest> request) {
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

void HostMailbox::OpenInbox(int64_t number) {
  absl::StatusOr<UniqueFd> receiver = inbox_.OpenReceiver();
  Connection& connection = *Find(number);
  if (!receiver.ok()) {
    return Reply(
        connection, number,
        MailboxFailureOf(MailboxFailure::REASON_REFUSED, std::string(receiver.status().message())),
        {});
  }
  MailboxReply reply;
  reply.mutable_descriptor_sent();
  std::vector<UniqueFd> descriptors;
  descriptors.push_back(*std::move(receiver));
  Send(connection, reply, std::move(descriptors),
       [this, number](const absl::Status& sent) { sent.ok() ? OnInboxSent(number) : Drop(number); });
}

// Whether the guest has it shows when it closes the connection: an interrupt may come before it has read the
// reply, and with that the descriptor would be lost.
void HostMailbox::OnInboxSent(int64_t number) {
  Find(number)->socket->AwaitClose([this, number](MailboxConnection::Close how) {
    if (how == MailboxConnection::Close::kOutOfTurn) return Break("words behind the opening of an inbox");
    if (how == MailboxConnection::Close::kInTurn) inbox_.OnReceiverTaken();
    Drop(number);
  });
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
  connection.socket->AwaitClose([this, number](MailboxConnection::Close how) {
    if (how == MailboxConnection::Close::kOutOfTurn) return Break("a second request on a connection");
    Drop(number);
    if (observer_ != nullptr) observer_->OnRequestGone(number);
  });
  DrainPosts();
  if (Find(number) != nullptr && observer_ != nullptr)
    observer_->OnRequest(number, std::move(request));
}

void HostMailbox::Answer(int64_t number, MailboxReply reply, std::vector<UniqueFd> descriptors) {
  Connection* const connection = Find(number);
  if (connection == nullptr || connection->state != State::kAwaitingAnswer) return;
  if (reply.has_failure()) {
    reply = MailboxFailureOf(reply.failure().reason(), reply.failure().message());
  }
  Reply(*connection, number, reply, std::move(descriptors));
}

void HostMailbox::Reply(Connection& connection, int64_t number, const MailboxReply& reply,
                        std::vector<UniqueFd> descriptors) {
  Send(connection, reply, std::move(descriptors), [this, number](const absl::Status&) { Drop(number); });
}

void HostMailbox::Send(Connection& connection, const MailboxReply& reply, std::vector<UniqueFd> descriptors,
                       std::function<void(const absl::Status&)> sent) {
  connection.state = State::kAnswering;
  connection.socket->CancelAwait();
  absl::StatusOr<std::string> frame = EncodeFrame(reply, MailboxConnection::kMaxFrameBytes);
  if (!frame.ok()) {
    frame = EncodeFailure(MailboxFailure::REASON_REFUSED, "the result is larger than 16 MiB");
  } else if (!connection.socket->MakeRoomFor(frame->size())) {
    // Not a part of it either: who waits has to learn that there was an answer.
    frame = EncodeFailure(MailboxFailure::REASON_TOO_MANY,
                          "the answer came, and has no room beside others that are not read yet");
  }
  connection.socket->Send(*std::move(frame), std::move(descriptors),
                          std::move(sent));
}

// ---- the end ------------------------------------------------------------------------------------

HostMailbox::Connection* HostMailbox::Find(int64_t number) {
  const auto found = connections_.find(number);
  return found == connections_.end() ? nullptr : &found->second;
}

void HostMailbox::Drop(int64_t number) {
  connections_.erase(number);
  MakeAhead();
}

void HostMailbox::RetryStalled() {
  loop_->Post([this, alive = std::weak_ptr<char>(alive_)] {
    if (alive.expired()) return;
    std::vector<int64_t> numbers;
    for (const auto& [number, connection] : connections_) {
      if (connection.socket->is_stalled()) numbers.push_back(number);
    }
    for (const int64_t number : numbers) {
      if (Connection* const connection = Find(number)) connection->socket->Retry();
    }
    budget_->Tried();
  });
}

void HostMailbox::Close() {
  // So that what was posted just before an end is not lost with it.
  DrainPosts();
  CloseAll();
}

void HostMailbox::Break(std::string detail) {
  CloseAll();
  on_broken_(std::move(detail));
}

void HostMailbox::CloseAll() {
  is_closed_ = true;
  loop_->Cancel(std::exchange(retry_timer_, 0));
  line_.reset();
  connections_.clear();
  inbox_.Close();
}

}  // namespace cloister::sandbox
