// A local file that is there whole or not at all: what is written has no name until it is kept. Devices and
// FIFOs are no files: they are written to as they are.

#ifndef CLOISTER_CLIENTS_CLI_COMMANDS_LOCAL_FILE_H_
#define CLOISTER_CLIENTS_CLI_COMMANDS_LOCAL_FILE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace cloister::cli {

// Where a file called `name` elsewhere goes: `name` where LOCAL is empty, below LOCAL where that is a directory,
// else LOCAL; "-" is standard output.
std::string LocalTarget(const std::string& local, const std::string& name);

// Thread-safety: none. Ownership: of a descriptor, and of the temporary name where the file system
// needs one; both go with it.
class LocalFile {
 public:
  // To become `path`, or what it names where it is a symbolic link. Errors name it. Waits for a reader where it
  // is a FIFO.
  static absl::StatusOr<LocalFile> Create(const std::string& path);
  LocalFile(LocalFile&& other) noexcept;
  LocalFile& operator=(LocalFile&&) = delete;
  ~LocalFile();

  absl::Status Write(absl::string_view bytes);
  // Puts a file at its path, in the place of the one that was there. Once, at the end.
  absl::Status Keep(bool executable);

 private:
  LocalFile(std::string path, int fd, std::string temporary, bool in_place)
      : path_(std::move(path)), fd_(fd), temporary_(std::move(temporary)), in_place_(in_place) {}
  absl::Status Error() const;

  std::string path_;
  int fd_;
  std::string temporary_;  // its name meanwhile, if it has one
  bool in_place_;          // written to directly
};

}  // namespace cloister::cli

#endif  // CLOISTER_CLIENTS_CLI_COMMANDS_LOCAL_FILE_H_
