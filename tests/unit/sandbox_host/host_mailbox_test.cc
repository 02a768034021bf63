// The host's side of a mailbox, with guests that use it and flood it.

#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "sandbox/wire/inbox_packet.h"
#include "tests/unit/sandbox_host/host_mailbox_fixture.h"

namespace cloister::sandbox {
namespace {

using internal::v1::MailboxFailure;
using internal::v1::MailboxReply;
using internal::v1::MailboxRequest;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using v1::Outcome;

TEST_F(HostMailboxTest, PostsReachTheObserverInOrder) {
  OpenMailbox();
  const UniqueFd posts = OpenPosts();
  for (int i = 0; i < 100; ++i) Post(posts, std::to_string(i));
  RunUntil(&loop_, [&] { return observed_.posts.size() == 100; });
  EXPECT_EQ(observed_.posts.front(), "0");
  EXPECT_EQ(observed_.posts.back(), "99");
}

TEST_F(HostMailboxTest, AMailboxMayBeOpenedWhileACellRuns) {
  (void)StartCell(1);
  OpenMailbox();
  const UniqueFd posts = OpenPosts();
  Post(posts, "from a cell");
  RunUntil(&loop_, [&] { return !observed_.posts.empty(); });
  SayCellFinished(1);
  EXPECT_EQ(AwaitCell().kind(), Outcome::KIND_SUCCEEDED);
  Post(posts, "from what it left");
  RunUntil(&loop_, [&] { return observed_.posts.size() == 2; });
}

TEST_F(HostMailboxTest, ARequestIsAnsweredOnItsConnection) {
  OpenMailbox();
  const UniqueFd first = Call("f");
  const UniqueFd second = Call("g");
  RunUntil(&loop_, [&] { return observed_.requests.size() == 2; });
  EXPECT_EQ(observed_.requests[1].call_host().function(), "g");
  MailboxReply reply;
  reply.set_value(CloneOf("two"));
  mailbox().Answer(observed_.numbers[1], reply);
  EXPECT_EQ(ReadReply(second).value(), CloneOf("two"));
  EXPECT_TRUE(IsClosed(second));
  mailbox().Answer(observed_.numbers[1], reply);  // ignored
  reply.set_exception(CloneOf("one"));
  mailbox().Answer(observed_.numbers[0], reply);
  EXPECT_EQ(ReadReply(first).exception(), CloneOf("one"));
  EXPECT_THAT(observed_.gone, SizeIs(0));
}

TEST_F(HostMailboxTest, WhatWasPostedBeforeACallIsToldBeforeIt) {
  OpenMailbox();
  const UniqueFd posts = OpenPosts();
  Settle();
  for (int i = 0; i < 200; ++i) Post(posts, "before");
  const UniqueFd call = Call("f");
  RunUntil(&loop_, [&] { return !observed_.requests.empty(); });
  EXPECT_THAT(observed_.order, ElementsAre(200u));
}

TEST_F(HostMailboxTest, ACallerThatGoesIsTold) {
  OpenMailbox();
  UniqueFd call = Call("f");
  RunUntil(&loop_, [&] { return !observed_.requests.empty(); });
  call.reset();
  RunUntil(&loop_, [&] { return !observed_.gone.empty(); });
  EXPECT_EQ(observed_.gone, observed_.numbers);
}

TEST_F(HostMailboxTest, PostsAreHeldBack) {
  OpenMailbox();
  const UniqueFd posts = OpenPosts();
  observed_.holds_back = true;
  Post(posts, "first");
  RunUntil(&loop_, [&] { return observed_.posts.size() == 1; });
  Post(posts, "second");
  Settle();
  EXPECT_THAT(observed_.posts, SizeIs(1));
  observed_.holds_back = false;
  mailbox().ResumePosts();
  RunUntil(&loop_, [&] { return observed_.posts.size() == 2; });
}

TEST_F(HostMailboxTest, PostsAreHeldBackOnceOneIsRefusedHalfWay) {
  OpenMailbox();
  const UniqueFd posts = OpenPosts();
  Settle();
  observed_.holds_back = true;
  Post(posts, "first");
  const UniqueFd call = Call("f");  // reads posts before it is told
  RunUntil(&loop_, [&] { return !observed_.requests.empty(); });
  Post(posts, "second");
  Settle();
  EXPECT_THAT(observed_.posts, SizeIs(1));
}

TEST_F(HostMailboxTest, TheInboxIsHandedOutOnce) {
  OpenMailbox();
  ASSERT_TRUE(mailbox().Post(CloneOf("early"), nullptr).ok());
  MailboxRequest request;
  request.mutable_open_inbox();
  UniqueFd opening = Ask(request);
  std::vector<UniqueFd> fds;
  EXPECT_TRUE(ReadReply(opening, &fds).has_descriptor_sent());
  ASSERT_THAT(fds, SizeIs(1));
  char packet[1024];
  const ssize_t got = ::recv(fds[0].get(), packet, sizeof(packet), MSG_DONTWAIT);
  EXPECT_EQ(std::string(packet + sizeof(InboxPacketHeader),
                        static_cast<size_t>(got) - sizeof(InboxPacketHeader)),
            CloneOf("early"));
  opening.reset();
  Settle();
  const UniqueFd again = Ask(request);
  EXPECT_EQ(ReadReply(again).failure().reason(), MailboxFailure::REASON_REFUSED);
}

TEST_F(HostMailboxTest, AnInboxWhoseOpeningWasNotReadIsHandedOutAgain) {
  OpenMailbox();
  ASSERT_TRUE(mailbox().Post(CloneOf("early"), nullptr).ok());
  MailboxRequest request;
  request.mutable_open_inbox();
  UniqueFd opening = Ask(request);
  char byte;
  RunUntil(&loop_,
           [&] { return ::recv(opening.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 1; });
  opening.reset();  // interrupted
  Settle();
  std::vector<UniqueFd> fds;
  const UniqueFd again = Ask(request);
  EXPECT_TRUE(ReadReply(again, &fds).has_descriptor_sent());
  ASSERT_THAT(fds, SizeIs(1));
  char packet[1024];
  EXPECT_GT(::recv(fds[0].get(), packet, sizeof(packet), MSG_DONTWAIT), 0) << "and nothing is lost";
}

TEST_F(HostMailboxTest, PortsGoAlong) {
  OpenMailbox();
  MailboxRequest request;
  request.mutable_open_port()->set_interpreter("other");
  const UniqueFd asking = Ask(request);
  RunUntil(&loop_, [&] { return !observed_.requests.empty(); });
  absl::StatusOr<UniqueFd> sender = mailbox().OpenSender();
  ASSERT_TRUE(sender.ok());
  MailboxReply reply;
  reply.mutable_descriptor_sent();
  std::vector<UniqueFd> descriptors;
  descriptors.push_back(*std::move(sender));
  mailbox().Answer(observed_.numbers[0], reply, std::move(descriptors));
  std::vector<UniqueFd> fds;
  (void)ReadReply(asking, &fds);
  EXPECT_THAT(fds, SizeIs(1));
}

TEST_F(HostMailboxTest, AnAnswerMayHaveSeveralDescriptors) {
  OpenMailbox();
  internal::v1::MailboxRequest request;
  request.mutable_open_channel()->set_name("jobs");
  const UniqueFd asked = Ask(request);
  RunUntil(&loop_, [&] { return observed_.numbers.size() == 1; });
  internal::v1::MailboxReply reply;
  reply.mutable_channel_sent()->set_capacity(1);
  std::vector<UniqueFd> descriptors;
  for (int i = 0; i < 3; ++i) descriptors.emplace_back(::dup(asked.get()));
  mailbox().Answer(observed_.numbers[0], reply, std::move(descriptors));
  std::vector<UniqueFd> came;
  EXPECT_EQ(ReadReply(asked, &came).channel_sent().capacity(), 1);
  EXPECT_EQ(came.size(), 3);
}

TEST_F(HostMailboxTest, BadArgumentsAreRefusedAndNotPunished) {
  OpenMailbox();
  MailboxRequest request;
  request.mutable_call_host()->set_function("f");
  request.mutable_call_host()->set_arguments("no clone at all");
  EXPECT_EQ(ReadReply(Ask(request)).failure().reason(), MailboxFailure::REASON_REFUSED);
  request.mutable_call_host()->set_arguments(CloneOf("no tuple"));
  EXPECT_THAT(ReadReply(Ask(request)).failure().message(), HasSubstr("TUPLE"));
  request.mutable_call_host()->set_arguments(ArgumentsOf(30'000));
  EXPECT_EQ(ReadReply(Ask(request)).failure().reason(), MailboxFailure::REASON_REFUSED);
  request.mutable_call_host()->clear_arguments();
  request.mutable_call_host()->set_function(std::string(300, 'f'));
  EXPECT_EQ(ReadReply(Ask(request)).failure().reason(), MailboxFailure::REASON_REFUSED);
  EXPECT_THAT(observed_.requests, SizeIs(0));
  EXPECT_FALSE(session_.lost.has_value());
}

TEST_F(HostMailboxTest, SomeConnectionsAreMadeAheadAndReplacedOnceUsed) {
  OpenMailbox();
  std::vector<UniqueFd> ahead;
  for (size_t i = 0; i < HostMailbox::kConnectionsAhead; ++i) ahead.push_back(Connect());
  Settle();
  EXPECT_FALSE(HasOne(line_)) << "none of them was used";
  ahead.pop_back();
  RunUntil(&loop_, [&] { return HasOne(line_); });
  ahead.push_back(Connect());
  internal::v1::MailboxRequest request;
  request.mutable_open_inbox();
  ASSERT_TRUE(WriteFrame(ahead.front().get(), request, kMaxMailboxFrame).ok());
  EXPECT_TRUE(ReadReply(ahead.front()).has_descriptor_sent());
  RunUntil(&loop_, [&] { return HasOne(line_); });
}

TEST_F(HostMailboxTest, MoreCallsThanMayBeOpenWaitForOneToEnd) {
  OpenMailbox();
  std::vector<UniqueFd> calls;
  for (size_t i = 0; i < HostMailbox::kMaxConnections; ++i) {
    calls.push_back(Call("f"));
    Settle();
  }
  RunUntil(&loop_, [&] { return observed_.requests.size() == HostMailbox::kMaxConnections; });
  EXPECT_FALSE(HasOne(line_)) << "no more are made ahead";
  calls.pop_back();
  RunUntil(&loop_, [&] { return observed_.gone.size() == 1; });
  const UniqueFd taken = Call("f");
  RunUntil(&loop_, [&] { return observed_.requests.size() == HostMailbox::kMaxConnections + 1; });
}

TEST_F(HostMailboxTest, WhatIsHeldOfFramesIsBounded) {
  OpenMailbox();
  // Four frames that are announced, of which three fit.
  std::vector<UniqueFd> calls;
  for (int i = 0; i < 4; ++i) {
    calls.push_back(Connect());
    const char header[] = {0, 0, 0, 1};  // 16 MiB
    ASSERT_EQ(::write(calls.back().get(), header, 4), 4);
    Settle();
  }
  const std::string piece(64 << 10, 'x');
  for (int i = 0; i < 20; ++i) {
    (void)::send(calls[3].get(), piece.data(), piece.size(), MSG_DONTWAIT);
    Settle();
  }
  EXPECT_EQ(::send(calls[3].get(), "x", 1, MSG_DONTWAIT), -1) << "the host reads no more of it";
  calls[0].reset();
  RunUntil(&loop_, [&] { return ::send(calls[3].get(), "x", 1, MSG_DONTWAIT) == 1; });
  EXPECT_FALSE(session_.lost.has_value());
}

TEST_F(HostMailboxTest, AFrameWaitsForPostsThatNobodyHasTaken) {
  OpenMailbox();
  const UniqueFd posts = OpenPosts();
  const std::string large(15 << 20, 'x');
  for (int i = 0; i < 3; ++i) {
    std::thread writer([&] { Post(posts, large); });
    RunUntil(&loop_, [&] { return observed_.posts.size() == static_cast<size_t>(i) + 1; });
    writer.join();
  }
  // 45 MiB are kept, so that of 48 there is no room for one more.
  std::thread writer([&] { Post(posts, large); });
  Settle();
  EXPECT_THAT(observed_.posts, SizeIs(3));
  observed_.held.erase(observed_.held.begin());
  RunUntil(&loop_, [&] { return observed_.posts.size() == 4; });
  writer.join();
}

TEST_F(HostMailboxTest, AnAnswerThatHasNoRoomIsAFailureAndNotAHalf) {
  OpenMailbox();
  const UniqueFd call = Call("f");
  const UniqueFd other = Call("g");
  RunUntil(&loop_, [&] { return observed_.requests.size() == 2; });
  const UniqueFd posts = OpenPosts();
  const std::string large(15 << 20, 'x');
  for (int i = 0; i < 3; ++i) {
    std::thread writer([&] { Post(posts, large); });
    RunUntil(&loop_, [&] { return observed_.posts.size() == static_cast<size_t>(i) + 1; });
    writer.join();
  }
  MailboxReply reply;
  reply.set_value(CloneOf(std::string(5 << 20, 'y')));
  mailbox().Answer(observed_.numbers[0], reply);
  EXPECT_EQ(ReadReply(call).failure().reason(), MailboxFailure::REASON_TOO_MANY);
  observed_.held.clear();
  mailbox().Answer(observed_.numbers[1], reply);
  std::thread reader([&] {
    MailboxReply whole;
    EXPECT_TRUE(ReadFrame(other.get(), &whole, kMaxMailboxFrame).ok());
    EXPECT_EQ(whole.value().size(), reply.value().size());
    loop_.Post([&] { observed_.rooms = -1; });
  });
  RunUntil(&loop_, [&] { return observed_.rooms == -1; });
  reader.join();
}

TEST_F(HostMailboxTest, AllMailboxesTogetherHaveAShareOfTheDescriptors) {
  HostMailbox::max_connections_of_all = 3;
  OpenMailbox();
  std::vector<UniqueFd> taken;
  for (int i = 0; i < 3; ++i) {
    taken.push_back(Call("f"));
    Settle();
  }
  EXPECT_FALSE(HasOne(line_));
  taken.pop_back();
  RunUntil(&loop_, [&] { return observed_.gone.size() == 1; });
  const UniqueFd next = Call("f");
  RunUntil(&loop_, [&] { return observed_.requests.size() == 4; });
  HostMailbox::max_connections_of_all = 0;
}

TEST_F(HostMailboxTest, WhatWasPostedBeforeAnEndIsTold) {
  OpenMailbox();
  const UniqueFd posts = OpenPosts();
  Settle();
  for (int i = 0; i < 200; ++i) Post(posts, "last words");
  spawner_->SayExited(guest_->Exit(0));
  EXPECT_EQ(AwaitLoss().kind(), Outcome::KIND_EXITED);
  EXPECT_THAT(observed_.posts, SizeIs(200));
}

TEST_F(HostMailboxTest, WithoutAnObserverAllIsClosed) {
  OpenMailbox();
  const UniqueFd call = Call("f");
  RunUntil(&loop_, [&] { return !observed_.requests.empty(); });
  mailbox().SetObserver(nullptr);
  EXPECT_TRUE(IsClosed(call));
  EXPECT_TRUE(absl::IsUnavailable(mailbox().Post(CloneOf("late"), nullptr)));
  EXPECT_THAT(observed_.gone, SizeIs(0));
}

}  // namespace
}  // namespace cloister::sandbox
