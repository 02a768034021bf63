// What the commands of `cloister` are put together from: groups of options that several have.

#ifndef CLOISTER_CLIENTS_CLI_COMMAND_PARTS_H_
#define CLOISTER_CLIENTS_CLI_COMMAND_PARTS_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "clients/cli/commands/commands.h"

namespace cloister::cli {

struct Globals {
  std::string server;
  std::string token_file;
  OutputFds fds;
};

// What the chosen command will do, once all options are known. Returns the exit code.
using Action = std::function<int()>;

// A command that needs a server: resolves the address and makes the stubs.
int WithServer(const Globals& globals, const std::function<int(const Server&)>& command);

void AddLimits(CLI::App* command, RunOptions* options);

// What `run` and `exec` have in common; positions that come first are there already.
void AddProgram(CLI::App* command, RunOptions* options);

// Which program, with which values; a part of AddProgram.
void AddSource(CLI::App* command, RunOptions* options);

// What is put into a sandbox beside its program.
void AddContents(CLI::App* command, RunOptions* options);

void AddTemplate(CLI::App* command, std::string* name);

// Runs the program that the options describe.
Action RunAction(const Globals* globals, const std::shared_ptr<RunOptions>& options);

}  // namespace cloister::cli

#endif  // CLOISTER_CLIENTS_CLI_COMMAND_PARTS_H_
