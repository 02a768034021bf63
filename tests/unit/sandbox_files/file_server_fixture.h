// A FileServer over a directory of its own, and what tests ask of it.

#ifndef CLOISTER_TESTS_UNIT_SANDBOX_FILES_FILE_SERVER_FIXTURE_H_
#define CLOISTER_TESTS_UNIT_SANDBOX_FILES_FILE_SERVER_FIXTURE_H_

#include <fcntl.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "cloister/internal/v1/file_access.pb.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/files/file_server.h"

namespace cloister::sandbox {

class FileServerTest : public ::testing::Test {
 protected:
  using FileReply = internal::v1::FileReply;
  using FileRequest = internal::v1::FileRequest;

  void SetUp() override {
    // tmpfs, as in a sandbox.
    char name[] = "/dev/shm/cloister_files_XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    base_ = name;
    workspace_ = base_ / "workspace";
    std::filesystem::create_directory(workspace_);
    std::filesystem::create_directory(base_ / "outside");
    Put(base_ / "outside" / "secret", "secret");
    server_.emplace(UniqueFd(open(workspace_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)));
  }
  void TearDown() override {
    server_.reset();
    std::filesystem::remove_all(base_);
  }

  static void Put(const std::filesystem::path& path, const std::string& text) {
    std::ofstream(path) << text;
  }
  static std::string Get(const std::filesystem::path& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
  }
  // Everything below the workspace, sorted; "a/" for directories.
  std::vector<std::string> Tree() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(workspace_)) {
      const std::string path = std::filesystem::relative(entry.path(), workspace_).string();
      names.push_back(path + (entry.is_directory() && !entry.is_symlink() ? "/" : ""));
    }
    std::sort(names.begin(), names.end());
    return names;
  }

  FileReply Ask(FileRequest request) {
    request.set_number(++number_);
    FileReply reply = server_->Answer(request);
    EXPECT_EQ(reply.number(), number_);
    return reply;
  }
  FileReply OpenToRead(const std::string& path, int64_t handle = 1) {
    FileRequest request;
    request.mutable_open_to_read()->set_path(path);
    request.mutable_open_to_read()->set_handle(handle);
    return Ask(std::move(request));
  }
  FileReply Read(int64_t offset, int64_t length, int64_t handle = 1) {
    FileRequest request;
    request.mutable_read_part()->set_handle(handle);
    request.mutable_read_part()->set_offset(offset);
    request.mutable_read_part()->set_length(length);
    return Ask(std::move(request));
  }
  struct WriteOptions {
    int64_t handle = 1;
    bool executable = false;
    bool make_parents = false;
    bool must_not_exist = false;
  };
  int OpenToWrite(const std::string& path) { return OpenToWrite(path, WriteOptions()); }
  int OpenToWrite(const std::string& path, const WriteOptions& options) {
    FileRequest request;
    request.mutable_open_to_write()->set_path(path);
    request.mutable_open_to_write()->set_handle(options.handle);
    request.mutable_open_to_write()->set_is_executable(options.executable);
    request.mutable_open_to_write()->set_make_parents(options.make_parents);
    request.mutable_open_to_write()->set_must_not_exist(options.must_not_exist);
    return Ask(std::move(request)).error_number();
  }
  int Write(const std::string& data, int64_t handle = 1) {
    FileRequest request;
    request.mutable_write_part()->set_handle(handle);
    request.mutable_write_part()->set_data(data);
    return Ask(std::move(request)).error_number();
  }
  FileReply Commit(int64_t handle = 1) {
    FileRequest request;
    request.mutable_commit()->set_handle(handle);
    return Ask(std::move(request));
  }
  int Close(int64_t handle = 1) {
    FileRequest request;
    request.mutable_close()->set_handle(handle);
    return Ask(std::move(request)).error_number();
  }
  FileReply Stat(const std::string& path) {
    FileRequest request;
    request.mutable_stat()->set_path(path);
    return Ask(std::move(request));
  }
  FileReply List(const std::string& path, bool recursive = false, const std::string& after = "",
                 int count = 1000) {
    FileRequest request;
    request.mutable_list()->set_path(path);
    request.mutable_list()->set_is_recursive(recursive);
    request.mutable_list()->set_after(after);
    request.mutable_list()->set_maximum_count(count);
    return Ask(std::move(request));
  }
  FileReply Remove(const std::string& path, bool recursive = false, bool may_be_missing = false) {
    FileRequest request;
    request.mutable_remove()->set_path(path);
    request.mutable_remove()->set_is_recursive(recursive);
    request.mutable_remove()->set_may_be_missing(may_be_missing);
    return Ask(std::move(request));
  }
  FileReply MakeDirectory(const std::string& path, bool make_parents = true) {
    FileRequest request;
    request.mutable_make_directory()->set_path(path);
    request.mutable_make_directory()->set_make_parents(make_parents);
    return Ask(std::move(request));
  }
  static std::vector<std::string> Paths(const FileReply& reply) {
    std::vector<std::string> paths;
    for (const auto& info : reply.infos()) paths.push_back(info.path());
    return paths;
  }

  std::filesystem::path base_, workspace_;
  std::optional<FileServer> server_;
  int64_t number_ = 0;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_TESTS_UNIT_SANDBOX_FILES_FILE_SERVER_FIXTURE_H_
