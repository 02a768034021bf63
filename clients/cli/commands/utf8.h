// What the protocol takes for text.

#ifndef CLOISTER_CLIENTS_CLI_COMMANDS_UTF8_H_
#define CLOISTER_CLIENTS_CLI_COMMANDS_UTF8_H_

#include <string>

#include "absl/strings/string_view.h"

namespace cloister::cli {

// Bytes that are not can be neither in a message's string nor in JSON.
bool IsUtf8(const std::string& bytes);

// As a terminal may see it: a program in the sandbox chose it.
std::string ShownPath(absl::string_view path);

}  // namespace cloister::cli

#endif  // CLOISTER_CLIENTS_CLI_COMMANDS_UTF8_H_
