// A live sandbox's mailbox, whose guest and whose service the test plays.

#ifndef CLOISTER_TESTS_UNIT_SANDBOX_HOST_HOST_MAILBOX_FIXTURE_H_
#define CLOISTER_TESTS_UNIT_SANDBOX_HOST_HOST_MAILBOX_FIXTURE_H_

#include <sys/socket.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "sandbox/clone/value.h"
#include "sandbox/host/host_mailbox.h"
#include "sandbox/wire/frame.h"
#include "sandbox/wire/passed_descriptors.h"
#include "tests/unit/sandbox_host/host_session_fixture.h"

namespace cloister::sandbox {

inline constexpr size_t kMaxMailboxFrame = MailboxConnection::kMaxFrameBytes;

inline std::string CloneOf(const std::string& text) {
  v1::Value value;
  value.set_string_value(text);
  return *CloneFromValue(value, kResultCloneLimits);
}

inline std::string ArgumentsOf(int count) {
  google::protobuf::RepeatedPtrField<v1::Value> values;
  for (int i = 0; i < count; ++i) values.Add()->set_int_value(i);
  return *TupleCloneFromValues(values, CloneLimits());
}

inline std::pair<UniqueFd, UniqueFd> MakePair(int type) {
  int ends[2];
  EXPECT_EQ(::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends), 0);
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

class RecordingMailbox final : public MailboxObserver {
 public:
  bool OnPost(std::string clone, std::shared_ptr<void> kept) override {
    held.push_back(std::move(kept));
    posts.push_back(ValueFromClone(clone, kResultCloneLimits)->string_value());
    return !holds_back;
  }
  void OnRequest(int64_t number, internal::v1::MailboxRequest request) override {
    order.push_back(posts.size());
    numbers.push_back(number);
    requests.push_back(std::move(request));
  }
  void OnRequestGone(int64_t number) override { gone.push_back(number); }
  void OnInboxRoom() override { ++rooms; }

  bool holds_back = false;
  std::vector<std::string> posts;
  std::vector<std::shared_ptr<void>> held;
  std::vector<size_t> order;  // of each request, how many posts had come
  std::vector<int64_t> numbers;
  std::vector<internal::v1::MailboxRequest> requests;
  std::vector<int64_t> gone;
  int rooms = 0;
};

class HostMailboxTest : public HostSessionTest {
 protected:
  void OpenMailbox() {
    auto [host, guest] = MakePair(SOCK_SEQPACKET);
    SayOpenMailbox(std::move(host));
    mailbox().SetObserver(&observed_);
    Settle();
    line_ = TakeFrom(guest);
  }
  // A descriptor that the host sends.
  UniqueFd TakeFrom(const UniqueFd& socket) {
    char byte;
    RunUntil(&loop_, [&] { return ::recv(socket.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0; });
    iovec data = {&byte, sizeof(byte)};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
    msghdr header = {};
    header.msg_iov = &data;
    header.msg_iovlen = 1;
    header.msg_control = control;
    header.msg_controllen = sizeof(control);
    EXPECT_EQ(::recvmsg(socket.get(), &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC), 1);
    std::vector<UniqueFd> came = TakeDescriptors(&header);
    EXPECT_EQ(came.size(), 1u);
    return came.empty() ? UniqueFd() : std::move(came.front());
  }
  // Whether the host has sent one more.
  static bool HasOne(const UniqueFd& socket) {
    char byte;
    return ::recv(socket.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 1;
  }
  void SayOpenMailbox(UniqueFd fd) {
    internal::v1::GuestFrame frame;
    frame.mutable_open_mailbox();
    std::vector<UniqueFd> fds;
    if (fd) fds.push_back(std::move(fd));
    guest_->SayWith(frame, fds);
  }
  Mailbox& mailbox() { return sandbox_->mailbox(); }

  UniqueFd Connect() { return TakeFrom(line_); }
  UniqueFd Ask(const internal::v1::MailboxRequest& request) {
    UniqueFd connection = Connect();
    EXPECT_TRUE(WriteFrame(connection.get(), request, kMaxMailboxFrame).ok());
    return connection;
  }
  UniqueFd OpenPosts() {
    internal::v1::MailboxRequest request;
    request.mutable_open_posts();
    return Ask(request);
  }
  static void Post(const UniqueFd& posts, const std::string& text) {
    internal::v1::Post post;
    post.set_value(CloneOf(text));
    ASSERT_TRUE(WriteFrame(posts.get(), post, kMaxMailboxFrame).ok());
  }
  UniqueFd Call(const std::string& function) {
    internal::v1::MailboxRequest request;
    request.mutable_call_host()->set_function(function);
    request.mutable_call_host()->set_arguments(ArgumentsOf(2));
    return Ask(request);
  }
  internal::v1::MailboxReply ReadReply(const UniqueFd& connection,
                                       std::vector<UniqueFd>* fds = nullptr) {
    RunUntil(&loop_, [&] {
      char byte;
      return ::recv(connection.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0;
    });
    internal::v1::MailboxReply reply;
    std::vector<UniqueFd> came;
    const absl::Status read = ReadFrame(connection.get(), &reply, kMaxMailboxFrame, &came);
    EXPECT_TRUE(read.ok()) << read;
    if (fds != nullptr) *fds = std::move(came);
    return reply;
  }
  // Whether the host has closed it, with nothing left in it.
  static bool IsClosed(const UniqueFd& connection) {
    char byte;
    return ::recv(connection.get(), &byte, 1, MSG_DONTWAIT) == 0;
  }
  void ExpectViolation(const std::string& detail) {
    const v1::Outcome how = AwaitLoss();
    EXPECT_EQ(how.kind(), v1::Outcome::KIND_POLICY_VIOLATION);
    EXPECT_THAT(how.detail(), ::testing::HasSubstr(detail));
  }

  RecordingMailbox observed_;
  UniqueFd line_;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_TESTS_UNIT_SANDBOX_HOST_HOST_MAILBOX_FIXTURE_H_
