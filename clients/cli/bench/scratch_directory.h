// A directory below the system's temporary one that goes with the object.

#ifndef CLOISTER_CLIENTS_CLI_BENCH_SCRATCH_DIRECTORY_H_
#define CLOISTER_CLIENTS_CLI_BENCH_SCRATCH_DIRECTORY_H_

#include <stdlib.h>

#include <cerrno>
#include <filesystem>
#include <string>
#include <utility>

#include "absl/status/statusor.h"

namespace cloister::cli::bench {

class ScratchDirectory {
 public:
  static absl::StatusOr<ScratchDirectory> Create() {
    std::string path = std::filesystem::temp_directory_path() / "cloister-bench-XXXXXX";
    if (::mkdtemp(path.data()) == nullptr) return absl::ErrnoToStatus(errno, "cannot make " + path);
    return ScratchDirectory(std::move(path));
  }
  ScratchDirectory(ScratchDirectory&& other) noexcept : path_(std::exchange(other.path_, "")) {}
  ScratchDirectory& operator=(ScratchDirectory&&) = delete;
  ~ScratchDirectory() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }

  const std::string& path() const { return path_; }

 private:
  explicit ScratchDirectory(std::string path) : path_(std::move(path)) {}

  std::string path_;
};

}  // namespace cloister::cli::bench

#endif  // CLOISTER_CLIENTS_CLI_BENCH_SCRATCH_DIRECTORY_H_
