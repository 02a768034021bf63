// The process of a sandbox's files is the test's.

#include "sandbox/host/host_files.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <cerrno>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sandbox/wire/frame.h"
#include "tests/unit/sandbox_host/fake_spawner.h"

namespace cloister::sandbox {
namespace {

using internal::v1::FileReply;
using internal::v1::FileRequest;
using internal::v1::GuestFrame;
using internal::v1::HostFrame;

class HostFilesTest : public ::testing::Test {
 protected:
  using Result = std::optional<absl::StatusOr<FileReply>>;

  class Process final : public FileProcess {
   public:
    Process(HostFilesTest* test, UniqueFd socket)
        : test_(*test), channel_(&test->loop_, std::move(socket)) {
      EXPECT_TRUE(channel_.Open().ok());
    }
    ~Process() override { ++test_.ended_; }
    GuestChannel& channel() override { return channel_; }
    internal::v1::GuestLimits limits() const override {
      internal::v1::GuestLimits limits;
      limits.set_file_bytes(99);
      limits.set_open_file_count(4);
      return limits;
    }
    bool HasMemoryFor(int64_t bytes) const override { return bytes <= test_.memory_; }

   private:
    HostFilesTest& test_;
    GuestChannel channel_;
  };

  HostFilesTest() {
    files_.emplace(&loop_, [this](HostFiles::ProcessCallback done) {
      ++made_;
      loop_.Post([this, done = std::move(done)] {
        if (!make_error_.ok()) return done(make_error_);
        int ends[2];
        ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
        guest_.reset(ends[1]);
        done(std::make_unique<Process>(this, UniqueFd(ends[0])));
      });
    });
  }

  // Asks for what lies at a path.
  std::shared_ptr<Result> Stat(const std::string& path) {
    FileRequest request;
    request.mutable_stat()->set_path(path);
    return Ask(std::move(request));
  }
  std::shared_ptr<Result> Ask(FileRequest request) {
    auto result = std::make_shared<Result>();
    files_->Ask(std::move(request), [result](auto reply) { *result = std::move(reply); });
    EXPECT_FALSE(result->has_value());
    return result;
  }
  void Await(const std::shared_ptr<Result>& result) {
    RunUntil(&loop_, [&] { return result->has_value(); });
  }

  // The guest's side.
  HostFrame Read() {
    RunUntil(&loop_, [this] {
      char byte;
      return guest_ && recv(guest_.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 1;
    });
    HostFrame frame;
    EXPECT_TRUE(ReadFrame(guest_.get(), &frame, kMaxHostFrameBytes).ok());
    return frame;
  }
  void Say(const GuestFrame& frame) {
    EXPECT_TRUE(WriteFrame(guest_.get(), frame, kMaxGuestFrameBytes).ok());
  }
  void OpenGuest() {
    EXPECT_TRUE(Read().has_serve_files());
    GuestFrame frame;
    frame.mutable_session_opened();
    Say(frame);
  }
  // Answers the next request; which it was.
  FileRequest AnswerStat() {
    const FileRequest request = Read().file_request();
    GuestFrame frame;
    frame.mutable_file_reply()->set_number(request.number());
    auto* info = frame.mutable_file_reply()->add_infos();
    info->set_path(request.stat().path());
    info->set_kind(internal::v1::PathInfo::KIND_DIRECTORY);
    Say(frame);
    return request;
  }

  AsioLoop loop_;
  absl::Status make_error_;
  int made_ = 0, ended_ = 0;
  int64_t memory_ = INT64_MAX;
  UniqueFd guest_;
  std::optional<HostFiles> files_;
};

TEST_F(HostFilesTest, FirstRequestStartsAProcessThatStays) {
  const auto first = Stat("a"), second = Stat("b");
  const HostFrame opening = Read();
  EXPECT_EQ(opening.serve_files().limits().file_bytes(), 99);
  EXPECT_EQ(opening.serve_files().limits().open_file_count(), HostFiles::kProcessDescriptors);
  GuestFrame opened;
  opened.mutable_session_opened();
  Say(opened);
  EXPECT_EQ(AnswerStat().stat().path(), "a");
  Await(first);
  EXPECT_EQ((*first)->value().infos(0).path(), "a");
  EXPECT_EQ(AnswerStat().stat().path(), "b");
  Await(second);
  const auto third = Stat("c");
  (void)AnswerStat();
  Await(third);
  EXPECT_EQ(made_, 1);
}

TEST_F(HostFilesTest, LostProcessFailsItsRequestAndTheNextStartsAnother) {
  const auto first = Stat("a"), second = Stat("b");
  OpenGuest();
  (void)Read();
  guest_.reset();
  Await(first);
  EXPECT_EQ((*first)->status().code(), absl::StatusCode::kUnavailable);
  OpenGuest();
  EXPECT_EQ(AnswerStat().stat().path(), "b");
  Await(second);
  EXPECT_TRUE((*second)->ok());
  EXPECT_EQ(made_, 2);
  EXPECT_EQ(ended_, 1);
}

TEST_F(HostFilesTest, ProcessLostWhileIdleIsReplacedUnseen) {
  const auto first = Stat("a");
  OpenGuest();
  (void)AnswerStat();
  Await(first);
  guest_.reset();
  RunUntil(&loop_, [this] { return ended_ == 1; });
  const auto second = Stat("b");
  OpenGuest();
  (void)AnswerStat();
  Await(second);
  EXPECT_TRUE((*second)->ok());
}

TEST_F(HostFilesTest, LiesEndTheProcess) {
  const auto result = Stat("a");
  OpenGuest();
  const FileRequest request = Read().file_request();
  GuestFrame frame;
  frame.mutable_file_reply()->set_number(request.number());
  frame.mutable_file_reply()->add_infos()->set_path("../etc/passwd");
  Say(frame);
  Await(result);
  EXPECT_EQ((*result)->status().code(), absl::StatusCode::kInternal);
  EXPECT_EQ(ended_, 1);
}

TEST_F(HostFilesTest, SpeakingUnaskedEndsTheProcess) {
  const auto first = Stat("a");
  OpenGuest();
  (void)AnswerStat();
  Await(first);
  GuestFrame frame;
  frame.mutable_file_reply()->set_number(2);
  Say(frame);
  RunUntil(&loop_, [this] { return ended_ == 1; });
}

TEST_F(HostFilesTest, FrameThatIsTooLongEndsTheProcess) {
  const auto result = Stat("a");
  OpenGuest();
  (void)Read();
  const char header[] = {0, 0, 0x40, 0};  // 4 MiB
  ASSERT_EQ(send(guest_.get(), header, sizeof(header), 0), 4);
  Await(result);
  EXPECT_EQ((*result)->status().code(), absl::StatusCode::kInternal);
}

TEST_F(HostFilesTest, ProcessThatCannotBeMadeFailsAllThatWait) {
  make_error_ = absl::DeadlineExceededError("not in time");
  const auto first = Stat("a"), second = Stat("b");
  Await(second);
  EXPECT_EQ((*first)->status().code(), absl::StatusCode::kInternal);
  EXPECT_EQ(made_, 1);
  make_error_ = absl::UnavailableError("lost");
  const auto third = Stat("c");
  Await(third);
  EXPECT_EQ((*third)->status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(HostFilesTest, NothingIsAskedWhileHeld) {
  const auto first = Stat("a");
  OpenGuest();
  const FileRequest request = Read().file_request();
  bool held = false;
  files_->Hold([&] { held = true; });
  const auto second = Stat("b");
  EXPECT_FALSE(held);  // one is under way
  GuestFrame frame;
  frame.mutable_file_reply()->set_number(request.number());
  frame.mutable_file_reply()->set_error_number(2);
  Say(frame);
  RunUntil(&loop_, [&] { return held; });
  EXPECT_TRUE((*first)->ok());
  EXPECT_FALSE(second->has_value());
  files_->Release();
  (void)AnswerStat();
  Await(second);
}

TEST_F(HostFilesTest, MayBeDestroyedFromACallback) {
  bool done = false;
  FileRequest request;
  request.mutable_stat();
  files_->Ask(request, [&](const auto&) {
    files_.reset();
    done = true;
  });
  files_->Ask(request, [](const auto&) { ADD_FAILURE(); });
  OpenGuest();
  (void)AnswerStat();
  RunUntil(&loop_, [&] { return done; });
  EXPECT_EQ(ended_, 1);
}

TEST_F(HostFilesTest, WrittenDataTravelsWhole) {
  FileRequest request;
  request.mutable_write_part()->set_handle(3);
  request.mutable_write_part()->set_data(std::string(size_t{1} << 20, 'x'));
  const auto result = Ask(std::move(request));
  OpenGuest();
  // Larger than a socket holds: read while the loop writes.
  FrameDecoder decoder(kMaxHostFrameBytes);
  std::optional<std::string> message;
  RunUntil(&loop_, [&] {
    if (message.has_value()) return true;
    char piece[4096];
    const ssize_t got = recv(guest_.get(), piece, sizeof(piece), MSG_DONTWAIT);
    if (got <= 0) return false;
    std::string_view bytes(piece, static_cast<size_t>(got));
    EXPECT_TRUE(decoder.Consume(&bytes).ok());
    message = decoder.TakeMessage();
    return message.has_value();
  });
  HostFrame frame;
  ASSERT_TRUE(frame.ParseFromString(*message));
  EXPECT_EQ(frame.file_request().write_part().data().size(), size_t{1} << 20);
  GuestFrame reply;
  reply.mutable_file_reply()->set_number(frame.file_request().number());
  Say(reply);
  Await(result);
  EXPECT_TRUE((*result)->ok());
}

TEST_F(HostFilesTest, WhatDoesNotFitIntoMemoryIsNotSent) {
  memory_ = 1 << 20;
  FileRequest write, open, make;
  write.mutable_write_part()->set_data(std::string(size_t{1} << 20, 'x'));
  open.mutable_open_to_write()->set_path("a");
  make.mutable_make_directory()->set_path("b");
  const auto first = Stat("a");
  const auto large = Ask(write);
  write.mutable_write_part()->set_data("x");
  const auto small = Ask(write);
  const auto last = Stat("c");
  OpenGuest();
  (void)AnswerStat();
  const FileRequest sent = Read().file_request();
  EXPECT_EQ(sent.write_part().data(), "x");
  EXPECT_EQ((*large)->value().error_number(), ENOMEM);
  memory_ = 0;
  GuestFrame reply;
  reply.mutable_file_reply()->set_number(sent.number());
  Say(reply);
  const auto opened = Ask(open), made = Ask(make), removed = Stat("d");
  EXPECT_EQ(AnswerStat().stat().path(), "c");
  EXPECT_EQ(AnswerStat().stat().path(), "d");
  Await(removed);
  EXPECT_EQ((*opened)->value().error_number(), ENOMEM);
  EXPECT_EQ((*made)->value().error_number(), ENOMEM);
}

}  // namespace
}  // namespace cloister::sandbox
