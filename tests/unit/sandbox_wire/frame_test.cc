#include "sandbox/wire/frame.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <string>
#include <thread>
#include <vector>

#include "cloister/internal/v1/guest.pb.h"
#include "gtest/gtest.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/wire/passed_descriptors.h"

namespace cloister::sandbox {
namespace {

using internal::v1::GuestFrame;

class FrameTest : public ::testing::Test {
 protected:
  FrameTest() {
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    near_.reset(ends[0]);
    far_.reset(ends[1]);
  }

  static GuestFrame FrameWithText(size_t size) {
    GuestFrame frame;
    frame.mutable_setup_failed()->set_message(std::string(size, 'x'));
    return frame;
  }

  void SendRaw(const std::string& bytes) {
    ASSERT_EQ(::send(far_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }

  UniqueFd near_;
  UniqueFd far_;
};

TEST_F(FrameTest, ArrivesAsItWasWritten) {
  ASSERT_TRUE(WriteFrame(far_.get(), FrameWithText(5), 1000).ok());
  ASSERT_TRUE(WriteFrame(far_.get(), FrameWithText(0), 1000).ok());
  GuestFrame frame;
  ASSERT_TRUE(ReadFrame(near_.get(), &frame, 1000).ok());
  EXPECT_EQ(frame.setup_failed().message(), "xxxxx");
  ASSERT_TRUE(ReadFrame(near_.get(), &frame, 1000).ok());
  EXPECT_TRUE(frame.has_setup_failed());
  EXPECT_EQ(frame.setup_failed().message(), "");
}

TEST_F(FrameTest, AnEmptyMessageIsAFrameToo) {
  ASSERT_TRUE(WriteFrame(far_.get(), GuestFrame(), 1000).ok());
  GuestFrame frame = FrameWithText(3);
  ASSERT_TRUE(ReadFrame(near_.get(), &frame, 1000).ok());
  EXPECT_FALSE(frame.has_setup_failed());
}

TEST_F(FrameTest, LongFramesPassInPieces) {
  const size_t size = 5 << 20;
  std::thread writer(
      [&] { EXPECT_TRUE(WriteFrame(far_.get(), FrameWithText(size), kMaxGuestFrameBytes).ok()); });
  GuestFrame frame;
  EXPECT_TRUE(ReadFrame(near_.get(), &frame, kMaxGuestFrameBytes).ok());
  writer.join();
  EXPECT_EQ(frame.setup_failed().message().size(), size);
}

TEST_F(FrameTest, AClosedChannelIsAnOrderlyEndBetweenFramesOnly) {
  SendRaw(
      std::string("\x05\x00\x00\x00"
                  "ab",
                  6));
  far_.reset();
  GuestFrame frame;
  EXPECT_TRUE(absl::IsDataLoss(ReadFrame(near_.get(), &frame, 1000)));
  EXPECT_TRUE(absl::IsOutOfRange(ReadFrame(near_.get(), &frame, 1000)));
}

TEST_F(FrameTest, ACutHeaderIsDataLoss) {
  SendRaw("\x05");
  far_.reset();
  GuestFrame frame;
  EXPECT_TRUE(absl::IsDataLoss(ReadFrame(near_.get(), &frame, 1000)));
}

TEST_F(FrameTest, WritingToAClosedChannelIsAnErrorAndNoSignal) {
  near_.reset();
  EXPECT_TRUE(absl::IsOutOfRange(WriteFrame(far_.get(), FrameWithText(1), 1000)));
}

TEST_F(FrameTest, DescriptorsComeWithTheFrameTheyWereSentWith) {
  int pipe_ends[2];
  ASSERT_EQ(::pipe2(pipe_ends, O_CLOEXEC), 0);
  const UniqueFd read_end(pipe_ends[0]);
  UniqueFd write_end(pipe_ends[1]);
  const int sent[] = {write_end.get()};
  ASSERT_TRUE(WriteFrame(far_.get(), FrameWithText(1), 1000).ok());
  ASSERT_TRUE(WriteFrame(far_.get(), FrameWithText(2), 1000, sent).ok());
  write_end.reset();
  std::vector<UniqueFd> received;
  GuestFrame frame;
  ASSERT_TRUE(ReadFrame(near_.get(), &frame, 1000, &received).ok());
  EXPECT_TRUE(received.empty());
  ASSERT_TRUE(ReadFrame(near_.get(), &frame, 1000, &received).ok());
  EXPECT_EQ(frame.setup_failed().message(), "xx");
  ASSERT_EQ(received.size(), 1u);
  EXPECT_EQ(::write(received[0].get(), "y", 1), 1);
  char byte = 0;
  EXPECT_EQ(::read(read_end.get(), &byte, 1), 1);
  EXPECT_EQ(byte, 'y');
}

TEST_F(FrameTest, TooManyDescriptorsAreRefusedOnBothSides) {
  const std::vector<int> many(kMaxFrameDescriptors + 1, near_.get());
  EXPECT_EQ(WriteFrame(far_.get(), FrameWithText(1), 1000, many).code(),
            absl::StatusCode::kResourceExhausted);
  char bytes[kFrameHeaderBytes] = {};
  iovec data{bytes, sizeof(bytes)};
  msghdr header{};
  header.msg_iov = &data;
  header.msg_iovlen = 1;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * (kMaxFrameDescriptors + 1))] = {};
  AttachDescriptors(many, control, &header);
  ASSERT_EQ(::sendmsg(far_.get(), &header, 0), static_cast<ssize_t>(sizeof(bytes)));
  std::vector<UniqueFd> received;
  GuestFrame frame;
  EXPECT_EQ(ReadFrame(near_.get(), &frame, 1000, &received).code(), absl::StatusCode::kDataLoss);
}

TEST_F(FrameTest, TheLimitHoldsOnBothSides) {
  EXPECT_TRUE(absl::IsResourceExhausted(EncodeFrame(FrameWithText(1001), 1000).status()));
  SendRaw(std::string("\xe9\x03\x00\x00", 4));  // 1001
  GuestFrame frame;
  EXPECT_TRUE(absl::IsDataLoss(ReadFrame(near_.get(), &frame, 1000)));
}

std::string Encode(size_t size) {
  GuestFrame frame;
  frame.mutable_setup_failed()->set_message(std::string(size, 'x'));
  return *EncodeFrame(frame, kMaxGuestFrameBytes);
}

TEST(FrameDecoderTest, CutsAStreamHoweverItIsCutAlready) {
  const std::string stream = Encode(300) + Encode(0) + Encode(70000);
  for (size_t step : {1, 2, 3, 5, 7, 4096, 1 << 20}) {
    FrameDecoder decoder(1 << 20);
    size_t messages = 0;
    size_t bytes_in_messages = 0;
    for (size_t at = 0; at < stream.size(); at += step) {
      std::string_view piece = std::string_view(stream).substr(at, step);
      while (!piece.empty()) {
        ASSERT_TRUE(decoder.Consume(&piece).ok());
        if (auto message = decoder.TakeMessage()) {
          ++messages;
          bytes_in_messages += message->size();
        }
      }
    }
    EXPECT_EQ(messages, 3u) << step;
    EXPECT_EQ(bytes_in_messages, stream.size() - 3 * kFrameHeaderBytes) << step;
    EXPECT_TRUE(decoder.AtFrameStart());
  }
}

TEST(FrameDecoderTest, AskingForWhatIsWantedNeverReadsPastAFrame) {
  const std::string stream = Encode(100) + "next";
  FrameDecoder decoder(1 << 20);
  std::string_view left = stream;
  std::optional<std::string> message;
  while (!message) {
    std::string_view piece = left.substr(0, decoder.wanted());
    left.remove_prefix(piece.size());
    ASSERT_TRUE(decoder.Consume(&piece).ok());
    message = decoder.TakeMessage();
  }
  EXPECT_EQ(left, "next");
}

TEST(FrameDecoderTest, RefusesALengthPastTheLimitAtTheLastByteOfTheHeader) {
  FrameDecoder decoder(1000);
  std::string_view bytes("\xff\xff\xff", 3);
  EXPECT_TRUE(decoder.Consume(&bytes).ok());
  EXPECT_FALSE(decoder.AtFrameStart());
  bytes = std::string_view("\xff", 1);
  EXPECT_TRUE(absl::IsDataLoss(decoder.Consume(&bytes)));
}

TEST(FrameDecoderTest, AnAnnouncedLengthCostsNothingUntilItArrives) {
  // 48 MiB announced, one byte sent: were it allocated at once, a thousand decoders would not fit.
  std::vector<FrameDecoder> decoders(1000, FrameDecoder(kMaxGuestFrameBytes));
  for (FrameDecoder& decoder : decoders) {
    std::string_view bytes("\x00\x00\x00\x03x", 5);
    ASSERT_TRUE(decoder.Consume(&bytes).ok());
    EXPECT_FALSE(decoder.TakeMessage().has_value());
    EXPECT_EQ(decoder.wanted(), (size_t{48} << 20) - 1);
  }
}

}  // namespace
}  // namespace cloister::sandbox
