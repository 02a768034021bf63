// A local file that is there whole or not at all: what is written has no name until it is kept.

#ifndef CLOISTER_CLIENTS_CLI_COMMANDS_LOCAL_FILE_H_
#define CLOISTER_CLIENTS_CLI_COMMANDS_LOCAL_FILE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace cloister::cli {

// Thread-safety: none. Ownership: of a descriptor, and of the temporary name where the file system
// needs one; both go with it.
class LocalFile {
 public:
  // To become `path`. Errors name it.
  static absl::StatusOr<LocalFile> Create(const std::string& path);
  LocalFile(LocalFile&& other) noexcept;
  LocalFile& operator=(LocalFile&&) = delete;
  ~LocalFile();

  absl::Status Write(absl::string_view bytes);
  // Puts it at its path, in the place of what was there. Once, at the end.
  absl::Status Keep(bool executable);

 private:
  LocalFile(std::string path, int fd, std::string temporary)
      : path_(std::move(path)), fd_(fd), temporary_(std::move(temporary)) {}
  absl::Status Error() const;

  std::string path_;
  int fd_;
  std::string temporary_;  // its name meanwhile, if it has one
};

}  // namespace cloister::cli

#endif  // CLOISTER_CLIENTS_CLI_COMMANDS_LOCAL_FILE_H_
