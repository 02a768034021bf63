#include "clients/cli/command_line.h"

#include <algorithm>
#include <csignal>
#include <functional>
#include <memory>
#include <utility>

#include "CLI/CLI.hpp"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "clients/cli/bench/bench_command.h"
#include "clients/cli/bench/echo_server.h"
#include "clients/cli/commands/commands.h"
#include "clients/cli/commands/exit_code.h"
#include "clients/cli/commands/signal_watcher.h"
#include "clients/cpp/channel.h"

namespace cloister::cli {
namespace {

constexpr char kFooter[] = R"(
Examples:
  cloister run hello.py
  cloister run -c 'print(6 * 7)'
  cloister info

The server's address is --server, else CLOISTER_SERVER, else unix:/run/cloister/cloister.sock.
`cloister COMMAND --help` tells more.)";

constexpr char kRunFooter[] = R"(
Examples:
  cloister run hello.py -- --verbose input.txt     the program's own arguments follow --
  echo 'print(1)' | cloister run -                 the program from standard input
  cloister run -c 'import sys; print(sys.stdin.read())' --stdin data.txt
  cloister run plot.py --file data.csv:in/data.csv --fetch out.png:plot.png
  cloister run -c '2 ** 100' --value               also prints the value of the last expression
  cloister run slow.py --wall 30s --memory 1G --processes 8
  cloister attach $(cloister run --detach slow.py)

Output is passed on as it appears, byte for byte. Ctrl-C interrupts the program (KeyboardInterrupt, then a
kill); a second Ctrl-C stops waiting for it. If the connection is lost, the server stops the program, unless
it was started with --detach; what it wrote is still fetched. Limits not given are the server's (see
`cloister info`); past its maximum they are refused. Times: 5s, 250ms, 1m30s. Sizes: 256M, 64K, bytes.

)";

constexpr char kAttachFooter[] = R"(
Examples:
  cloister attach executions/abc…             everything that is retained, then live to the end
  cloister attach executions/abc… --after 12  from the 13th event on

Ctrl-C stops watching, not the program: that is `cloister interrupt`. The exit code is as of `cloister run`.)";

struct Globals {
  std::string server;
  OutputFds fds;
};

using Action = std::function<int()>;

// A command that needs a server: resolves the address and makes the stubs.
int WithServer(const Globals& globals, const std::function<int(const Server&)>& command) {
  const absl::StatusOr<std::string> address = client::ResolveServerAddress(globals.server);
  if (!address.ok()) {
    Complain(globals.fds.err, address.status().message());
    return kExitUsage;
  }
  const auto channel = client::CreateChannel(*address);
  const auto executions = v1::ExecutionService::NewStub(channel);
  const auto info = v1::InfoService::NewStub(channel);
  return command(Server{*address, executions.get(), info.get()});
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
  add("--file-size,--files", &options->file_size, "SIZE", "size of any one file written");
  add("--workspace", &options->workspace, "SIZE", "size of /workspace, and of /tmp");
}

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

void AddRun(CLI::App* app, const Globals* globals, const std::vector<std::string>& program_args,
            Action* action) {
  CLI::App* command =
      app->add_subcommand("run", "Run a Python program in a fresh sandbox and show its output");
  const auto options = std::make_shared<RunOptions>();
  options->args = program_args;
  command->add_option("FILE", options->source, "the program, or - for standard input");
  command->add_option("-c,--code", options->code, "the program's text, instead of a FILE")
      ->type_name("CODE");
  command
      ->add_option("-t,--template", options->template_name,
                   "which template; default: the server's first")
      ->type_name("NAME");
  AddRepeated(command, "--arg", &options->args, "ARG",
              "an argument of the program's; repeatable, or after --");
  AddRepeated(command, "-e,--env", &options->environment, "NAME[=VALUE]",
              "an environment variable; without a value our own; repeatable");
  AddRepeated(command, "-f,--file", &options->files, "LOCAL[:PATH]",
              "a file to put below /workspace; repeatable");
  AddRepeated(command, "--fetch", &options->fetches, "PATH[:LOCAL]",
              "a file below /workspace to bring back at the end; repeatable");
  command
      ->add_option("--stdin", options->stdin_from, "what the program reads, read whole beforehand")
      ->type_name("FILE|-")
      ->group("Input and output");
  command->add_flag("--value", options->value, "print the value of the last expression")
      ->group("Input and output");
  command
      ->add_flag("--json", options->json, "print one JSON object at the end instead of live output")
      ->group("Input and output");
  command->add_flag("-q,--quiet", options->quiet, "no line of ours on stderr about how it ended")
      ->group("Input and output");
  AddLimits(command, options.get());
  command->add_flag("--detach", options->detach, "print the execution's name and leave it running");
  command
      ->add_option("--request-id", options->request_id,
                   "repeating a run under the same id runs it once")
      ->type_name("ID");
  command->footer(absl::StrCat(kRunFooter, kExitCodeHelp));
  command->callback([=] {
    *action = [=] {
      // Before gRPC makes its threads.
      BlockSignal(SIGINT);
      return WithServer(*globals, [&](const Server& server) {
        return RunProgram(server, *options, globals->fds);
      });
    };
  });
}

void AddAttach(CLI::App* app, const Globals* globals, Action* action) {
  CLI::App* command = app->add_subcommand("attach", "Follow a program that was started before");
  const auto options = std::make_shared<AttachOptions>();
  command->add_option("EXECUTION", options->execution, "executions/…, as `run --detach` prints it")
      ->required();
  command
      ->add_option("--after", options->after_sequence, "the number of the last event already seen")
      ->type_name("N")
      ->check(CLI::NonNegativeNumber);
  command->add_flag("--json", options->json,
                    "print one JSON object at the end instead of live output");
  command->add_flag("-q,--quiet", options->quiet, "no line of ours on stderr about how it ended");
  command->footer(kAttachFooter);
  command->callback([=] {
    *action = [=] {
      return WithServer(*globals, [&](const Server& server) {
        return AttachProgram(server, *options, globals->fds);
      });
    };
  });
}

void AddInterrupt(CLI::App* app, const Globals* globals, Action* action) {
  CLI::App* command =
      app->add_subcommand("interrupt", "Interrupt a running program and tell how it ended");
  const auto options = std::make_shared<InterruptOptions>();
  command->add_option("EXECUTION", options->execution, "executions/…, as `run --detach` prints it")
      ->required();
  command
      ->add_option("--grace", options->grace,
                   "how long it may answer KeyboardInterrupt before it is killed; 0 kills at once")
      ->type_name("TIME");
  command->footer("\nExample:\n  cloister interrupt executions/abc… --grace 500ms");
  command->callback([=] {
    *action = [=] {
      return WithServer(*globals, [&](const Server& server) {
        return InterruptProgram(server, *options, globals->fds);
      });
    };
  });
}

void AddInfo(CLI::App* app, const Globals* globals, Action* action) {
  CLI::App* command =
      app->add_subcommand("info", "Show versions, templates, limits, isolation and pools");
  const auto json = std::make_shared<bool>(false);
  command->add_flag("--json", *json, "GetInfoResponse as JSON, named as in the proto");
  command->footer(
      "\nExamples:\n  cloister info\n  cloister info --json | jq '.isolation.layers[] | "
      "select(.in_force | not)'");
  command->callback([=] {
    *action = [=] {
      return WithServer(
          *globals, [&](const Server& server) { return ShowInfo(server, *json, globals->fds); });
    };
  });
}

void AddBench(CLI::App* app, const Globals* globals, Action* action) {
  const auto options = std::make_shared<bench::BenchOptions>();
  bench::AddBenchOptions(app, options.get(), [=] {
    *action = [=] {
      options->server = globals->server;
      return bench::RunBench(*options, globals->fds);
    };
  });
}

// For `bench` itself, which starts it and ends it.
void AddEchoServer(CLI::App* app, Action* action) {
  CLI::App* command = app->add_subcommand("bench-echo-server", "")->group("");
  const auto address = std::make_shared<std::string>();
  command->add_option("--listen", *address)->required();
  command->callback([=] { *action = [=] { return bench::RunEchoServer(*address); }; });
}

// CLI11 writes its messages in several ways; ours are one line that ends in what to do.
int TellUsage(const CLI::App& app, const CLI::ParseError& error, int err) {
  std::string name = app.get_name();
  for (const CLI::App* command : app.get_subcommands())
    absl::StrAppend(&name, " ", command->get_name());
  const std::string message = absl::StrReplaceAll(error.what(), {{"\n", "; "}});
  Complain(err, absl::StrCat(message, " (see `", name, " --help`)"));
  return kExitUsage;
}

}  // namespace

int RunCommandLine(const std::vector<std::string>& arguments, OutputFds fds) {
  // What follows -- is the program's, whatever it looks like: our parser never sees it.
  const auto separator = std::find(arguments.begin(), arguments.end(), "--");
  std::vector<std::string> own(arguments.begin(), separator);
  std::vector<std::string> program_args;
  if (separator != arguments.end()) program_args.assign(separator + 1, arguments.end());

  Globals globals{.server = {}, .fds = fds};
  Action action;
  CLI::App app("Runs untrusted Python in sandboxes: the client of cloisterd.", "cloister");
  app.add_option("--server", globals.server, "where cloisterd listens: unix:/path or host:port")
      ->type_name("ADDR");
  app.require_subcommand(1)->fallthrough();
  app.footer(kFooter);
  AddRun(&app, &globals, program_args, &action);
  AddAttach(&app, &globals, &action);
  AddInterrupt(&app, &globals, &action);
  AddInfo(&app, &globals, &action);
  AddBench(&app, &globals, &action);
  AddEchoServer(&app, &action);

  std::reverse(own.begin(), own.end());  // as CLI11 takes them
  try {
    app.parse(std::move(own));
  } catch (const CLI::CallForHelp&) {
    return WriteAll(fds.out, app.help()) ? kExitOk : kExitInputOutput;
  } catch (const CLI::ParseError& error) {
    return TellUsage(app, error, fds.err);
  }
  if (!program_args.empty() && !app.got_subcommand("run")) {
    Complain(fds.err, "only `cloister run` takes arguments after --");
    return kExitUsage;
  }
  return action();
}

}  // namespace cloister::cli
