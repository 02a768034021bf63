// FileService through a real gRPC server: what never reaches a sandbox, streams that are out of
// order or break, and how many there may be. The process of the files is the test.

#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/service_rpc/test_server.h"

namespace cloister::testing {
namespace {

using internal::v1::FileReply;
using internal::v1::FileRequest;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr size_t kMiB = size_t{1} << 20;

class FileServiceTest : public ::testing::Test {
 protected:
  explicit FileServiceTest(TestServerOptions options = {})
      : server_([](FakeSandbox& sandbox) { sandbox.Finish(); }, options) {
    sandbox_ = server_.MakeSandbox();
    server_.OnLoop(
        [this] { guest()->on_file = [this](const auto& asked) { return Serve(asked); }; });
  }

  FakeSandbox* guest() {
    for (const auto& [id, sandbox] : server_.factory().live()) {
      if (sandbox->session().has_value()) return sandbox;
    }
    return nullptr;
  }

  // On the loop. Takes everything, and reads `content_`.
  absl::StatusOr<FileReply> Serve(const FileRequest& asked) {
    asked_.push_back(asked);
    FileReply reply;
    reply.set_error_number(error_number_);
    if (error_number_ != 0) return reply;
    if (asked.has_read_part()) {
      const auto offset = static_cast<size_t>(asked.read_part().offset());
      if (offset < content_.size()) {
        reply.set_data(content_.substr(offset, static_cast<size_t>(asked.read_part().length())));
      }
    } else if (!asked.has_write_part() && !asked.has_list()) {
      reply.add_infos()->set_kind(internal::v1::PathInfo::KIND_FILE);
    }
    return reply;
  }
  std::vector<FileRequest> asked() {
    return server_.OnLoop([this] { return asked_; });
  }
  // In the order they came.
  std::vector<FileRequest::RequestCase> cases() {
    std::vector<FileRequest::RequestCase> cases;
    for (const FileRequest& request : asked()) cases.push_back(request.request_case());
    return cases;
  }
  bool WaitUntilNoStreamIsOpen() {
    return server_.WaitOnLoop([this] { return server_.file_manager().stream_count() == 0; });
  }

  struct Writing {
    grpc::ClientContext context;
    v1::WriteFileResponse response;
    std::unique_ptr<grpc::ClientWriter<v1::WriteFileRequest>> writer;

    grpc::Status Finish() {
      writer->WritesDone();
      return writer->Finish();
    }
  };
  std::unique_ptr<Writing> BeginWithout() {
    auto writing = std::make_unique<Writing>();
    writing->writer = server_.files().WriteFile(&writing->context, &writing->response);
    return writing;
  }
  v1::WriteFileRequest First(const std::string& path, const std::string& data = "data") {
    v1::WriteFileRequest request;
    request.set_sandbox(sandbox_);
    request.set_path(path);
    request.set_data(data);
    return request;
  }
  std::unique_ptr<Writing> Begin(const std::string& path) {
    auto writing = BeginWithout();
    writing->writer->Write(First(path));
    return writing;
  }
  static v1::WriteFileRequest Last() {
    v1::WriteFileRequest request;
    request.set_complete(true);
    return request;
  }
  grpc::Status WriteOne(const v1::WriteFileRequest& request) {
    auto writing = BeginWithout();
    writing->writer->Write(request);
    writing->writer->Write(Last());
    return writing->Finish();
  }

  grpc::Status Read(const std::string& path, std::string* data, int64_t offset = 0,
                    int64_t length = 0) {
    v1::ReadFileRequest request;
    request.set_sandbox(sandbox_);
    request.set_path(path);
    request.set_offset(offset);
    request.set_length(length);
    grpc::ClientContext context;
    const auto reader = server_.files().ReadFile(&context, request);
    data->clear();
    for (v1::ReadFileResponse response; reader->Read(&response);) *data += response.data();
    return reader->Finish();
  }
  // Of the calls that are one request.
  template <typename Request, typename Response>
  grpc::Status Call(grpc::Status (v1::FileService::Stub::*method)(grpc::ClientContext*,
                                                                  const Request&, Response*),
                    const std::string& path) {
    Request request;
    request.set_sandbox(sandbox_);
    request.set_path(path);
    grpc::ClientContext context;
    Response response;
    return (server_.files().*method)(&context, request, &response);
  }

  std::string sandbox_;
  // The loop's, which ends before they do.
  std::vector<FileRequest> asked_;
  std::string content_;
  int error_number_ = 0;
  TestServer server_;
};

TEST_F(FileServiceTest, WritesInOrderAndPutsItThereAtTheEnd) {
  auto writing = Begin("d/f");
  v1::WriteFileRequest more;
  more.set_data("more");
  writing->writer->Write(more);
  writing->writer->Write(Last());
  const grpc::Status status = writing->Finish();
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(writing->response.file().kind(), v1::FileInfo::KIND_FILE);
  EXPECT_THAT(cases(), ElementsAre(FileRequest::kOpenToWrite, FileRequest::kWritePart,
                                   FileRequest::kWritePart, FileRequest::kCommit));
  EXPECT_EQ(asked()[0].open_to_write().path(), "d/f");
  EXPECT_EQ(asked()[2].write_part().data(), "more");
  EXPECT_TRUE(WaitUntilNoStreamIsOpen());
}

TEST_F(FileServiceTest, BadPathsReachNoSandbox) {
  using Stub = v1::FileService::Stub;
  for (const std::string& path :
       {std::string("../x"), std::string("/x"), std::string("a//b"), std::string("a/./b"),
        std::string("a/"), std::string("a\0b", 3), std::string(256, 'x'), std::string(5000, '/')}) {
    std::string data;
    EXPECT_EQ(ReasonIn(WriteOne(First(path))), "FIELD_INVALID") << path;
    EXPECT_EQ(ReasonIn(Read(path, &data)), "FIELD_INVALID") << path;
    EXPECT_EQ(ReasonIn(Call(&Stub::StatFile, path)), "FIELD_INVALID") << path;
    EXPECT_EQ(ReasonIn(Call(&Stub::ListFiles, path)), "FIELD_INVALID") << path;
    EXPECT_EQ(ReasonIn(Call(&Stub::RemoveFile, path)), "FIELD_INVALID") << path;
    EXPECT_EQ(ReasonIn(Call(&Stub::MakeDirectory, path)), "FIELD_INVALID") << path;
  }
  // The workspace itself can be looked at, and nothing else.
  EXPECT_TRUE(Call(&Stub::StatFile, "").ok());
  EXPECT_TRUE(Call(&Stub::ListFiles, "").ok());
  EXPECT_EQ(ReasonIn(Call(&Stub::RemoveFile, "")), "FIELD_INVALID");
  EXPECT_EQ(ReasonIn(Call(&Stub::MakeDirectory, "")), "FIELD_INVALID");
  EXPECT_EQ(ReasonIn(WriteOne(First(""))), "FIELD_INVALID");
  EXPECT_THAT(cases(), ElementsAre(FileRequest::kStat, FileRequest::kList));
}

TEST_F(FileServiceTest, MessagesAndRangesHaveBounds) {
  EXPECT_TRUE(WriteOne(First("f", std::string(kMiB, 'x'))).ok());
  const grpc::Status status = WriteOne(First("f", std::string(kMiB + 1, 'x')));
  EXPECT_EQ(ReasonIn(status), "FIELD_INVALID");
  EXPECT_THAT(status.error_message(), HasSubstr("data"));
  std::string data;
  EXPECT_EQ(ReasonIn(Read("f", &data, -1)), "FIELD_INVALID");
  EXPECT_EQ(ReasonIn(Read("f", &data, 0, -1)), "FIELD_INVALID");
  EXPECT_TRUE(Read("f", &data, INT64_MAX, INT64_MAX).ok());
}

TEST_F(FileServiceTest, MessagesOutOfOrderWriteNothing) {
  // Without a name; named twice; ended without a word.
  EXPECT_EQ(ReasonIn(WriteOne(Last())), "FIELD_INVALID");
  auto twice = Begin("f");
  twice->writer->Write(First("f"));
  EXPECT_EQ(ReasonIn(twice->Finish()), "FIELD_INVALID");
  auto other = Begin("f");
  v1::WriteFileRequest executable;
  executable.set_executable(true);
  other->writer->Write(executable);
  EXPECT_EQ(ReasonIn(other->Finish()), "FIELD_INVALID");
  const grpc::Status incomplete = Begin("f")->Finish();
  EXPECT_EQ(ReasonIn(incomplete), "FIELD_INVALID");
  EXPECT_THAT(incomplete.error_message(), HasSubstr("complete"));
  EXPECT_EQ(ReasonIn(BeginWithout()->Finish()), "FIELD_INVALID");
  EXPECT_TRUE(WaitUntilNoStreamIsOpen());
  EXPECT_THAT(cases(), ::testing::Not(Contains(FileRequest::kCommit)));
}

TEST_F(FileServiceTest, AfterTheLastMessageNothingIsRead) {
  auto writing = Begin("f");
  writing->writer->Write(Last());
  v1::WriteFileRequest late;
  late.set_data("late");
  writing->writer->Write(late);
  EXPECT_TRUE(writing->Finish().ok());
  EXPECT_EQ(asked().back().request_case(), FileRequest::kCommit);
}

TEST_F(FileServiceTest, ACancelledUploadWritesNothingAndFreesItsPlace) {
  auto writing = Begin("f");
  ASSERT_TRUE(server_.WaitOnLoop([this] { return server_.file_manager().stream_count() == 1; }));
  writing->context.TryCancel();
  EXPECT_EQ(writing->Finish().error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_TRUE(WaitUntilNoStreamIsOpen());
  EXPECT_THAT(cases(), ::testing::Not(Contains(FileRequest::kCommit)));
}

TEST_F(FileServiceTest, AConnectionThatBreaksIsACancelledUpload) {
  {
    auto channel = server_.NewChannel();
    const auto stub = v1::FileService::NewStub(channel);
    grpc::ClientContext context;
    v1::WriteFileResponse response;
    const auto writer = stub->WriteFile(&context, &response);
    writer->Write(First("f"));
    ASSERT_TRUE(server_.WaitOnLoop([this] { return server_.file_manager().stream_count() == 1; }));
    context.TryCancel();
    (void)writer->Finish();
  }
  EXPECT_TRUE(WaitUntilNoStreamIsOpen());
  EXPECT_THAT(cases(), ::testing::Not(Contains(FileRequest::kCommit)));
}

TEST_F(FileServiceTest, ASandboxHasSoManyStreams) {
  std::vector<std::unique_ptr<Writing>> writings;
  const core::FileManagerOptions bounds;
  for (int i = 0; i < bounds.streams_per_sandbox; ++i) writings.push_back(Begin("f"));
  ASSERT_TRUE(server_.WaitOnLoop(
      [&] { return server_.file_manager().stream_count() == bounds.streams_per_sandbox; }));
  const grpc::Status refused = WriteOne(First("one more"));
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(ReasonIn(refused), "OVERLOADED");
  writings.front()->writer->Write(Last());
  EXPECT_TRUE(writings.front()->Finish().ok());
  EXPECT_TRUE(WriteOne(First("one more")).ok());
  for (auto& writing : writings) writing->context.TryCancel();
  for (size_t i = 1; i < writings.size(); ++i) (void)writings[i]->Finish();
  EXPECT_TRUE(WaitUntilNoStreamIsOpen());
}

TEST_F(FileServiceTest, ReadsInPartsAsFarAsAskedFor) {
  std::string content(200'000, 'x');
  for (size_t i = 0; i < content.size(); ++i) content[i] = static_cast<char>(i * 7);
  server_.OnLoop([&] { content_ = content; });
  std::string data;
  EXPECT_TRUE(Read("f", &data).ok());
  EXPECT_TRUE(data == content);
  EXPECT_TRUE(Read("f", &data, 70'000, 100'000).ok());
  EXPECT_TRUE(data == content.substr(70'000, 100'000));
  EXPECT_TRUE(Read("f", &data, 300'000).ok());
  EXPECT_EQ(data, "");
  for (const FileRequest& request : asked()) {
    if (request.has_read_part()) EXPECT_LE(request.read_part().length(), 64 << 10);
  }
}

TEST_F(FileServiceTest, WhatTheProcessRefusesHasAReason) {
  using Stub = v1::FileService::Stub;
  const auto reason_of = [this](int error_number) {
    server_.OnLoop([&] { error_number_ = error_number; });
    return ReasonIn(Call(&Stub::StatFile, "f"));
  };
  EXPECT_EQ(reason_of(ENOENT), "FILE_NOT_FOUND");
  EXPECT_EQ(reason_of(EEXIST), "FILE_EXISTS");
  EXPECT_EQ(reason_of(ELOOP), "PATH_REFUSED");
  EXPECT_EQ(reason_of(ENOSPC), "WORKSPACE_FULL");
  EXPECT_EQ(ReasonIn(WriteOne(First("f"))), "WORKSPACE_FULL");
  std::string data;
  EXPECT_EQ(ReasonIn(Read("f", &data)), "WORKSPACE_FULL");
  EXPECT_TRUE(WaitUntilNoStreamIsOpen());
}

TEST_F(FileServiceTest, NamesOfSandboxesAreChecked) {
  using Stub = v1::FileService::Stub;
  sandbox_ = "sandboxes/nobody";
  EXPECT_EQ(ReasonIn(Call(&Stub::StatFile, "f")), "SANDBOX_NOT_FOUND");
  EXPECT_EQ(ReasonIn(WriteOne(First("f"))), "SANDBOX_NOT_FOUND");
  sandbox_ = "";
  EXPECT_EQ(ReasonIn(Call(&Stub::StatFile, "f")), "FIELD_INVALID");
  std::string data;
  EXPECT_EQ(ReasonIn(Read("f", &data)), "FIELD_INVALID");
  EXPECT_THAT(cases(), ElementsAre());
}

// Clients that keep a stream waiting do not keep its place.
class IdleStreamTest : public FileServiceTest {
 protected:
  IdleStreamTest() : FileServiceTest({.file_stream_idle_timeout = absl::Milliseconds(100)}) {}
};

TEST_F(IdleStreamTest, AnUploadThatSaysNothingMoreIsEnded) {
  auto writing = Begin("f");
  const grpc::Status status = writing->writer->Finish();
  EXPECT_EQ(ReasonIn(status), "FILES_INTERRUPTED") << status.error_message();
  EXPECT_THAT(status.error_message(), HasSubstr("100ms"));
  EXPECT_TRUE(WaitUntilNoStreamIsOpen());
  EXPECT_TRUE(server_.WaitOnLoop(
      [this] { return !asked_.empty() && asked_.back().request_case() == FileRequest::kClose; }));
  EXPECT_THAT(cases(), ::testing::Not(Contains(FileRequest::kCommit)));
}

TEST_F(IdleStreamTest, AnUploadThatNeverBeginsIsEnded) {
  EXPECT_EQ(ReasonIn(BeginWithout()->writer->Finish()), "FILES_INTERRUPTED");
}

TEST_F(IdleStreamTest, ADownloadThatTakesNothingIsEnded) {
  server_.OnLoop([this] { content_ = std::string(16 * kMiB, 'x'); });
  v1::ReadFileRequest request;
  request.set_sandbox(sandbox_);
  request.set_path("f");
  grpc::ClientContext context;
  const auto reader = server_.files().ReadFile(&context, request);
  ASSERT_TRUE(server_.WaitOnLoop(
      [this] { return !asked_.empty() && asked_.back().request_case() == FileRequest::kClose; }));
  EXPECT_TRUE(WaitUntilNoStreamIsOpen());
  size_t bytes = 0;
  for (v1::ReadFileResponse response; reader->Read(&response);) bytes += response.data().size();
  EXPECT_LT(bytes, 16 * kMiB);
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

}  // namespace
}  // namespace cloister::testing
