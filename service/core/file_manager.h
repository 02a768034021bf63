// Lets calls use the files of live sandboxes: finds the sandbox, waits until it has started, and
// bounds how many there are at once.

#ifndef CLOISTER_SERVICE_CORE_FILE_MANAGER_H_
#define CLOISTER_SERVICE_CORE_FILE_MANAGER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "sandbox/base/loop.h"
#include "service/core/file_use.h"
#include "service/core/observer.h"
#include "service/core/sandbox_manager.h"
#include "service/core/tenant_quota.h"

namespace cloister::core {

struct FileManagerOptions {
  // Streams under way at once: of one sandbox, whose process holds as many files open, and of all.
  // One holds up to 2 MiB of the server's memory for a moment. "All" are those of all managers that
  // share the counts.
  int streams_per_sandbox = 8;
  int maximum_streams = 256;
  SharedCount server_streams = std::make_shared<int>(0);
  // Other calls.
  int calls_per_sandbox = 64;
  int maximum_calls = 4096;
  SharedCount server_calls = std::make_shared<int>(0);
  // How long a client may keep a stream waiting, which has a place and a file. People page through
  // what `cloister files get` writes, and pipes are slow.
  absl::Duration stream_idle_timeout = absl::Minutes(5);
};

// Thread-safety: loop thread only. Ownership: all must outlive it, and it its uses.
class FileManager {
 public:
  FileManager(sandbox::Loop* loop, SandboxManager* sandboxes, ServiceObserver* observer,
              FileManagerOptions options)
      : loop_(loop), sandboxes_(sandboxes), observer_(observer), options_(std::move(options)) {}
  FileManager(const FileManager&) = delete;
  FileManager& operator=(const FileManager&) = delete;

  // A stream with one open file. Errors: SANDBOX_NOT_FOUND, SANDBOX_EXPIRED, SERVER_DRAINING,
  // OVERLOADED; those of the sandbox itself come with the answers.
  absl::StatusOr<std::shared_ptr<FileUse>> OpenStream(const std::string& sandbox) {
    return Use(sandbox, true);
  }
  // One request. The result is to be held until `done`; letting go of it abandons the call.
  absl::StatusOr<std::shared_ptr<FileUse>> Call(const std::string& sandbox,
                                                internal::v1::FileRequest request,
                                                FileUse::Callback done);

  int stream_count() const { return *options_.server_streams; }
  const FileManagerOptions& options() const { return options_; }

 private:
  friend class FileUse;
  struct Counts {
    int streams = 0;
    int calls = 0;
  };

  absl::StatusOr<std::shared_ptr<FileUse>> Use(const std::string& sandbox, bool is_stream);
  absl::Status CheckRoom(const Counts& counts, bool is_stream) const;

  // From FileUse.
  void OnUseEnded(const std::string& sandbox, bool is_stream);
  void OnFailed(const std::string& sandbox, const absl::Status& why) {
    observer_->OnLiveSetupFailed(sandbox, why);
  }
  void Post(std::function<void()> function) { loop_->Post(std::move(function)); }

  sandbox::Loop* const loop_;
  SandboxManager* const sandboxes_;
  ServiceObserver* const observer_;
  const FileManagerOptions options_;
  std::unordered_map<std::string, Counts> by_sandbox_;
  int64_t last_handle_ = 0;
};

}  // namespace cloister::core

#endif  // CLOISTER_SERVICE_CORE_FILE_MANAGER_H_
