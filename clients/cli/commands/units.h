// Lengths of time and sizes as people type them, and as they like to read them.

#ifndef CLOISTER_CLIENTS_CLI_COMMANDS_UNITS_H_
#define CLOISTER_CLIENTS_CLI_COMMANDS_UNITS_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "google/protobuf/duration.pb.h"

namespace cloister::cli {

// "5s", "250ms", "1.5m", "1h30m", or a plain number of seconds. Positive and at most 365 days.
// Errors: INVALID_ARGUMENT with an example.
absl::StatusOr<absl::Duration> ParseDuration(absl::string_view text);

// "256M", "1.5GiB", "64k", or a plain number of bytes; K, M, G and T are powers of 1,024. Positive.
// Errors: INVALID_ARGUMENT with an example.
absl::StatusOr<int64_t> ParseSize(absl::string_view text);

// A whole number from 1 to `maximum`. Errors: INVALID_ARGUMENT with the range.
absl::StatusOr<int64_t> ParseCount(absl::string_view text, int64_t maximum);

// Three significant digits or so: "12.3 ms", "1.50 s"; "256 MiB", "1.5 KiB".
std::string DurationText(absl::Duration duration);
std::string SizeText(int64_t bytes);

google::protobuf::Duration ToProto(absl::Duration duration);
absl::Duration FromProto(const google::protobuf::Duration& duration);

}  // namespace cloister::cli

#endif  // CLOISTER_CLIENTS_CLI_COMMANDS_UNITS_H_
