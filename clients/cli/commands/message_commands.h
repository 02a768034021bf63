// What `cloister post` and `cloister connect` do, without their command line.

#ifndef CLOISTER_CLIENTS_CLI_COMMANDS_MESSAGE_COMMANDS_H_
#define CLOISTER_CLIENTS_CLI_COMMANDS_MESSAGE_COMMANDS_H_

#include <string>
#include <vector>

#include "clients/cli/commands/commands.h"

namespace cloister::cli {

// Sends one message; `value` is JSON, or "-" for JSON on standard input.
int PostMessage(const Server& server, const std::string& sandbox, const std::string& value,
                OutputFds fds);

struct ConnectOptions {
  std::string sandbox;              // or an interpreter of one
  std::vector<std::string> offers;  // NAME=COMMAND
  std::string timeout;              // of one call; empty: the server's
  int concurrency = 0;              // calls at a time; 0: the server's
  int count = 0;                    // ends after so many messages; 0: never
  bool quiet = false;
};

// Prints messages as lines of JSON, sends lines of standard input, and runs commands for calls.
// Takes SIGINT, which must be blocked in every thread.
int ConnectMessages(const Server& server, const ConnectOptions& options, OutputFds fds);

}  // namespace cloister::cli

#endif  // CLOISTER_CLIENTS_CLI_COMMANDS_MESSAGE_COMMANDS_H_
