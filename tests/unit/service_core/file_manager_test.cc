// Who may use a sandbox's files, and what becomes of them when it goes. Its process is the test's.

#include "service/core/file_manager.h"

#include <gmock/gmock.h>

#include <cerrno>

#include "service/core/error.h"
#include "service/core/file_error.h"
#include "tests/unit/service_core/live_fixture.h"

namespace cloister::core {
namespace {

using internal::v1::FileReply;
using internal::v1::FileRequest;

class FileManagerTest : public LiveTest {
 protected:
  using Result = std::shared_ptr<std::optional<absl::StatusOr<FileReply>>>;

  static FileRequest Stat(const std::string& path) {
    FileRequest request;
    request.mutable_stat()->set_path(path);
    return request;
  }
  static FileRequest OpenToWrite(const std::string& path) {
    FileRequest request;
    request.mutable_open_to_write()->set_path(path);
    return request;
  }
  static FileRequest CommitRequest() {
    FileRequest request;
    request.mutable_commit();
    return request;
  }

  Result Ask(FileUse& use, FileRequest request) {
    auto result = std::make_shared<std::optional<absl::StatusOr<FileReply>>>();
    use.Ask(std::move(request), [result](auto reply) { *result = std::move(reply); });
    loop_.Run();
    return result;
  }
  static v1::ErrorReason Reason(const Result& result) {
    return result->has_value() ? ReasonOf((*result)->status()) : v1::ERROR_REASON_UNSPECIFIED;
  }
  // What was asked first, answered so.
  FileRequest Answer(absl::StatusOr<FileReply> reply) {
    EXPECT_FALSE(guest_->file_requests.empty());
    auto [request, done] = std::move(guest_->file_requests.front());
    guest_->file_requests.pop_front();
    done(std::move(reply));
    loop_.Run();
    return request;
  }
  FileRequest AnswerError(int error_number) {
    FileReply reply;
    reply.set_error_number(error_number);
    return Answer(reply);
  }
  std::shared_ptr<FileUse> OpenStream(const std::string& name) {
    auto use = files_.OpenStream(name);
    EXPECT_TRUE(use.ok()) << use.status();
    return use.value_or(nullptr);
  }

  FileManager files_{
      &loop_,
      &sandboxes_,
      &observer_,
      {.streams_per_sandbox = 2, .maximum_streams = 3, .calls_per_sandbox = 2, .maximum_calls = 3}};
};

TEST_F(FileManagerTest, AnswersACall) {
  const std::string name = MakeReady();
  std::optional<absl::StatusOr<FileReply>> result;
  auto call = files_.Call(name, Stat("a"), [&](auto reply) { result = std::move(reply); });
  ASSERT_TRUE(call.ok());
  FileReply reply;
  reply.add_infos()->set_path("a");
  EXPECT_EQ(Answer(reply).stat().path(), "a");
  EXPECT_EQ(result->value().infos(0).path(), "a");
}

TEST_F(FileManagerTest, UnknownAndDeletedSandboxes) {
  EXPECT_EQ(ReasonOf(files_.OpenStream("sandboxes/nope").status()),
            v1::ERROR_REASON_SANDBOX_NOT_FOUND);
  const std::string name = MakeReady();
  ASSERT_TRUE(sandboxes_.Delete(name).ok());
  EXPECT_EQ(ReasonOf(files_.OpenStream(name).status()), v1::ERROR_REASON_SANDBOX_NOT_FOUND);
  sandboxes_.BeginDrain();
  EXPECT_EQ(ReasonOf(files_.OpenStream(name).status()), v1::ERROR_REASON_SERVER_DRAINING);
}

TEST_F(FileManagerTest, DeletionEndsWhatIsUnderWay) {
  const std::string name = MakeReady();
  const auto use = OpenStream(name);
  const Result result = Ask(*use, Stat("a"));
  ASSERT_TRUE(sandboxes_.Delete(name).ok());
  loop_.Run();
  EXPECT_EQ(Reason(result), v1::ERROR_REASON_SANDBOX_NOT_FOUND);
  EXPECT_EQ(Reason(Ask(*use, Stat("a"))), v1::ERROR_REASON_SANDBOX_NOT_FOUND);
}

TEST_F(FileManagerTest, LossIsToldAndRestartBeginsAnew) {
  const std::string name = MakeReady();
  auto use = OpenStream(name);
  const Result result = Ask(*use, OpenToWrite("a"));
  guest_->Lose(v1::Outcome::KIND_SIGNALED);
  loop_.Run();
  EXPECT_EQ(Reason(result), v1::ERROR_REASON_SANDBOX_LOST);
  use.reset();
  const auto late = OpenStream(name);
  EXPECT_EQ(Reason(Ask(*late, Stat("a"))), v1::ERROR_REASON_SANDBOX_LOST);

  // One that comes while it starts waits for it; one of before stays refused.
  ASSERT_TRUE(sandboxes_.Restart(name, absl::InfiniteFuture(), [](const auto&) {}).ok());
  const auto early = OpenStream(name);
  EXPECT_EQ(files_.stream_count(), 2);
  const Result waiting = Ask(*early, Stat("b"));
  EXPECT_FALSE(waiting->has_value());
  guest_ = source_.Grant();
  loop_.Run();
  (void)AnswerError(ENOENT);
  EXPECT_EQ(Reason(waiting), v1::ERROR_REASON_FILE_NOT_FOUND);
  EXPECT_EQ(Reason(Ask(*late, Stat("a"))), v1::ERROR_REASON_SANDBOX_LOST);
}

TEST_F(FileManagerTest, LettingGoClosesTheFile) {
  const std::string name = MakeReady();
  auto use = OpenStream(name);
  (void)Ask(*use, OpenToWrite("a"));
  const int64_t handle = Answer(FileReply()).open_to_write().handle();
  EXPECT_NE(handle, 0);
  use.reset();
  EXPECT_EQ(Answer(FileReply()).close().handle(), handle);
  EXPECT_EQ(files_.stream_count(), 0);

  // One that was committed is closed already; handles never come again.
  use = OpenStream(name);
  (void)Ask(*use, OpenToWrite("a"));
  EXPECT_GT(Answer(FileReply()).open_to_write().handle(), handle);
  (void)Ask(*use, CommitRequest());
  (void)Answer(FileReply());
  use.reset();
  EXPECT_TRUE(guest_->file_requests.empty());
}

TEST_F(FileManagerTest, LettingGoWhileOpeningClosesAsWell) {
  const std::string name = MakeReady();
  auto use = OpenStream(name);
  const Result result = Ask(*use, OpenToWrite("a"));
  use.reset();
  (void)Answer(FileReply());
  EXPECT_TRUE(Answer(FileReply()).has_close());
  EXPECT_FALSE(result->has_value());
}

// A sandbox is asked one thing at a time, and callers who have gone are not asked for any more.
TEST_F(FileManagerTest, CallersThatComeAndGoLeaveNothing) {
  const std::string name = MakeReady();
  const auto use = OpenStream(name);
  const Result first = Ask(*use, Stat("a"));
  const FileGate& gate = sandboxes_.Find(name).value()->files();
  for (int i = 0; i < 1000; ++i) {
    const auto stream = OpenStream(name);
    (void)Ask(*stream, OpenToWrite("b"));
    const auto call = files_.Call(name, Stat("c"), [](const auto&) {});
    EXPECT_EQ(gate.waiting_count(), 2u);
  }
  EXPECT_EQ(gate.waiting_count(), 0u);
  EXPECT_EQ(guest_->file_requests.size(), 1u);
  const auto last = OpenStream(name);
  const Result second = Ask(*last, Stat("d"));
  EXPECT_EQ(Answer(FileReply()).stat().path(), "a");
  EXPECT_EQ(Answer(FileReply()).stat().path(), "d");
  EXPECT_TRUE((*second)->ok());
  EXPECT_TRUE(guest_->file_requests.empty());
}

TEST_F(FileManagerTest, SoManyMayWaitForTheStart) {
  const std::string name = Create(NewRequest()).value();
  for (int i = 0; i < 1000; ++i) (void)OpenStream(name);
  const auto use = OpenStream(name);
  EXPECT_EQ(Reason(Ask(*use, Stat("a"))), v1::ERROR_REASON_OVERLOADED);
  guest_ = source_.Grant();
  loop_.Run();
  const auto late = OpenStream(name);
  const Result result = Ask(*late, Stat("b"));
  EXPECT_EQ(Answer(FileReply()).stat().path(), "b");
  EXPECT_TRUE((*result)->ok());
}

// Or streams that open and go could leave more to close than there are places.
TEST_F(FileManagerTest, ClosingComesBeforeAllThatWaits) {
  const std::string name = MakeReady();
  auto opened = OpenStream(name);
  (void)Ask(*opened, OpenToWrite("a"));
  (void)Answer(FileReply());
  const auto use = OpenStream(name);
  (void)Ask(*use, Stat("b"));
  const auto call = files_.Call(name, Stat("c"), [](const auto&) {});
  opened.reset();
  EXPECT_EQ(Answer(FileReply()).stat().path(), "b");
  EXPECT_TRUE(Answer(FileReply()).has_close());
  EXPECT_EQ(Answer(FileReply()).stat().path(), "c");
}

TEST_F(FileManagerTest, WhatWaitsIsToldOfTheLossAndNotAskedOfTheNext) {
  const std::string name = MakeReady();
  const auto use = OpenStream(name);
  const auto waiting = OpenStream(name);
  const Result first = Ask(*use, Stat("a")), second = Ask(*waiting, Stat("b"));
  guest_->Lose(v1::Outcome::KIND_SIGNALED);
  loop_.Run();
  EXPECT_EQ(Reason(first), v1::ERROR_REASON_SANDBOX_LOST);
  EXPECT_EQ(Reason(second), v1::ERROR_REASON_SANDBOX_LOST);
  ASSERT_TRUE(sandboxes_.Restart(name, absl::InfiniteFuture(), [](const auto&) {}).ok());
  guest_ = source_.Grant();
  loop_.Run();
  std::optional<absl::StatusOr<FileReply>> result;
  const auto call = files_.Call(name, Stat("c"), [&](auto reply) { result = std::move(reply); });
  EXPECT_EQ(Answer(FileReply()).stat().path(), "c");
  EXPECT_TRUE(result->ok());
}

TEST_F(FileManagerTest, StreamsAndCallsAreBounded) {
  const std::string name = MakeReady(), other = MakeReady();
  auto one = OpenStream(name);
  const auto two = OpenStream(name);
  const absl::Status refused = files_.OpenStream(name).status();
  EXPECT_EQ(ReasonOf(refused), v1::ERROR_REASON_OVERLOADED);
  EXPECT_TRUE(RetryDelayOf(refused).has_value());
  const auto three = OpenStream(other);
  EXPECT_EQ(ReasonOf(files_.OpenStream(other).status()), v1::ERROR_REASON_OVERLOADED);
  one.reset();
  EXPECT_TRUE(files_.OpenStream(other).ok());

  const auto ignore = [](const auto&) {};
  const auto call = files_.Call(name, Stat("a"), ignore);
  const auto second = files_.Call(name, Stat("a"), ignore);
  EXPECT_EQ(ReasonOf(files_.Call(name, Stat("a"), ignore).status()), v1::ERROR_REASON_OVERLOADED);
  EXPECT_TRUE(files_.Call(other, Stat("a"), ignore).ok());
}

TEST_F(FileManagerTest, LostProcessIsAReasonOfItsOwn) {
  const std::string name = MakeReady();
  const auto use = OpenStream(name);
  Result result = Ask(*use, Stat("a"));
  (void)Answer(absl::UnavailableError("gone"));
  EXPECT_EQ(Reason(result), v1::ERROR_REASON_FILES_INTERRUPTED);
  EXPECT_TRUE(RetryDelayOf((*result)->status()).has_value());
  // A handle of the process before.
  result = Ask(*use, CommitRequest());
  (void)AnswerError(EBADF);
  EXPECT_EQ(Reason(result), v1::ERROR_REASON_FILES_INTERRUPTED);
  // What is for the log stays there.
  result = Ask(*use, Stat("a"));
  (void)Answer(absl::InternalError("secret of the host"));
  EXPECT_EQ(Reason(result), v1::ERROR_REASON_SANDBOX_SETUP_FAILED);
  EXPECT_EQ((*result)->status().message().find("secret"), std::string::npos);
}

TEST_F(FileManagerTest, NameInPassingIsRemovedWhereTheCommitWasLost) {
  const std::string name = MakeReady();
  const auto use = OpenStream(name);
  (void)Ask(*use, OpenToWrite("d/e/f"));
  const int64_t handle = Answer(FileReply()).open_to_write().handle();
  const Result result = Ask(*use, CommitRequest());
  (void)Answer(absl::UnavailableError("gone"));
  EXPECT_EQ(Reason(result), v1::ERROR_REASON_FILES_INTERRUPTED);
  const FileRequest removal = Answer(FileReply());
  EXPECT_EQ(removal.remove().path(), absl::StrCat("d/e/.cloister-", handle));
  EXPECT_TRUE(removal.remove().may_be_missing());
  EXPECT_FALSE(removal.remove().is_recursive());
}

TEST_F(FileManagerTest, RemovalsGoOnUntilNothingIsLeft) {
  const std::string name = MakeReady();
  const auto use = OpenStream(name);
  FileRequest request;
  request.mutable_remove()->set_path("d");
  request.mutable_remove()->set_is_recursive(true);
  const Result result = Ask(*use, request);
  FileReply partial;
  partial.set_is_partial(true);
  EXPECT_FALSE(Answer(partial).remove().may_be_missing());
  EXPECT_FALSE(result->has_value());
  const FileRequest again = Answer(FileReply());
  EXPECT_TRUE(again.remove().is_recursive());
  EXPECT_TRUE(again.remove().may_be_missing());
  EXPECT_TRUE((*result)->ok());
}

TEST_F(FileManagerTest, RemovalsOfWhatIsFilledAgainEnd) {
  const std::string name = MakeReady();
  const auto use = OpenStream(name);
  FileRequest request;
  request.mutable_remove()->set_path("d");
  request.mutable_remove()->set_is_recursive(true);
  const Result result = Ask(*use, request);
  FileReply partial;
  partial.set_is_partial(true);
  int steps = 0;
  for (; !guest_->file_requests.empty(); ++steps) (void)Answer(partial);
  EXPECT_EQ(steps, FileUse::kMaxRemovalSteps);
  EXPECT_EQ(Reason(result), v1::ERROR_REASON_PATH_REFUSED);
  EXPECT_THAT(std::string((*result)->status().message()), ::testing::HasSubstr("filled again"));
  // The process itself may notice first.
  const auto other = OpenStream(name);
  const Result again = Ask(*other, request);
  (void)AnswerError(ENOTEMPTY);
  EXPECT_THAT(std::string((*again)->status().message()), ::testing::HasSubstr("filled again"));
}

TEST_F(FileManagerTest, AccessCountsAsUse) {
  const std::string name = MakeReady();
  const auto use = OpenStream(name);
  for (int i = 0; i < 5; ++i) {
    loop_.Advance(absl::Minutes(9));
    (void)Ask(*use, Stat("a"));
    (void)Answer(FileReply());
  }
  EXPECT_EQ(State(name), v1::Sandbox::STATE_READY);
  loop_.Advance(absl::Minutes(11));
  EXPECT_EQ(Reason(Ask(*use, Stat("a"))), v1::ERROR_REASON_SANDBOX_EXPIRED);
}

TEST_F(FileManagerTest, CellsWithFilesThatCannotFitDoNotStart) {
  CreateSandboxRequest create = NewRequest();
  create.spec.limits.memory_bytes = 16 << 20;
  ExecutionRequest request;
  request.interpreter = MakeReady(std::move(create));
  request.program.program.add_files()->set_content(std::string(6 << 20, 'x'));
  EXPECT_EQ(ReasonOf(executions_.Start(std::move(request)).status()),
            v1::ERROR_REASON_FIELD_INVALID);
}

TEST(FileErrorTest, EveryErrnoHasAReason) {
  const sandbox::Limits limits;
  const std::pair<int, v1::ErrorReason> table[] = {
      {ENOENT, v1::ERROR_REASON_FILE_NOT_FOUND},   {EEXIST, v1::ERROR_REASON_FILE_EXISTS},
      {ENOSPC, v1::ERROR_REASON_WORKSPACE_FULL},   {EDQUOT, v1::ERROR_REASON_WORKSPACE_FULL},
      {EFBIG, v1::ERROR_REASON_WORKSPACE_FULL},    {ENOMEM, v1::ERROR_REASON_WORKSPACE_FULL},
      {ELOOP, v1::ERROR_REASON_PATH_REFUSED},      {EISDIR, v1::ERROR_REASON_PATH_REFUSED},
      {ENOTDIR, v1::ERROR_REASON_PATH_REFUSED},    {ENOTEMPTY, v1::ERROR_REASON_PATH_REFUSED},
      {EACCES, v1::ERROR_REASON_PATH_REFUSED},     {ENXIO, v1::ERROR_REASON_PATH_REFUSED},
      {EBADF, v1::ERROR_REASON_FILES_INTERRUPTED}, {4095, v1::ERROR_REASON_PATH_REFUSED},
  };
  for (const auto& [error, reason] : table) {
    const absl::Status status = FileError(error, "a/b", limits);
    EXPECT_EQ(ReasonOf(status), reason) << error;
  }
  EXPECT_THAT(std::string(FileError(EISDIR, "", limits).message()),
              ::testing::HasSubstr("/workspace"));
}

TEST(FileErrorTest, PathsAreShownShortAndTame) {
  const sandbox::Limits limits;
  const std::string tame(FileError(ENOENT, "a\x1b[2J\n", limits).message());
  EXPECT_EQ(tame.find('\x1b'), std::string::npos);
  EXPECT_EQ(tame.find('\n'), std::string::npos);
  std::string umlauts;
  while (umlauts.size() < 4000) umlauts += "\xC3\xA4";
  const std::string cut(FileError(ENOENT, "x" + umlauts, limits).message());
  EXPECT_LT(cut.size(), 300u);
  EXPECT_NE(cut.find("\xC3\xA4…"), std::string::npos);
}

}  // namespace
}  // namespace cloister::core
