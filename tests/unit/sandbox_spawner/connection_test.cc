#include "sandbox/spawner/connection.h"

#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <optional>

#include "cloister/internal/v1/spawner.pb.h"
#include "gtest/gtest.h"
#include "sandbox/wire/packet_socket.h"

namespace cloister::sandbox {
namespace {

using internal::v1::ZygoteEvent;
using internal::v1::ZygoteRequest;

ZygoteRequest Request(int64_t sandbox_id) {
  ZygoteRequest request;
  request.mutable_clone_sandbox()->set_sandbox_id(sandbox_id);
  return request;
}

class ConnectionTest : public ::testing::Test {
 protected:
  void Connect() {
    PacketPair pair = MakePacketPair().value();
    peer_ = std::move(pair.second);
    connection_.emplace(poller_, std::move(pair.first), [this] { ++readable_; });
  }

  Poller poller_ = Poller::Create().value();
  UniqueFd peer_;
  int readable_ = 0;
  std::optional<Connection> connection_;
};

TEST_F(ConnectionTest, NeverBlocksAndKeepsTheOrder) {
  Connect();
  constexpr int kCount = 20'000;  // far more than a socket holds
  for (int i = 0; i < kCount; ++i) connection_->Send(Request(i));
  for (int i = 0; i < kCount; ++i) {
    ZygoteRequest request;
    absl::Status status = ReceivePacket(peer_.get(), &request, nullptr, MSG_DONTWAIT);
    while (absl::IsUnavailable(status)) {
      ASSERT_TRUE(poller_.RunOnce().ok());  // writable again: sends what waited
      status = ReceivePacket(peer_.get(), &request, nullptr, MSG_DONTWAIT);
    }
    ASSERT_TRUE(status.ok()) << status;
    ASSERT_EQ(request.clone_sandbox().sandbox_id(), i);
  }
}

TEST_F(ConnectionTest, WaitingPacketsKeepTheirDescriptors) {
  Connect();
  for (int i = 0; i < 5'000; ++i) connection_->Send(Request(i));
  {
    const UniqueFd event(eventfd(7, EFD_CLOEXEC));
    connection_->Send(Request(5'000), {event.get()});
  }  // the sender's own descriptor is closed long before it is sent
  for (;;) {
    ZygoteRequest request;
    std::vector<UniqueFd> descriptors;
    const absl::Status status = ReceivePacket(peer_.get(), &request, &descriptors, MSG_DONTWAIT);
    if (absl::IsUnavailable(status)) {
      ASSERT_TRUE(poller_.RunOnce().ok());
      continue;
    }
    ASSERT_TRUE(status.ok()) << status;
    if (request.clone_sandbox().sandbox_id() < 5'000) continue;
    ASSERT_EQ(descriptors.size(), 1u);
    uint64_t value = 0;
    ASSERT_EQ(read(descriptors[0].get(), &value, sizeof(value)), ssize_t{sizeof(value)});
    EXPECT_EQ(value, 7u);
    return;
  }
}

// A process that dies with unread packets resets its connections; its last words must not be lost.
TEST_F(ConnectionTest, HearsWhatADyingPeerSaidLast) {
  Connect();
  connection_->Send(Request(1));  // never read
  ZygoteEvent event;
  event.mutable_broken()->set_stage("warm-up");
  ASSERT_TRUE(SendPacket(peer_.get(), event).ok());
  peer_.reset();
  ASSERT_TRUE(poller_.RunOnce().ok());
  EXPECT_EQ(readable_, 1);
  ZygoteEvent heard;
  ASSERT_TRUE(connection_->Receive(&heard, nullptr).ok());
  EXPECT_EQ(heard.broken().stage(), "warm-up");
  EXPECT_TRUE(absl::IsOutOfRange(connection_->Receive(&heard, nullptr)));
}

TEST_F(ConnectionTest, CallbackMayDestroyIt) {
  PacketPair pair = MakePacketPair().value();
  connection_.emplace(poller_, std::move(pair.first), [this] { connection_.reset(); });
  pair.second.reset();
  ASSERT_TRUE(poller_.RunOnce().ok());
  EXPECT_FALSE(connection_.has_value());
}

}  // namespace
}  // namespace cloister::sandbox
