// The command line of `cloister token`.

#ifndef CLOISTER_CLIENTS_CLI_TOKEN_COMMAND_LINE_H_
#define CLOISTER_CLIENTS_CLI_TOKEN_COMMAND_LINE_H_

#include "clients/cli/command_parts.h"

namespace cloister::cli {

void AddToken(CLI::App* app, const Globals* globals, Action* action);

}  // namespace cloister::cli

#endif  // CLOISTER_CLIENTS_CLI_TOKEN_COMMAND_LINE_H_
