// Turns the options of `cloister run` into a request: reads the files they name and checks what can
// be checked without a server.

#ifndef CLOISTER_CLIENTS_CLI_COMMANDS_REQUEST_BUILDER_H_
#define CLOISTER_CLIENTS_CLI_COMMANDS_REQUEST_BUILDER_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "cloister/v1/execution_service.pb.h"

namespace cloister::cli {

// As typed; empty where not given.
struct RunOptions {
  std::string source;  // a file, or "-"
  std::optional<std::string> code;
  std::string template_name;
  std::string interpreter;  // of a live sandbox; empty: a fresh one
  std::vector<std::string> args;
  std::vector<std::string> environment;  // "NAME=VALUE", or "NAME" for our own
  std::vector<std::string> files;        // "LOCAL[:PATH]"
  std::vector<std::string> fetches;      // "PATH[:LOCAL]"
  std::vector<std::string> variables;    // "NAME=JSON"
  std::string call;                      // a function; empty: none
  std::vector<std::string> call_args;    // "JSON", or "NAME=JSON" for a keyword
  std::string stdin_from;                // a file, or "-"
  std::string wall, cpu, memory, output, processes, open_files, file_size, workspace;
  std::string request_id;
  bool value = false;
  bool json = false;
  bool detach = false;
  bool quiet = false;
};

// A file to bring back and where to put it.
struct Fetch {
  std::string path;
  std::string local;  // "-": standard output
};

// Errors: INVALID_ARGUMENT or the failure of reading a file, naming the option. Reads standard
// input where an option says "-". The request gets a fresh random request_id where none was given.
absl::StatusOr<v1::ExecuteRequest> BuildExecuteRequest(const RunOptions& options);

absl::StatusOr<std::vector<Fetch>> ParseFetches(const std::vector<std::string>& fetches);

// All of a file, or of standard input for "-".
absl::StatusOr<std::string> ReadInput(const std::string& path);

// Creates or replaces a file, as LocalFile does.
absl::Status WriteFile(const std::string& path, absl::string_view content);

}  // namespace cloister::cli

#endif  // CLOISTER_CLIENTS_CLI_COMMANDS_REQUEST_BUILDER_H_
