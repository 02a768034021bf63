// The command line of `cloister`: options, help, and what each subcommand is given.

#ifndef CLOISTER_CLIENTS_CLI_COMMAND_LINE_H_
#define CLOISTER_CLIENTS_CLI_COMMAND_LINE_H_

#include <string>
#include <vector>

#include "clients/cli/commands/execution_view.h"

namespace cloister::cli {

// Runs `cloister` with these arguments (without the program's name) and returns its exit code.
// Every wrong argument ends in one line on fds.err and kExitUsage.
int RunCommandLine(const std::vector<std::string>& arguments, OutputFds fds);

}  // namespace cloister::cli

#endif  // CLOISTER_CLIENTS_CLI_COMMAND_LINE_H_
