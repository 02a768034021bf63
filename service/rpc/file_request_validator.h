// Judges the requests of FileService before anything is spent on them, and turns what the file
// process tells into what callers are told. Pure; all errors are FIELD_INVALID.

#ifndef CLOISTER_SERVICE_RPC_FILE_REQUEST_VALIDATOR_H_
#define CLOISTER_SERVICE_RPC_FILE_REQUEST_VALIDATOR_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cloister/internal/v1/file_access.pb.h"
#include "cloister/v1/file_service.pb.h"

namespace cloister::rpc {

// Of one WriteFileRequest.
inline constexpr size_t kMaximumWriteBytes = size_t{1} << 20;
// Of one ReadFileResponse.
inline constexpr size_t kMaximumReadBytes = size_t{64} << 10;

// The first message of a stream, and those behind it.
absl::Status CheckFirst(const v1::WriteFileRequest& request);
absl::Status CheckNext(const v1::WriteFileRequest& request);

absl::Status Check(const v1::ReadFileRequest& request);
absl::Status Check(const v1::StatFileRequest& request);
absl::Status Check(const v1::RemoveFileRequest& request);
absl::Status Check(const v1::MakeDirectoryRequest& request);
// What is to be asked of the process.
absl::StatusOr<internal::v1::ListPath> Check(const v1::ListFilesRequest& request);

std::string PageTokenFor(std::string_view continue_after);
v1::FileInfo ToFileInfo(const internal::v1::PathInfo& info);

// `bytes` with U+FFFD for each that is no part of valid UTF-8.
std::string ToUtf8(std::string_view bytes);

}  // namespace cloister::rpc

#endif  // CLOISTER_SERVICE_RPC_FILE_REQUEST_VALIDATOR_H_
