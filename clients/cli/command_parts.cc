#include "clients/cli/command_parts.h"

#include <csignal>

#include "clients/cli/commands/exit_code.h"
#include "clients/cli/commands/signal_watcher.h"
#include "cloister/client/channel.h"
#include "cloister/client/token.h"

namespace cloister::cli {
namespace {

// Options that may be repeated take one value each time, so that none swallows the FILE after it.
void AddRepeated(CLI::App* command, const char* name, std::vector<std::string>* values,
                 const char* type, const char* help) {
  command->add_option(name, *values, help)
      ->type_name(type)
      ->expected(1)
      ->allow_extra_args(false)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->group("Input and output");
}

}  // namespace

int WithServer(const Globals& globals, const std::function<int(const Server&)>& command) {
  const absl::StatusOr<std::string> address = client::ResolveServerAddress(globals.server);
  if (!address.ok()) {
    Complain(globals.fds.err, address.status().message());
    return kExitUsage;
  }
  const absl::StatusOr<std::string> token = client::ResolveToken(globals.token_file);
  const absl::Status usable = !token.ok()      ? token.status()
                              : token->empty() ? absl::OkStatus()
                                               : client::CheckTokenMayGoTo(*address);
  if (!usable.ok()) {
    Complain(globals.fds.err, usable.message());
    return kExitUsage;
  }
  const auto channel = client::CreateChannel(*address, *token);
  const auto executions = v1::ExecutionService::NewStub(channel);
  const auto info = v1::InfoService::NewStub(channel);
  const auto sandboxes = v1::SandboxService::NewStub(channel);
  const auto interpreters = v1::InterpreterService::NewStub(channel);
  const auto files = v1::FileService::NewStub(channel);
  const auto messages = v1::MessageService::NewStub(channel);
  return command(Server{*address,
                        executions.get(),
                        info.get(),
                        {},
                        sandboxes.get(),
                        interpreters.get(),
                        files.get(),
                        messages.get()});
}

void AddLimits(CLI::App* command, RunOptions* options) {
  const auto add = [command](const char* name, std::string* value, const char* type,
                             const char* help) {
    command->add_option(name, *value, help)->type_name(type)->group("Limits");
  };
  add("--wall", &options->wall, "TIME", "wall-clock time");
  add("--cpu", &options->cpu, "TIME", "processor time");
  add("--memory", &options->memory, "SIZE", "memory, files in /workspace and /tmp included");
  add("--output", &options->output, "SIZE", "stdout and stderr together");
  add("--processes", &options->processes, "N", "processes and threads alive at once");
  add("--open-files", &options->open_files, "N", "open file descriptors");
  add("--file-size", &options->file_size, "SIZE", "size of any one file written");
  add("--workspace", &options->workspace, "SIZE", "size of /workspace, and of /tmp");
}

void AddSource(CLI::App* command, RunOptions* options) {
  command->add_option("FILE", options->source, "the program, or - for standard input");
  command->add_option("-c,--code", options->code, "the program's text, instead of a FILE")
      ->type_name("CODE");
  AddRepeated(command, "--set", &options->variables, "NAME=JSON",
              "a variable that is there before the program starts; repeatable");
  command
      ->add_option("--call", options->call,
                   "a function to call after the program, if there is one, whose result is printed: "
                   "NAME or MODULE:NAME")
      ->type_name("FUNCTION")
      ->group("Input and output");
  AddRepeated(command, "--pass", &options->call_args, "JSON|NAME=JSON",
              "an argument of that call; repeatable");
  command->add_flag("--value", options->value, "print the value of the last expression")
      ->group("Input and output");
}

void AddProgram(CLI::App* command, RunOptions* options) {
  AddSource(command, options);
  AddRepeated(command, "--arg", &options->args, "ARG",
              "an argument of the program's; repeatable, or after --");
  AddRepeated(command, "--fetch", &options->fetches, "PATH[:LOCAL]",
              "a file below /workspace to bring back at the end, as LOCAL, below it if it is a "
              "directory, or to "
              "standard output for -; repeatable");
  command
      ->add_option("--stdin", options->stdin_from, "what the program reads, read whole beforehand")
      ->type_name("FILE|-")
      ->group("Input and output");
  command
      ->add_flag("--json", options->json, "print one JSON object at the end instead of live output")
      ->group("Input and output");
  command->add_flag("-q,--quiet", options->quiet, "no line of ours on stderr about how it ended")
      ->group("Input and output");
  command->add_flag("--detach", options->detach, "print the execution's name and leave it running");
  command
      ->add_option("--request-id", options->request_id,
                   "repeating a run under the same id runs it once")
      ->type_name("ID");
}

void AddContents(CLI::App* command, RunOptions* options) {
  AddRepeated(command, "-e,--env", &options->environment, "NAME[=VALUE]",
              "an environment variable; without a value our own; repeatable");
  AddRepeated(command, "-f,--file", &options->files, "LOCAL[:PATH]",
              "a file to put below /workspace; repeatable");
}

void AddTemplate(CLI::App* command, std::string* name) {
  command->add_option("-t,--template", *name, "which template; default: the server's first")
      ->type_name("NAME");
}

Action RunAction(const Globals* globals, const std::shared_ptr<RunOptions>& options) {
  return [=] {
    // Before gRPC makes its threads.
    BlockSignal(SIGINT);
    return WithServer(
        *globals, [&](const Server& server) { return RunProgram(server, *options, globals->fds); });
  };
}

}  // namespace cloister::cli
