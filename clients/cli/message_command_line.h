// The command lines of `cloister post` and `cloister connect`.

#ifndef CLOISTER_CLIENTS_CLI_MESSAGE_COMMAND_LINE_H_
#define CLOISTER_CLIENTS_CLI_MESSAGE_COMMAND_LINE_H_

#include "clients/cli/command_parts.h"

namespace cloister::cli {

void AddMessages(CLI::App* app, const Globals* globals, Action* action);

}  // namespace cloister::cli

#endif  // CLOISTER_CLIENTS_CLI_MESSAGE_COMMAND_LINE_H_
