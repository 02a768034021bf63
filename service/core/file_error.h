// What a process that serves files could not do, as callers are told.

#ifndef CLOISTER_SERVICE_CORE_FILE_ERROR_H_
#define CLOISTER_SERVICE_CORE_FILE_ERROR_H_

#include <string_view>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "sandbox/base/limits.h"

namespace cloister::core {

// `error_number` is errno's and not 0; `path` is what the call named, shown in the message.
// `limits` are the sandbox's. Errors: as the calls of file_service.proto.
absl::Status FileError(int error_number, std::string_view path, const sandbox::Limits& limits);

// A directory was not empty in the end, whatever was removed.
absl::Status RefilledError(std::string_view path);

// The files and the environment that a sandbox was to begin with were too much for it.
absl::Status StartFilesError(const sandbox::Limits& limits);

// The process was lost under the call.
absl::Status FilesInterruptedError();

// The client kept its stream waiting for that long.
absl::Status StandstillError(absl::Duration limit);

}  // namespace cloister::core

#endif  // CLOISTER_SERVICE_CORE_FILE_ERROR_H_
