// What a process that serves files could not do, as callers are told.

#ifndef CLOISTER_SERVICE_CORE_FILE_ERROR_H_
#define CLOISTER_SERVICE_CORE_FILE_ERROR_H_

#include <string_view>

#include "absl/status/status.h"
#include "sandbox/base/limits.h"

namespace cloister::core {

// `error_number` is errno's and not 0; `path` is what the call named, shown in the message.
// `limits` are the sandbox's. Errors: as the calls of file_service.proto.
absl::Status FileError(int error_number, std::string_view path, const sandbox::Limits& limits);

// The process was lost under the call.
absl::Status FilesInterruptedError();

}  // namespace cloister::core

#endif  // CLOISTER_SERVICE_CORE_FILE_ERROR_H_
