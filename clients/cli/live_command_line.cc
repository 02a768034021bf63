#include "clients/cli/live_command_line.h"

#include <csignal>
#include <functional>
#include <memory>
#include <string>
#include <vector>

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

Variables, imports and files stay for what is executed next. Ctrl-C interrupts the code and keeps the sandbox's
state, unless the code does not end within 2 s: KeyboardInterrupt is raised every 100 ms until then, so code that
catches one meets the next. Displays are shown as their text, and output of earlier executions' threads, marked
as such, on stderr. Times: 5s, 250ms, 1m30s. Sizes: 256M, 64K, bytes.

)";

constexpr char kSandboxFooter[] = R"(
Examples:
  s=$(cloister sandbox create --ttl 1h --memory 512M)
  cloister exec $s -c 'x = 1' && cloister exec $s -c 'print(x)'
  cloister sandbox show $s
  cloister sandbox rm $s)";

constexpr char kSandboxCreateFooter[] = R"(
Examples:
  s=$(cloister sandbox create)
  s=$(cloister sandbox create --ttl 1h --idle-timeout 10m --memory 512M --file data.csv)
  s=$(cloister sandbox create --snapshot snapshots/abc…)

Limits of memory, files and processes hold for the sandbox, the others for each execution that gives none. Times:
5s, 250ms, 1m30s. Sizes: 256M, 64K, bytes.)";

constexpr char kForkFooter[] = R"(
Example:
  cloister sandbox fork $s --count 3 | while read copy; do cloister exec $copy -c 'try_it()'; done

A copy has all of the original's variables and files. It is refused while threads, further interpreters or
subprocesses live there.)";

constexpr char kSnapshotFooter[] = R"(
Example:
  p=$(cloister sandbox snapshot $s); cloister sandbox create --snapshot $p; cloister snapshot rm $p)";

constexpr char kSnapshotsFooter[] = R"(
Examples:
  p=$(cloister sandbox snapshot $s)
  cloister snapshot list
  cloister snapshot show $p
  cloister sandbox create --snapshot $p
  cloister snapshot rm $p)";

std::string WithExitCodes(const std::string& examples) { return absl::StrCat(examples, kCallExitCodeHelp); }

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
  command->footer(WithExitCodes(kSandboxCreateFooter));
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
  command->footer(WithExitCodes(kSandboxFooter));
  AddSandboxCreate(command, globals, action);
  const auto names = std::make_shared<std::vector<std::string>>();
  const auto json = std::make_shared<bool>(false);
  const auto with_server = [=](std::function<int(const Server&)> call) {
    return [=] { *action = [=] { return WithServer(*globals, call); }; };
  };
  const auto add = [&](const char* name, const char* help, bool takes_name) {
    CLI::App* added = command->add_subcommand(name, help);
    if (takes_name) {
      CLI::Option* option = added->add_option("SANDBOX", *names, "sandboxes/…")->required();
      if (std::string(name) != "rm") option->expected(1);
    }
    added->footer(WithExitCodes(
        absl::StrCat("\nExample:\n  cloister sandbox ", name, takes_name ? " $s" : "")));
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
  fork->footer(WithExitCodes(kForkFooter));
  fork->callback(with_server([=](const Server& server) {
    return ForkSandbox(server, names->front(), *count, globals->fds);
  }));
  CLI::App* snapshot =
      add("snapshot", "Freeze a copy, for create --snapshot, and print its name", true);
  snapshot->footer(WithExitCodes(kSnapshotFooter));
  snapshot->callback(with_server([=](const Server& server) {
    return CreateSnapshot(server, names->front(), globals->fds);
  }));
  add("rm", "End sandboxes", true)->callback(with_server([=](const Server& server) {
    return RemoveSandboxes(server, *names, globals->fds);
  }));
}

void AddSnapshot(CLI::App* app, const Globals* globals, Action* action) {
  CLI::App* command = app->add_subcommand("snapshot", "List and end snapshots of live sandboxes");
  command->require_subcommand(1)->fallthrough();
  command->footer(WithExitCodes(kSnapshotsFooter));
  const auto names = std::make_shared<std::vector<std::string>>();
  const auto json = std::make_shared<bool>(false);
  const auto add = [=](const char* name, const char* help, std::function<int(const Server&)> call) {
    CLI::App* added = command->add_subcommand(name, help);
    added->callback([=] { *action = [=] { return WithServer(*globals, call); }; });
    added->footer(WithExitCodes(absl::StrCat("\nExample:\n  cloister snapshot ", name,
                                             std::string(name) == "list" ? "" : " $p")));
    return added;
  };
  CLI::App* list = add("list", "Show all snapshots, oldest first", [=](const Server& server) {
    return ListSnapshots(server, *json, globals->fds);
  });
  CLI::App* show = add("show", "Show one snapshot", [=](const Server& server) {
    return ShowSnapshot(server, names->front(), *json, globals->fds);
  });
  CLI::App* remove = add("rm", "End snapshots; sandboxes made from them live on",
                         [=](const Server& server) {
                           return RemoveSnapshots(server, *names, globals->fds);
                         });
  for (CLI::App* with_json : {list, show}) with_json->add_flag("--json", *json, "as in the proto");
  show->add_option("SNAPSHOT", *names, "snapshots/…")->required()->expected(1);
  remove->add_option("SNAPSHOT", *names, "snapshots/…")->required();
}

}  // namespace cloister::cli
