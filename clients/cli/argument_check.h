// What no command can use, told before anything is sent.

#ifndef CLOISTER_CLIENTS_CLI_ARGUMENT_CHECK_H_
#define CLOISTER_CLIENTS_CLI_ARGUMENT_CHECK_H_

#include <string>
#include <vector>

#include "CLI/CLI.hpp"

namespace cloister::cli {

// The first value among those parsed by `app` and its chosen commands that is empty, which would pass for not
// given, or that is no text the protocol could carry: "SANDBOX is empty". Empty where there is none.
std::string FindUnusable(const CLI::App& app, const std::vector<std::string>& program_args);

}  // namespace cloister::cli

#endif  // CLOISTER_CLIENTS_CLI_ARGUMENT_CHECK_H_
