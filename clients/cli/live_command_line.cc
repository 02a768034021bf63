#include "clients/cli/live_command_line.h"

#include <csignal>
#include <functional>
#include <memory>

#include "absl/strings/str_cat.h"
#include "clients/cli/commands/exit_code.h"
#include "clients/cli/commands/signal_watcher.h"

namespace cloister::cli {
namespace {

constexpr char kExecFooter[] = R"(
Examples:
  cloister exec sandboxes/abc… -c 'x = 1'
  cloister exec sandboxes/abc… setup.py -- --verbose
  cloister exec sandboxes/abc… -c 'x + 1' --value

Variables, imports and files stay for what is executed next. Ctrl-C interrupts the code (KeyboardInterrupt) and
keeps the sandbox's state, unless the code does not answer within 2 s.

)";

constexpr char kSandboxFooter[] = R"(
Examples:
  s=$(cloister sandbox create --ttl 1h --memory 512M)
  cloister exec $s -c 'x = 1' && cloister exec $s -c 'print(x)'
  cloister sandbox show $s
  cloister sandbox rm $s)";

void AddSandboxCreate(CLI::App* app, const Globals* globals, Action* action) {
  CLI::App* command = app->add_subcommand("create", "Make a live sandbox and print its name");
  const auto options = std::make_shared<CreateSandboxOptions>();
  AddTemplate(command, &options->program.template_name);
  command->add_option("--snapshot", options->snapshot, "snapshots/…, to copy instead of a template")
      ->type_name("NAME");
  command->add_option("--ttl", options->ttl, "how long it lives at most")->type_name("TIME");
  command->add_option("--idle-timeout", options->idle_timeout, "how long without an execution")
      ->type_name("TIME");
  command->add_flag("--json", options->json, "print all about it, as in the proto");
  command
      ->add_option("--request-id", options->program.request_id,
                   "repeating it under the same id makes one sandbox")
      ->type_name("ID");
  AddContents(command, &options->program);
  AddLimits(command, &options->program);
  command->callback([=] {
    *action = [=] {
      return WithServer(*globals, [&](const Server& server) {
        return CreateSandbox(server, *options, globals->fds);
      });
    };
  });
}

}  // namespace

void AddExec(CLI::App* app, const Globals* globals, const std::vector<std::string>& program_args,
             Action* action) {
  CLI::App* command =
      app->add_subcommand("exec", "Run Python code in a live sandbox, where its state stays");
  const auto options = std::make_shared<RunOptions>();
  options->args = program_args;
  command->add_option("SANDBOX", options->interpreter, "sandboxes/…, as `sandbox create` prints it, or an interpreter of one")
      ->required();
  AddProgram(command, options.get());
  AddContents(command, options.get());
  const auto add = [command](const char* name, std::string* value, const char* type,
                             const char* help) {
    command->add_option(name, *value, help)->type_name(type)->group("Limits");
  };
  add("--wall", &options->wall, "TIME", "wall-clock time");
  add("--cpu", &options->cpu, "TIME", "processor time");
  add("--output", &options->output, "SIZE", "stdout and stderr together");
  command->footer(absl::StrCat(kExecFooter, kExitCodeHelp));
  command->callback([=] { *action = RunAction(globals, options); });
}

void AddRepl(CLI::App* app, const Globals* globals, Action* action) {
  CLI::App* command =
      app->add_subcommand("repl", "Talk to a live interpreter, as with an interactive Python");
  const auto options = std::make_shared<ReplOptions>();
  command->add_option("SANDBOX", options->sandbox,
                      "sandboxes/…, or an interpreter of one; default: a sandbox of its own, which ends with "
                      "it");
  AddTemplate(command, &options->template_name);
  command->footer(
      "\nCtrl-C interrupts the code that runs and keeps what it did. Ctrl-D leaves, and so does exit(), quit() or\n"
      "sys.exit(n), whose code becomes ours. A block ends with an empty line. Code can also be piped in.\n\n"
      "Examples:\n  cloister repl\n  cloister repl sandboxes/abc…\n  echo 'print(6 * 7)' | cloister repl\n\n"
      "Exit codes: 0, or the program's own; 2 bad usage, or no such sandbox; 69 the server is not there; 70 it\n"
      "failed; 74 output could not be written.");
  command->callback([=] {
    *action = [=] {
      BlockSignal(SIGINT);
      if (options->sandbox.empty()) {
        BlockSignal(SIGHUP);
        BlockSignal(SIGTERM);
      }
      return WithServer(
          *globals, [&](const Server& server) { return RunRepl(server, *options, globals->fds); });
    };
  });
}

// Subcommands that take a name, or nothing.
void AddSandbox(CLI::App* app, const Globals* globals, Action* action) {
  CLI::App* command = app->add_subcommand("sandbox", "Make, list and end live sandboxes");
  command->require_subcommand(1)->fallthrough();
  command->footer(kSandboxFooter);
  AddSandboxCreate(command, globals, action);
  const auto names = std::make_shared<std::vector<std::string>>();
  const auto json = std::make_shared<bool>(false);
  const auto with_server = [=](std::function<int(const Server&)> call) {
    return [=] { *action = [=] { return WithServer(*globals, call); }; };
  };
  const auto add = [&](const char* name, const char* help, bool takes_name) {
    CLI::App* added = command->add_subcommand(name, help);
    if (takes_name) added->add_option("SANDBOX", *names, "sandboxes/…")->required();
    return added;
  };
  CLI::App* list = add("list", "Show all live sandboxes, oldest first", false);
  list->add_flag("--json", *json, "as in the proto");
  list->callback(with_server(
      [=](const Server& server) { return ListSandboxes(server, *json, globals->fds); }));
  CLI::App* show = add("show", "Show one sandbox", true);
  show->add_flag("--json", *json, "as in the proto");
  show->callback(with_server([=](const Server& server) {
    return ShowSandbox(server, names->front(), *json, globals->fds);
  }));
  add("restart", "Give a sandbox a new interpreter; its state is gone", true)
      ->callback(with_server([=](const Server& server) {
        return RestartSandbox(server, names->front(), globals->fds);
      }));
  const auto count = std::make_shared<int>(1);
  CLI::App* fork = add("fork", "Copy a quiet sandbox and print the copies' names", true);
  fork->add_option("--count", *count, "how many")->type_name("N");
  fork->callback(with_server([=](const Server& server) {
    return ForkSandbox(server, names->front(), *count, globals->fds);
  }));
  add("snapshot", "Freeze a copy, for create --snapshot, and print its name", true)
      ->callback(with_server([=](const Server& server) {
        return CreateSnapshot(server, names->front(), globals->fds);
      }));
  add("rm", "End sandboxes", true)->callback(with_server([=](const Server& server) {
    return RemoveSandboxes(server, *names, globals->fds);
  }));
}

}  // namespace cloister::cli
