// The command line of live sandboxes: `sandbox`, `snapshot`, `interp`, `exec` and `repl`.

#ifndef CLOISTER_CLIENTS_CLI_LIVE_COMMAND_LINE_H_
#define CLOISTER_CLIENTS_CLI_LIVE_COMMAND_LINE_H_

#include <string>
#include <vector>

#include "clients/cli/command_parts.h"

namespace cloister::cli {

// `globals` and `action` must outlive `app`; `program_args` is what followed --.
void AddSandbox(CLI::App* app, const Globals* globals, Action* action);
void AddSnapshot(CLI::App* app, const Globals* globals, Action* action);
void AddInterpreter(CLI::App* app, const Globals* globals, Action* action);
void AddExec(CLI::App* app, const Globals* globals, const std::vector<std::string>& program_args,
             Action* action);
void AddRepl(CLI::App* app, const Globals* globals, Action* action);

}  // namespace cloister::cli

#endif  // CLOISTER_CLIENTS_CLI_LIVE_COMMAND_LINE_H_
