// What no guest of ours says about mailboxes, and in them: each ends the interpreter.

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>
#include <vector>

#include "tests/unit/sandbox_host/host_mailbox_fixture.h"

namespace cloister::sandbox {
namespace {

using internal::v1::MailboxRequest;

using BrokenMailboxTest = HostMailboxTest;

TEST_F(BrokenMailboxTest, WordsOnTheLineEndIt) {
  OpenMailbox();
  ASSERT_EQ(::send(line_.get(), "c", 1, MSG_NOSIGNAL), 1);
  ExpectViolation("mailbox's line");
}

TEST_F(BrokenMailboxTest, ARequestThatIsNoneEndsIt) {
  OpenMailbox();
  const UniqueFd connection = Ask(MailboxRequest());
  ExpectViolation("asks for nothing");
}

TEST_F(BrokenMailboxTest, AFrameThatIsTooLongEndsIt) {
  OpenMailbox();
  const UniqueFd connection = Connect();
  ASSERT_EQ(::write(connection.get(), "\xff\xff\xff\x7f", 4), 4);
  ExpectViolation("a frame announces");
}

TEST_F(BrokenMailboxTest, ASecondRequestOnAConnectionEndsIt) {
  OpenMailbox();
  const UniqueFd call = Call("f");
  RunUntil(&loop_, [&] { return !observed_.requests.empty(); });
  ASSERT_EQ(::write(call.get(), "x", 1), 1);
  ExpectViolation("second request");
}

TEST_F(BrokenMailboxTest, APostThatIsNoCloneEndsIt) {
  OpenMailbox();
  const UniqueFd posts = OpenPosts();
  internal::v1::Post post;
  post.set_value("no clone at all");
  ASSERT_TRUE(WriteFrame(posts.get(), post, kMaxMailboxFrame).ok());
  ExpectViolation("a broken clone");
}

TEST_F(BrokenMailboxTest, ASecondMailboxEndsIt) {
  OpenMailbox();
  SayOpenMailbox(MakePair(SOCK_SEQPACKET).first);
  ExpectViolation("second mailbox");
}

TEST_F(BrokenMailboxTest, AMailboxWithoutADescriptorEndsIt) {
  SayOpenMailbox(UniqueFd());
  ExpectViolation("without its descriptor");
}

// The server's own want of descriptors is no fault of the guest's.
TEST_F(BrokenMailboxTest, AMailboxThatThereIsNoDescriptorForEndsNothing) {
  auto [host, guest] = MakePair(SOCK_SEQPACKET);
  SayOpenMailbox(std::move(host));
  rlimit usual;
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &usual), 0);
  const rlimit none = {0, usual.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  Settle();
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &usual), 0);
  EXPECT_TRUE(IsClosed(guest)) << "the guest is told";
  EXPECT_FALSE(session_.lost.has_value());
}

TEST_F(BrokenMailboxTest, AMailboxOfAnotherKindEndsIt) {
  SayOpenMailbox(MakePair(SOCK_STREAM).first);
  ExpectViolation("no packet socket");
}

TEST_F(BrokenMailboxTest, ADescriptorBesideAnotherFrameEndsIt) {
  internal::v1::GuestFrame frame;
  frame.mutable_late_output()->set_cell(1);
  std::vector<UniqueFd> fds;
  fds.push_back(MakePair(SOCK_STREAM).first);
  guest_->SayWith(frame, fds);
  ExpectViolation("descriptor");
}

TEST_F(BrokenMailboxTest, TwoDescriptorsBesideAFrameEndIt) {
  internal::v1::GuestFrame frame;
  frame.mutable_open_mailbox();
  std::vector<UniqueFd> fds;
  fds.push_back(MakePair(SOCK_SEQPACKET).first);
  fds.push_back(MakePair(SOCK_SEQPACKET).first);
  guest_->SayWith(frame, fds);
  ExpectViolation("too many descriptors");
}

}  // namespace
}  // namespace cloister::sandbox
