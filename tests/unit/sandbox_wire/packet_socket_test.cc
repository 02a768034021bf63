#include "sandbox/wire/packet_socket.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "cloister/internal/v1/spawner.pb.h"
#include "gtest/gtest.h"

namespace cloister::sandbox {
namespace {

using internal::v1::SpawnerEvent;

class PacketSocketTest : public ::testing::Test {
 protected:
  PacketSocketTest() : pair_(*MakePacketPair()) {}

  int near() const { return pair_.first.get(); }
  int far() const { return pair_.second.get(); }

  static SpawnerEvent EventWithText(size_t size) {
    SpawnerEvent event;
    event.mutable_zygote_failed()->set_message(std::string(size, 'x'));
    return event;
  }

  PacketPair pair_;
};

TEST_F(PacketSocketTest, PacketsKeepTheirBordersAndOrder) {
  for (size_t size : {1, 2, 3}) ASSERT_TRUE(SendPacket(far(), EventWithText(size)).ok());
  for (size_t size : {1, 2, 3}) {
    SpawnerEvent event;
    ASSERT_TRUE(ReceivePacket(near(), &event, nullptr).ok());
    EXPECT_EQ(event.zygote_failed().message().size(), size);
  }
}

TEST_F(PacketSocketTest, TheLongestPacketPasses) {
  const SpawnerEvent longest = EventWithText(kMaxPacketBytes - 16);
  ASSERT_TRUE(SendPacket(far(), longest, {}, MSG_DONTWAIT).ok());
  SpawnerEvent event;
  ASSERT_TRUE(ReceivePacket(near(), &event, nullptr).ok());
  EXPECT_EQ(event.ByteSizeLong(), longest.ByteSizeLong());
}

TEST_F(PacketSocketTest, TooLongOrEmptyPacketsAreNotSent) {
  EXPECT_TRUE(absl::IsInvalidArgument(SendPacket(far(), EventWithText(kMaxPacketBytes))));
  EXPECT_TRUE(absl::IsInvalidArgument(SendPacket(far(), SpawnerEvent())));
}

TEST_F(PacketSocketTest, DescriptorsArriveInOrderAndCloseOnExec) {
  int pipe_ends[2];
  ASSERT_EQ(::pipe2(pipe_ends, O_CLOEXEC), 0);
  const UniqueFd read_end(pipe_ends[0]), write_end(pipe_ends[1]);
  const int sent[] = {read_end.get(), write_end.get()};
  ASSERT_TRUE(SendPacket(far(), EventWithText(1), sent).ok());

  SpawnerEvent event;
  std::vector<UniqueFd> received;
  ASSERT_TRUE(ReceivePacket(near(), &event, &received).ok());
  ASSERT_EQ(received.size(), 2u);
  for (const UniqueFd& fd : received) EXPECT_TRUE(::fcntl(fd.get(), F_GETFD) & FD_CLOEXEC);
  ASSERT_EQ(::write(received[1].get(), "y", 1), 1);
  char byte;
  ASSERT_EQ(::read(received[0].get(), &byte, 1), 1);
  EXPECT_EQ(byte, 'y');
}

TEST_F(PacketSocketTest, UnwantedDescriptorsAreClosed) {
  int pipe_ends[2];
  ASSERT_EQ(::pipe2(pipe_ends, O_CLOEXEC), 0);
  const UniqueFd read_end(pipe_ends[0]);
  UniqueFd write_end(pipe_ends[1]);
  const int sent[] = {write_end.get()};
  ASSERT_TRUE(SendPacket(far(), EventWithText(1), sent).ok());
  write_end.reset();
  SpawnerEvent event;
  ASSERT_TRUE(ReceivePacket(near(), &event, nullptr).ok());
  char byte;
  EXPECT_EQ(::read(read_end.get(), &byte, 1), 0) << "a copy of the write end is still open";
}

TEST_F(PacketSocketTest, TooManyDescriptorsAreAnErrorOnBothSides) {
  const std::vector<int> many(kMaxPacketDescriptors + 1, far());
  EXPECT_TRUE(absl::IsInvalidArgument(SendPacket(far(), EventWithText(1), many)));

  // A sender that does not keep to it: more than the receiver has room for.
  std::string bytes = EventWithText(1).SerializeAsString();
  iovec data{bytes.data(), bytes.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * 32)] = {};
  msghdr header{};
  header.msg_iov = &data;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof(control);
  cmsghdr* rights = CMSG_FIRSTHDR(&header);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(sizeof(int) * 32);
  for (int i = 0; i < 32; ++i) reinterpret_cast<int*>(CMSG_DATA(rights))[i] = far();
  ASSERT_GT(::sendmsg(far(), &header, 0), 0);
  SpawnerEvent event;
  std::vector<UniqueFd> received;
  EXPECT_TRUE(absl::IsDataLoss(ReceivePacket(near(), &event, &received)));
  EXPECT_TRUE(received.empty());
}

TEST_F(PacketSocketTest, BytesThatDoNotParseAreDataLossAndTheNextPacketIsFine) {
  ASSERT_EQ(::send(far(), "\xff\xff\xff", 3, 0), 3);
  ASSERT_TRUE(SendPacket(far(), EventWithText(1)).ok());
  SpawnerEvent event;
  EXPECT_TRUE(absl::IsDataLoss(ReceivePacket(near(), &event, nullptr)));
  EXPECT_TRUE(ReceivePacket(near(), &event, nullptr).ok());
}

TEST_F(PacketSocketTest, WouldHaveToWaitIsUnavailable) {
  SpawnerEvent event;
  EXPECT_TRUE(absl::IsUnavailable(ReceivePacket(near(), &event, nullptr, MSG_DONTWAIT)));
  absl::Status status;
  for (int i = 0; i < 10000 && status.ok(); ++i) {
    status = SendPacket(far(), EventWithText(60000), {}, MSG_DONTWAIT);
  }
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
}

TEST_F(PacketSocketTest, AClosedEndIsOutOfRangeInBothDirections) {
  ASSERT_TRUE(SendPacket(far(), EventWithText(1)).ok());
  pair_.second.reset();
  SpawnerEvent event;
  EXPECT_TRUE(ReceivePacket(near(), &event, nullptr).ok()) << "what was sent before still counts";
  EXPECT_TRUE(absl::IsOutOfRange(ReceivePacket(near(), &event, nullptr)));
  EXPECT_TRUE(absl::IsOutOfRange(SendPacket(near(), EventWithText(1))));
}

}  // namespace
}  // namespace cloister::sandbox
