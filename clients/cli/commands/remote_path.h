// How people name what lies in a sandbox, and how the protocol does.

#ifndef CLOISTER_CLIENTS_CLI_COMMANDS_REMOTE_PATH_H_
#define CLOISTER_CLIENTS_CLI_COMMANDS_REMOTE_PATH_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace cloister::cli {

// Relative to /workspace, without "." and needless slashes; empty for /workspace itself, which is "." and
// "/workspace" as well. Errors: INVALID_ARGUMENT for other absolute paths and for "..".
absl::StatusOr<std::string> RemotePath(const std::string& text);

// The same for all of them, in place.
absl::Status NormalizeRemotePaths(std::vector<std::string>* paths);

}  // namespace cloister::cli

#endif  // CLOISTER_CLIENTS_CLI_COMMANDS_REMOTE_PATH_H_
