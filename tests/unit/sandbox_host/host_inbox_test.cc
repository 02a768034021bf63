// The host's end of an inbox, with readers that are slow or gone.

#include "sandbox/host/host_inbox.h"

#include <poll.h>
#include <sys/socket.h>

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "sandbox/mailbox.h"
#include "sandbox/wire/inbox_packet.h"
#include "tests/unit/sandbox_host/fake_spawner.h"

namespace cloister::sandbox {
namespace {

class HostInboxTest : public ::testing::Test {
 protected:
  void SetUp() override {
    receiver_ = *inbox_.OpenReceiver();
    inbox_.OnReceiverTaken();
  }

  // One packet's payload; -1 where there is none.
  ssize_t Receive(InboxPacketHeader* header, std::string* payload) {
    std::vector<char> packet(sizeof(*header) + kMaxInlineBytes + 1);
    const ssize_t got = ::recv(receiver_.get(), packet.data(), packet.size(), MSG_DONTWAIT);
    if (got < static_cast<ssize_t>(sizeof(*header))) return -1;
    std::memcpy(header, packet.data(), sizeof(*header));
    payload->assign(packet.data() + sizeof(*header), static_cast<size_t>(got) - sizeof(*header));
    return got;
  }
  // A whole message, however many packets.
  std::string ReceiveMessage() {
    std::string message;
    InboxPacketHeader header;
    do {
      std::string payload;
      bool has_come = false;
      RunUntil(&loop_, [&] { return has_come = has_come || Receive(&header, &payload) >= 0; });
      EXPECT_EQ(header.version, InboxPacketHeader::kVersion);
      EXPECT_NE(header.flags & InboxPacketHeader::kFromHost, 0);
      EXPECT_EQ(header.descriptor_count, 0);
      message += payload;
    } while ((header.flags & InboxPacketHeader::kMore) != 0);
    EXPECT_EQ(header.clone_bytes, message.size());
    return message;
  }

  AsioLoop loop_;
  int rooms_ = 0;
  HostInbox inbox_{&loop_, [this] { ++rooms_; }};
  UniqueFd receiver_;
};

TEST_F(HostInboxTest, AShortMessageIsOnePacket) {
  ASSERT_TRUE(inbox_.Post("short", nullptr).ok());
  EXPECT_EQ(ReceiveMessage(), "short");
}

TEST_F(HostInboxTest, ALongMessageIsCutAndComesWhole) {
  std::string longest(Mailbox::kMaxInboxBytes, 'x');
  longest[longest.size() / 2] = 'y';
  const auto held = std::make_shared<int>(0);
  ASSERT_TRUE(inbox_.Post(longest, held).ok());
  ASSERT_TRUE(inbox_.Post("after", nullptr).ok());
  EXPECT_EQ(held.use_count(), 2);
  EXPECT_TRUE(ReceiveMessage() == longest);
  EXPECT_EQ(held.use_count(), 1);
  EXPECT_EQ(ReceiveMessage(), "after");
}

TEST_F(HostInboxTest, WhatWaitsIsBoundedAndRoomIsTold) {
  const std::string mebibyte(1 << 20, 'x');
  int posted = 0;
  while (inbox_.HasRoomFor(mebibyte.size())) {
    ASSERT_TRUE(inbox_.Post(mebibyte, nullptr).ok());
    ASSERT_LT(++posted, 20);
  }
  EXPECT_GE(posted, 15);
  EXPECT_EQ(rooms_, 0);
  for (int i = 0; i < 2; ++i) (void)ReceiveMessage();
  RunUntil(&loop_, [&] { return rooms_ == 1; });
  EXPECT_TRUE(inbox_.HasRoomFor(mebibyte.size()));
  for (int i = 2; i < posted; ++i) (void)ReceiveMessage();
  EXPECT_EQ(rooms_, 1) << "told once for each time that there was none";
}

TEST_F(HostInboxTest, AReaderThatIsGoneIsNoticed) {
  receiver_.reset();
  // Once the host's own copy is closed, too.
  RunUntil(&loop_, [&] { return absl::IsUnavailable(inbox_.Post("nobody", nullptr)); });
  EXPECT_TRUE(absl::IsUnavailable(inbox_.OpenSender().status()));
}

TEST_F(HostInboxTest, AReaderThatGoesMeanwhileFreesWhatWaits) {
  const auto held = std::make_shared<int>(0);
  const std::string half(Mailbox::kMaxInboxBytes / 2 + 1, 'x');
  ASSERT_TRUE(inbox_.Post(half, held).ok());
  EXPECT_FALSE(inbox_.HasRoomFor(half.size()));
  receiver_.reset();
  RunUntil(&loop_, [&] { return rooms_ == 1; });
  EXPECT_EQ(held.use_count(), 1);
}

TEST_F(HostInboxTest, OthersSendBesideTheHost) {
  const UniqueFd sender = *inbox_.OpenSender();
  InboxPacketHeader header;
  header.flags = InboxPacketHeader::kFromHost;
  ASSERT_EQ(::send(sender.get(), &header, sizeof(header), MSG_DONTWAIT), 16);
  ASSERT_TRUE(inbox_.Post("second", nullptr).ok());
  EXPECT_EQ(ReceiveMessage(), "");
  EXPECT_EQ(ReceiveMessage(), "second");
}

TEST_F(HostInboxTest, TheReceivingEndGoesOutUntilItHasArrived) {
  HostInbox inbox{&loop_, [] {}};
  receiver_ = *inbox.OpenReceiver();
  receiver_.reset();
  ASSERT_TRUE(inbox.Post("kept", nullptr).ok());
  receiver_ = *inbox.OpenReceiver();
  inbox.OnReceiverTaken();
  EXPECT_TRUE(absl::IsFailedPrecondition(inbox.OpenReceiver().status()));
  EXPECT_EQ(ReceiveMessage(), "kept");
}

// So that whoever shuts it down ends it: a reader of the other way round would see no end, and nothing to read.
TEST_F(HostInboxTest, ItGoesOneWay) {
  const UniqueFd sender = *inbox_.OpenSender();
  EXPECT_EQ(::send(receiver_.get(), "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL), -1);
  ASSERT_EQ(::shutdown(sender.get(), SHUT_WR), 0);
  pollfd polled = {receiver_.get(), POLLIN, 0};
  ASSERT_EQ(::poll(&polled, 1, 0), 1);
  EXPECT_NE(polled.revents & POLLHUP, 0);
  EXPECT_TRUE(absl::IsUnavailable(inbox_.Post("x", nullptr)));
}

}  // namespace
}  // namespace cloister::sandbox
