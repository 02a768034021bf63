#include "sandbox/spawner/connection.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <cstdio>
#include <utility>

#include "sandbox/wire/packet_socket.h"

namespace cloister::sandbox {
namespace {

std::vector<int> Numbers(const std::vector<UniqueFd>& descriptors) {
  std::vector<int> numbers;
  for (const UniqueFd& fd : descriptors) numbers.push_back(fd.get());
  return numbers;
}

// Nobody can be told but the log: the peer, if it lives, never sees this packet.
void LogUnlessClosed(const absl::Status& status) {
  if (status.ok() || absl::IsOutOfRange(status)) return;
  fprintf(stderr, "cloister-spawner: a packet was lost: %s\n", status.ToString().c_str());
}

}  // namespace

Connection::Connection(Poller& poller, UniqueFd socket, std::function<void()> on_readable)
    : poller_(poller), socket_(std::move(socket)), on_readable_(std::move(on_readable)) {
  token_ = poller_.Watch(socket_.get(), EPOLLIN, [this](uint32_t events) { HandleEvents(events); });
}

Connection::~Connection() { poller_.Forget(token_); }

void Connection::Send(const google::protobuf::MessageLite& message,
                      absl::Span<const int> descriptors) {
  if (waiting_.empty()) {
    const absl::Status status = SendPacket(socket_.get(), message, descriptors, MSG_DONTWAIT);
    if (!absl::IsUnavailable(status)) return LogUnlessClosed(status);
  }
  Packet packet;
  packet.message.reset(message.New());
  packet.message->CheckTypeAndMergeFrom(message);
  for (int fd : descriptors) packet.descriptors.emplace_back(fcntl(fd, F_DUPFD_CLOEXEC, 0));
  if (waiting_.empty()) poller_.Change(token_, EPOLLIN | EPOLLOUT);
  waiting_.push_back(std::move(packet));
}

absl::Status Connection::Receive(google::protobuf::MessageLite* message,
                                 std::vector<UniqueFd>* descriptors) {
  const absl::Status status = ReceivePacket(socket_.get(), message, descriptors, MSG_DONTWAIT);
  if (!absl::IsOutOfRange(status)) return status;
  // A peer that died with unread packets makes one read fail, before what it sent itself: that is
  // still there. After a real end the second read says the same.
  return ReceivePacket(socket_.get(), message, descriptors, MSG_DONTWAIT);
}

void Connection::HandleEvents(uint32_t events) {
  if ((events & EPOLLOUT) != 0) Flush();
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) == 0) return;
  // A copy: it may destroy the connection, and itself with that.
  const std::function<void()> callback = on_readable_;
  callback();
}

void Connection::Flush() {
  while (!waiting_.empty()) {
    const Packet& packet = waiting_.front();
    const absl::Status status =
        SendPacket(socket_.get(), *packet.message, Numbers(packet.descriptors), MSG_DONTWAIT);
    if (absl::IsUnavailable(status)) return;
    LogUnlessClosed(status);
    waiting_.pop_front();
  }
  poller_.Change(token_, EPOLLIN);
}

}  // namespace cloister::sandbox
