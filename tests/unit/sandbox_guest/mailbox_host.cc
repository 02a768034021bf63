#include "tests/unit/sandbox_guest/mailbox_host.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "sandbox/clone/value.h"
#include "sandbox/wire/frame.h"
#include "sandbox/wire/passed_descriptors.h"

namespace cloister::sandbox {
namespace {

using internal::v1::MailboxReply;
using internal::v1::MailboxRequest;

constexpr auto kPatience = std::chrono::seconds(20);
constexpr size_t kMaxFrameBytes = (size_t{16} << 20) + (size_t{64} << 10);

std::string Clone(const v1::Value& value) {
  absl::StatusOr<std::string> clone = CloneFromValue(value, {});
  EXPECT_TRUE(clone.ok()) << clone.status();
  return clone.value_or("");
}

bool SendDescriptor(int socket, int descriptor) {
  char byte = 0;
  iovec data = {&byte, 1};
  msghdr message = {};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  AttachDescriptors({&descriptor, 1}, control, &message);
  return sendmsg(socket, &message, MSG_NOSIGNAL) >= 0;
}

}  // namespace

std::string CloneOf(const std::string& text) {
  v1::Value value;
  value.set_string_value(text);
  return Clone(value);
}

std::string CloneOfBytes(size_t count) {
  v1::Value value;
  value.set_bytes_value(std::string(count, 'x'));
  return Clone(value);
}

MailboxHost::MailboxHost(SessionClient* client) {
  int pair[2];
  EXPECT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
  sending_.reset(pair[0]);
  receiving_.reset(pair[1]);
  shutdown(pair[0], SHUT_RD);
  client->on_mailbox = [this](UniqueFd door) {
    ++mailboxes_opened_;
    int line[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, line), 0);
    const UniqueFd theirs(line[1]);
    EXPECT_TRUE(SendDescriptor(door.get(), theirs.get()));
    line_ = Keep(UniqueFd(line[0]));
    for (int i = 0; i < 2; ++i) Offer();
  };
}

MailboxHost::~MailboxHost() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    is_over_ = true;
    for (const UniqueFd& fd : open_) shutdown(fd.get(), SHUT_RDWR);
  }
  changed_.notify_all();
  for (;;) {
    std::thread thread;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (threads_.empty()) return;
      thread = std::move(threads_.back());
      threads_.pop_back();
    }
    thread.join();
  }
}

void MailboxHost::Start(std::function<void()> run) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (!is_over_) threads_.emplace_back(std::move(run));
}

int MailboxHost::Keep(UniqueFd fd) {
  const std::lock_guard<std::mutex> lock(mutex_);
  open_.push_back(std::move(fd));
  return open_.back().get();
}

void MailboxHost::Offer() {
  int pair[2];
  EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
  const UniqueFd theirs(pair[1]);
  UniqueFd ours_fd(pair[0]);
  // Who has ended needs no other one.
  if (!SendDescriptor(line_, theirs.get())) return;
  const int ours = Keep(std::move(ours_fd));
  Start([this, ours] { Serve(ours); });
}

void MailboxHost::Serve(int connection) {
  // The next one is there before the guest needs it.
  char first;
  recv(connection, &first, 1, MSG_PEEK);
  if (IsOver()) return;
  Offer();
  MailboxRequest request;
  if (!ReadFrame(connection, &request, kMaxFrameBytes).ok()) {
    shutdown(connection, SHUT_RDWR);
    return;
  }
  MailboxReply reply;
  if (request.has_open_posts()) return ServePosts(connection);
  if (request.has_open_inbox()) {
    reply.mutable_descriptor_sent();
    const int fd = receiving_.get();
    Answer(connection, reply, {fd});
    receiving_.reset();
  } else if (request.has_open_port()) {
    int fd = -1;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      const auto peer = peers_.find(request.open_port().interpreter());
      if (peer != peers_.end()) fd = peer->second;
    }
    if (fd < 0) {
      reply.mutable_failure()->set_reason(internal::v1::MailboxFailure::REASON_NOT_FOUND);
      reply.mutable_failure()->set_message("no such interpreter");
      Answer(connection, reply);
    } else {
      reply.mutable_descriptor_sent();
      Answer(connection, reply, {fd});
    }
  } else if (request.has_open_channel()) {
    ServeChannel(connection, request.open_channel());
  } else if (Reply answered = answer(request); answered.has_value()) {
    Answer(connection, *answered);
  } else {
    char byte;
    while (recv(connection, &byte, 1, 0) > 0) {
    }
    const std::lock_guard<std::mutex> lock(mutex_);
    ++cancelled_;
    changed_.notify_all();
  }
  shutdown(connection, SHUT_RDWR);
}

void MailboxHost::Answer(int connection, const MailboxReply& reply, std::vector<int> fds) {
  absl::StatusOr<std::string> frame = EncodeFrame(reply, kMaxFrameBytes);
  EXPECT_TRUE(frame.ok()) << frame.status();
  if (!frame.ok()) return;
  const auto send = [&](size_t begin, size_t count) {
    iovec data = {frame->data() + begin, count};
    msghdr message = {};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    std::vector<char> control(CMSG_SPACE(sizeof(int) * fds.size()));
    if (!fds.empty()) AttachDescriptors(fds, control.data(), &message);
    fds.clear();
    return sendmsg(connection, &message, MSG_NOSIGNAL);
  };
  size_t done = 0;
  std::unique_lock<std::mutex> lock(mutex_);
  if (holds_answers_) {
    done = send(0, 1) == 1 ? 1 : frame->size();
    changed_.wait(lock, [this] { return !holds_answers_ || is_over_; });
  }
  lock.unlock();
  while (done < frame->size()) {
    const ssize_t sent = send(done, frame->size() - done);
    if (sent <= 0) return;
    done += static_cast<size_t>(sent);
  }
}

void MailboxHost::HoldAnswers(bool holds) {
  const std::lock_guard<std::mutex> lock(mutex_);
  holds_answers_ = holds;
  changed_.notify_all();
}

void MailboxHost::ServeChannel(int connection, const internal::v1::OpenChannel& wish) {
  std::unique_lock<std::mutex> lock(mutex_);
  std::vector<UniqueFd>& ends = channels_[wish.name()];
  if (ends.empty()) {
    int pair[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    for (const int end : pair) ends.emplace_back(end);
    if (wish.capacity() != 0) {
      ends.emplace_back(eventfd(wish.capacity(), EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE));
    }
  }
  std::vector<int> numbers;
  for (const UniqueFd& end : ends) numbers.push_back(end.get());
  MailboxReply reply;
  reply.mutable_channel_sent()->set_capacity(numbers.size() == 2 ? 0 : wish.capacity());
  lock.unlock();
  Answer(connection, reply, numbers);
}

void MailboxHost::AddPeer(const std::string& name, MailboxHost* host) {
  const std::lock_guard<std::mutex> lock(mutex_);
  peers_[name] = host->inbox();
}

bool MailboxHost::IsOver() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return is_over_;
}

bool MailboxHost::Reads() {
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait(lock, [this] { return reads_posts_ || is_over_; });
  return !is_over_;
}

void MailboxHost::ServePosts(int connection) {
  internal::v1::Post post;
  while (Reads() && ReadFrame(connection, &post, kMaxFrameBytes).ok()) {
    const std::lock_guard<std::mutex> lock(mutex_);
    posts_.push_back(post.value());
    changed_.notify_all();
  }
  shutdown(connection, SHUT_RDWR);
}

std::string MailboxHost::NextPost() {
  std::unique_lock<std::mutex> lock(mutex_);
  EXPECT_TRUE(changed_.wait_for(lock, kPatience, [this] { return !posts_.empty(); }));
  if (posts_.empty()) return "";
  std::string post = posts_.front();
  posts_.erase(posts_.begin());
  return post;
}

void MailboxHost::ReadPosts(bool reads) {
  const std::lock_guard<std::mutex> lock(mutex_);
  reads_posts_ = reads;
  changed_.notify_all();
}

void MailboxHost::AwaitCancelled(int count) {
  std::unique_lock<std::mutex> lock(mutex_);
  EXPECT_TRUE(changed_.wait_for(lock, kPatience, [&] { return cancelled_ >= count; }));
}

void MailboxHost::Send(std::string_view clone) {
  InboxPacketHeader header;
  header.clone_bytes = clone.size();
  do {
    const std::string_view part = clone.substr(0, kMaxInlineBytes);
    clone.remove_prefix(part.size());
    header.flags = InboxPacketHeader::kFromHost | (clone.empty() ? 0 : InboxPacketHeader::kMore);
    EXPECT_TRUE(SendPacket(header, part));
  } while (!clone.empty());
}

bool MailboxHost::SendPacket(const InboxPacketHeader& header, std::string_view payload,
                             const std::vector<int>& descriptors) {
  InboxPacketHeader copy = header;
  iovec data[] = {{&copy, sizeof(copy)}, {const_cast<char*>(payload.data()), payload.size()}};
  msghdr message = {};
  message.msg_iov = data;
  message.msg_iovlen = 2;
  std::vector<char> control(CMSG_SPACE(sizeof(int) * descriptors.size()));
  if (!descriptors.empty()) AttachDescriptors(descriptors, control.data(), &message);
  return sendmsg(inbox(), &message, MSG_NOSIGNAL) >= 0;
}

}  // namespace cloister::sandbox
