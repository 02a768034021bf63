// One call's use of a live sandbox's files: a stream with an open file, or a single request.
//
// Thread-safety: loop thread only.
// Ownership: shared, so that a waiting sandbox can hold it. Its open file is closed, and what it
// had written is gone, when it is destroyed. The manager outlives it.

#ifndef CLOISTER_SERVICE_CORE_FILE_USE_H_
#define CLOISTER_SERVICE_CORE_FILE_USE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cloister/internal/v1/file_access.pb.h"
#include "sandbox/base/limits.h"
#include "service/core/file_gate.h"
#include "service/core/live_sandbox.h"

namespace cloister::core {

class FileManager;

class FileUse final : public FileVisitor, public std::enable_shared_from_this<FileUse> {
 public:
  // Errors are of file_service.proto.
  using Callback = std::function<void(absl::StatusOr<internal::v1::FileReply>)>;

  ~FileUse() override;
  FileUse(const FileUse&) = delete;
  FileUse& operator=(const FileUse&) = delete;

  // What one removal takes, of 10,000 entries each. Files are never that many unless somebody makes
  // more of them meanwhile.
  static constexpr int kMaxRemovalSteps = 100;

  // One at a time. `done` follows once, never inline, unless this is destroyed before. Names the
  // handle of an open_*, and of what refers to one. A removal goes on until nothing is left, as
  // long as that does not take more than so many steps.
  void Ask(internal::v1::FileRequest request, Callback done);

 private:
  friend class FileManager;
  FileUse(FileManager* manager, std::shared_ptr<LiveSandbox> sandbox, int64_t handle,
          bool is_stream);

  // Its way in: what was asked meanwhile waits.
  void Enter(const absl::Status& started);
  void Send();
  void OnReply(absl::StatusOr<internal::v1::FileReply> reply);
  absl::Status ErrorOf(int error_number) const;
  void Finish(absl::StatusOr<internal::v1::FileReply> result);
  // The file that passes through a name of its own has lost the process that was to rename it.
  void RemovePassingName();

  // FileVisitor
  void OnGateClosed(const absl::Status& why) override;

  FileManager* const manager_;
  const std::shared_ptr<LiveSandbox> sandbox_;
  const int64_t handle_;
  const bool is_stream_;
  bool has_entered_ = false;
  bool is_open_ = false;     // the process has, or may have, a file under handle_
  bool is_opening_ = false;  // what was asked last was to open it
  int removal_steps_ = 0;
  absl::Status closed_;
  std::string path_;  // of what was opened or asked last
  internal::v1::FileRequest request_;
  Callback done_;
};

}  // namespace cloister::core

#endif  // CLOISTER_SERVICE_CORE_FILE_USE_H_
