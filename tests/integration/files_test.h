// Calls of FileService that tests share.

#ifndef CLOISTER_TESTS_INTEGRATION_FILES_TEST_H_
#define CLOISTER_TESTS_INTEGRATION_FILES_TEST_H_

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "cloister/v1/file_service.grpc.pb.h"
#include "tests/integration/live_test.h"

namespace cloister::testing {

class FilesTest : public LiveTest {
 protected:
  void SetUp() override { files_ = v1::FileService::NewStub(server_->channel()); }

  // A write that the test drives.
  struct Writing {
    grpc::ClientContext context;
    v1::WriteFileResponse response;
    std::unique_ptr<grpc::ClientWriterInterface<v1::WriteFileRequest>> writer;
  };
  std::unique_ptr<Writing> Begin(const std::string& sandbox, const std::string& path,
                                 const std::string& data) {
    auto writing = std::make_unique<Writing>();
    writing->context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
    writing->writer = files_->WriteFile(&writing->context, &writing->response);
    v1::WriteFileRequest request;
    request.set_sandbox(sandbox);
    request.set_path(path);
    request.set_make_parents(true);
    request.set_data(data);
    writing->writer->Write(request);
    return writing;
  }
  static grpc::Status Complete(Writing& writing) {
    v1::WriteFileRequest request;
    request.set_complete(true);
    writing.writer->Write(request);
    writing.writer->WritesDone();
    return writing.writer->Finish();
  }
  grpc::Status Put(const std::string& sandbox, const std::string& path, const std::string& data,
                   v1::WriteFileRequest first = {}) {
    Writing writing;
    writing.context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
    writing.writer = files_->WriteFile(&writing.context, &writing.response);
    first.set_sandbox(sandbox);
    first.set_path(path);
    constexpr size_t kPart = size_t{1} << 20;
    for (size_t begin = 0; begin < data.size(); begin += kPart) {
      first.set_data(data.substr(begin, kPart));
      if (!writing.writer->Write(first)) return writing.writer->Finish();
      first.Clear();
    }
    first.set_complete(true);
    first.clear_data();
    writing.writer->Write(first);
    writing.writer->WritesDone();
    return writing.writer->Finish();
  }
  grpc::Status TryGet(const std::string& sandbox, const std::string& path, std::string* data,
                      int64_t offset = 0, int64_t length = 0) {
    v1::ReadFileRequest request;
    request.set_sandbox(sandbox);
    request.set_path(path);
    request.set_offset(offset);
    request.set_length(length);
    const auto context = Context();
    const auto reader = files_->ReadFile(context.get(), request);
    v1::ReadFileResponse response;
    data->clear();
    while (reader->Read(&response)) {
      EXPECT_LE(response.data().size(), size_t{64} << 10);
      *data += response.data();
    }
    return reader->Finish();
  }
  std::string Read(const std::string& sandbox, const std::string& path) {
    std::string data;
    const grpc::Status status = TryGet(sandbox, path, &data);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return data;
  }
  grpc::Status Stat(const std::string& sandbox, const std::string& path, v1::FileInfo* info) {
    v1::StatFileRequest request;
    request.set_sandbox(sandbox);
    request.set_path(path);
    v1::StatFileResponse response;
    const grpc::Status status = files_->StatFile(Context().get(), request, &response);
    *info = response.file();
    return status;
  }
  std::string StatReason(const std::string& sandbox, const std::string& path) {
    v1::FileInfo info;
    return Reason(Stat(sandbox, path, &info));
  }
  std::vector<std::string> List(const std::string& sandbox, const std::string& path,
                                bool recursive = false, int page_size = 0) {
    std::vector<std::string> paths;
    v1::ListFilesRequest request;
    request.set_sandbox(sandbox);
    request.set_path(path);
    request.set_recursive(recursive);
    request.set_page_size(page_size);
    do {
      v1::ListFilesResponse response;
      const grpc::Status status = files_->ListFiles(Context().get(), request, &response);
      EXPECT_TRUE(status.ok()) << status.error_message();
      if (!status.ok()) return paths;
      for (const auto& info : response.files()) paths.push_back(info.path());
      request.set_page_token(response.next_page_token());
    } while (!request.page_token().empty());
    return paths;
  }
  grpc::Status Remove(const std::string& sandbox, const std::string& path, bool recursive = false) {
    v1::RemoveFileRequest request;
    request.set_sandbox(sandbox);
    request.set_path(path);
    request.set_recursive(recursive);
    v1::RemoveFileResponse response;
    return files_->RemoveFile(Context().get(), request, &response);
  }
  // The processes that serve files now.
  std::vector<pid_t> FileProcesses() {
    std::vector<pid_t> found;
    for (const pid_t pid : ProcessTree(server_->pid())) {
      if (ProcessName(pid) == "files") found.push_back(pid);
    }
    return found;
  }

  std::unique_ptr<v1::FileService::Stub> files_;
};

}  // namespace cloister::testing

#endif  // CLOISTER_TESTS_INTEGRATION_FILES_TEST_H_
