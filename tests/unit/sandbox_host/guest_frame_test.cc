#include "sandbox/host/guest_frame.h"

#include <string>

#include "gtest/gtest.h"

namespace cloister::sandbox {
namespace {

using internal::v1::GuestFrame;

bool IsRefused(const std::string& bytes) {
  return absl::IsDataLoss(ParseGuestFrame(bytes).status());
}

TEST(GuestFrameTest, TheLargestHonestExceptionPasses) {
  GuestFrame frame;
  v1::Exception* exception = frame.mutable_finished()->mutable_exception();
  for (int depth = 0; depth < 16; ++depth) {
    for (int i = 0; i < 64; ++i) {
      v1::Frame* added = exception->add_frames();
      added->set_file("main.py");
      added->set_line(i + 1);
      added->set_function("f");
      added->set_source_line("f()");
      added->set_column(1);
      added->set_end_column(3);
    }
    exception = exception->mutable_cause();
  }
  auto parsed = ParseGuestFrame(frame.SerializeAsString());
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->SerializeAsString(), frame.SerializeAsString());
}

TEST(GuestFrameTest, LongContentIsNoField) {
  GuestFrame frame;
  frame.mutable_finished()->add_files()->set_content(std::string(10 << 20, '\xff'));
  EXPECT_TRUE(ParseGuestFrame(frame.SerializeAsString()).ok());
}

TEST(GuestFrameTest, ManyTinySubmessagesAreRefusedBeforeTheyAreBuilt) {
  // Two bytes each on the wire, two hundred in memory.
  GuestFrame frame;
  for (int i = 0; i < kMaxGuestFrameFields; ++i) frame.mutable_finished()->add_files();
  EXPECT_TRUE(IsRefused(frame.SerializeAsString()));
}

TEST(GuestFrameTest, ManyTinyUnknownFieldsAreRefusedToo) {
  std::string bytes;
  for (int i = 0; i <= kMaxGuestFrameFields; ++i) bytes += std::string("\x7a\x00", 2);  // field 15
  EXPECT_TRUE(IsRefused(bytes));
}

TEST(GuestFrameTest, DeepNestingIsRefused) {
  GuestFrame frame;
  v1::Exception* exception = frame.mutable_finished()->mutable_exception();
  for (int depth = 0; depth < kMaxGuestFrameDepth; ++depth) exception = exception->mutable_cause();
  EXPECT_TRUE(IsRefused(frame.SerializeAsString()));
}

TEST(GuestFrameTest, BytesThatAreNoMessageAreRefused) {
  EXPECT_TRUE(IsRefused(std::string("\xff", 1)));
  EXPECT_TRUE(IsRefused(std::string("\x00", 1)));                      // field number 0
  EXPECT_TRUE(IsRefused(std::string("\x0b\x0c", 2)));                  // groups
  EXPECT_TRUE(IsRefused(std::string("\x1a\x05\x08", 3)));              // a submessage cut short
  EXPECT_TRUE(IsRefused(std::string("\x1a\xff\xff\xff\xff\x0f", 6)));  // of 4 GiB
}

TEST(GuestFrameTest, TextThatIsNotUtf8IsRefused) {
  EXPECT_TRUE(IsRefused(std::string("\x12\x03\x1a\x01\xff", 5)));  // setup_failed.message
}

TEST(GuestFrameTest, NothingIsAFrameWithoutContent) {
  auto frame = ParseGuestFrame("");
  ASSERT_TRUE(frame.ok());
  EXPECT_EQ(frame->frame_case(), GuestFrame::FRAME_NOT_SET);
}

}  // namespace
}  // namespace cloister::sandbox
