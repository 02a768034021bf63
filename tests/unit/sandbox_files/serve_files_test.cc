// The process's life, frame by frame, over a socket pair.

#include "sandbox/files/serve_files.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "sandbox/base/unique_fd.h"
#include "sandbox/wire/frame.h"

namespace cloister::sandbox {
namespace {

using internal::v1::GuestFrame;
using internal::v1::HostFrame;

// In a child, since it works in its working directory and lowers its limits.
class ServeFilesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/dev/shm/cloister_serve_XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    directory_ = name;
    int ends[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    channel_.reset(ends[0]);
    pid_ = fork();
    ASSERT_GE(pid_, 0);
    if (pid_ == 0) {
      channel_.reset();
      if (chdir(name) != 0) _exit(99);
      internal::v1::ServeFiles request;
      request.mutable_limits()->set_file_bytes(100);
      _exit(ServeFiles(ends[1], request));
    }
    close(ends[1]);
    EXPECT_TRUE(Receive().has_session_opened());
  }
  void TearDown() override {
    channel_.reset();
    if (pid_ > 0) Wait();
    EXPECT_EQ(rmdir(directory_.c_str()), 0);
  }

  GuestFrame Receive() {
    GuestFrame frame;
    const absl::Status status = ReadFrame(channel_.get(), &frame, kMaxGuestFrameBytes);
    EXPECT_TRUE(status.ok()) << status;
    return frame;
  }
  GuestFrame Ask(const HostFrame& frame) {
    EXPECT_TRUE(WriteFrame(channel_.get(), frame, kMaxHostFrameBytes).ok());
    return Receive();
  }
  int Wait() {
    int status = 0;
    EXPECT_EQ(waitpid(pid_, &status, 0), pid_);
    pid_ = -1;
    return status;
  }

  std::string directory_;
  UniqueFd channel_;
  pid_t pid_ = -1;
};

TEST_F(ServeFilesTest, AnswersUntilTheChannelEnds) {
  HostFrame frame;
  frame.mutable_file_request()->set_number(5);
  frame.mutable_file_request()->mutable_stat();
  const GuestFrame reply = Ask(frame);
  EXPECT_EQ(reply.file_reply().number(), 5);
  EXPECT_EQ(reply.file_reply().infos(0).kind(), internal::v1::PathInfo::KIND_DIRECTORY);
  channel_.reset();
  EXPECT_EQ(Wait(), 0);
}

TEST_F(ServeFilesTest, KeepsTheLimitOfFiles) {
  HostFrame frame;
  frame.mutable_file_request()->mutable_open_to_write()->set_path("a");
  EXPECT_EQ(Ask(frame).file_reply().error_number(), 0);
  frame.mutable_file_request()->mutable_write_part()->set_data(std::string(101, 'x'));
  EXPECT_EQ(Ask(frame).file_reply().error_number(), EFBIG);
}

TEST_F(ServeFilesTest, EndsOnAnyOtherFrame) {
  HostFrame frame;
  frame.mutable_prepare_fork();
  ASSERT_TRUE(WriteFrame(channel_.get(), frame, kMaxHostFrameBytes).ok());
  EXPECT_EQ(WEXITSTATUS(Wait()), EXIT_FAILURE);
}

}  // namespace
}  // namespace cloister::sandbox
