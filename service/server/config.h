// The server's configuration: read, completed with defaults, and judged as a whole.

#ifndef CLOISTER_SERVICE_SERVER_CONFIG_H_
#define CLOISTER_SERVICE_SERVER_CONFIG_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cloister/internal/v1/config.pb.h"

namespace cloister::server {

// Parses a text proto. Errors: INVALID_ARGUMENT with "NAME:LINE:COLUMN: what is wrong", one line
// each.
absl::StatusOr<internal::v1::ServerConfig> ParseConfig(const std::string& text,
                                                       const std::string& name);

// The same from a file. Errors: also those of reading it.
absl::StatusOr<internal::v1::ServerConfig> LoadConfig(const std::string& path);

// Gives every unset field its default, so that what follows need not know any.
void FillDefaults(internal::v1::ServerConfig* config);

// Judges a configuration with its defaults filled in. Errors: INVALID_ARGUMENT with every problem,
// one "FIELD: what is wrong" a line.
absl::Status ValidateConfig(const internal::v1::ServerConfig& config);

}  // namespace cloister::server

#endif  // CLOISTER_SERVICE_SERVER_CONFIG_H_
