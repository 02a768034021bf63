// `cloister token new`: makes a token, and what a server's file of tokens has to say of it.

#ifndef CLOISTER_CLIENTS_CLI_COMMANDS_TOKEN_COMMAND_H_
#define CLOISTER_CLIENTS_CLI_COMMANDS_TOKEN_COMMAND_H_

#include <string>

#include "clients/cli/commands/execution_view.h"

namespace cloister::cli {

struct NewTokenOptions {
  std::string tenant;
  std::string expires_in;
  std::string comment;
  // Empty: the entry is shown on stderr.
  std::string file;
};

// Prints the token. Returns the exit code.
int NewToken(const NewTokenOptions& options, OutputFds fds);

}  // namespace cloister::cli

#endif  // CLOISTER_CLIENTS_CLI_COMMANDS_TOKEN_COMMAND_H_
