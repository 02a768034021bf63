#include "clients/cli/command_line.h"

#include <algorithm>
#include <csignal>
#include <functional>
#include <memory>
#include <utility>

#include "CLI/CLI.hpp"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "clients/cli/argument_check.h"
#include "clients/cli/bench/bench_command.h"
#include "clients/cli/bench/echo_server.h"
#include "clients/cli/command_parts.h"
#include "clients/cli/commands/commands.h"
#include "clients/cli/commands/exit_code.h"
#include "clients/cli/commands/reply.h"
#include "clients/cli/commands/signal_watcher.h"
#include "clients/cli/files_command_line.h"
#include "clients/cli/live_command_line.h"
#include "clients/cli/message_command_line.h"
#include "clients/cli/token_command_line.h"

namespace cloister::cli {
namespace {

constexpr char kFooter[] = R"(
Examples:
  cloister run hello.py
  cloister run -c 'print(6 * 7)'
  cloister repl
  cloister info

The server's address is --server, else CLOISTER_SERVER, else unix:/run/cloister/cloister.sock. Where it wants a
token, that is in the file --token-file, else in CLOISTER_TOKEN, else in the file CLOISTER_TOKEN_FILE.
`cloister COMMAND --help` tells more.)";

constexpr char kRunFooter[] = R"(
Examples:
  cloister run hello.py -- --verbose input.txt     the program's own arguments follow --
  echo 'print(1)' | cloister run -                 the program from standard input
  cloister run -c 'import sys; print(sys.stdin.read())' --stdin data.txt
  cloister run plot.py --file data.csv:in/data.csv --fetch out.png:plot.png
  cloister run -c '2 ** 100' --value               also prints the value of the last expression
  cloister run shop.py --call total --pass '[1, 2.5]' --pass currency='"EUR"'   a function of it, with arguments
  cloister run -c 'print(n * 2)' --set n=21
  cloister run slow.py --wall 30s --memory 1G --processes 8
  cloister attach $(cloister run --detach slow.py)

Output is passed on as it appears, byte for byte. Ctrl-C interrupts the program: KeyboardInterrupt every 100 ms for
2 s, so a program that catches one meets the next, then a kill. A second Ctrl-C stops waiting for it. If the connection is lost, the server stops the program, unless
it was started with --detach; what it wrote is still fetched. A LOCAL that is a link is followed, one that is a
device or a FIFO is written to, a directory gets the file under its name. Displays are shown as their text, and
output of earlier executions' threads, marked as such, on stderr. Limits not given are the server's (see
`cloister info`); past its maximum they are refused. Times: 5s, 250ms, 1m30s. Sizes: 256M, 64K, bytes.

)";

constexpr char kAttachFooter[] = R"(
Examples:
  cloister attach executions/abc…             everything that is retained, then live to the end
  cloister attach executions/abc… --after 12  from the 13th event on

Ctrl-C stops watching, not the program: that is `cloister interrupt`. The exit code is as of `cloister run`.)";

void AddRun(CLI::App* app, const Globals* globals, const std::vector<std::string>& program_args,
            Action* action) {
  CLI::App* command =
      app->add_subcommand("run", "Run a Python program in a fresh sandbox and show its output");
  const auto options = std::make_shared<RunOptions>();
  options->args = program_args;
  AddProgram(command, options.get());
  AddTemplate(command, &options->template_name);
  AddContents(command, options.get());
  AddLimits(command, options.get());
  command->footer(absl::StrCat(kRunFooter, kExitCodeHelp));
  command->callback([=] { *action = RunAction(globals, options); });
}

void AddMap(CLI::App* app, const Globals* globals, Action* action) {
  CLI::App* command =
      app->add_subcommand("map", "Run a program over many inputs, each in a fresh sandbox");
  const auto options = std::make_shared<MapOptions>();
  AddSource(command, &options->program);
  command
      ->add_option("--inputs", options->inputs,
                   "a line of JSON for each: an object is variables, an array the arguments of "
                   "--call, a string "
                   "standard input")
      ->type_name("FILE|-")
      ->required();
  command
      ->add_option("--concurrency", options->concurrency, "runs at a time, 64 at most; default: 8")
      ->type_name("N")
      ->check(CLI::Range(1, 64));
  command->add_flag("--by-completion", options->by_completion,
                    "verdicts as they are reached, not in the order of the inputs");
  command->add_flag("--stop-on-failure", options->stop_on_failure,
                    "start nothing more after the first verdict but SUCCEEDED and exit code 0; "
                    "with --by-completion what runs is killed");
  command->add_flag("-q,--quiet", options->quiet,
                    "no line of ours on stderr about how many failed");
  AddTemplate(command, &options->program.template_name);
  AddContents(command, &options->program);
  AddLimits(command, &options->program);
  command->footer(
      "\nExamples:\n"
      "  cloister map solve.py --inputs cases.jsonl --wall 2s --stop-on-failure\n"
      "  printf '[3, 4]\\n[5, 6]\\n' | cloister map -c 'def area(w, h): return w * h' --call area "
      "--inputs -\n\n"
      "Prints a line of JSON for each verdict: index, outcome, value as Python would show it, "
      "stdout, stderr. The exit\n"
      "code is 0 where none failed, 1 where one did; else as of `cloister run`.");
  command->callback([=] {
    *action = [=] {
      // Before gRPC makes its threads.
      BlockSignal(SIGINT);
      return WithServer(*globals, [&](const Server& server) {
        return MapProgram(server, *options, globals->fds);
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
      ->check([](const std::string& text) {
        int64_t number = 0;
        return absl::SimpleAtoi(text, &number) && number >= 0
                   ? ""
                   : absl::StrCat("\"", text,
                                  "\" is no event's number; events are numbered from 1");
      });
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
                   "how long KeyboardInterrupt is repeated, every 100 ms, before it is killed; 0 "
                   "kills at once")
      ->type_name("TIME");
  command->footer(absl::StrCat("\nExample:\n  cloister interrupt executions/abc… --grace 500ms",
                               kCallExitCodeHelp));
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

// One line that ends in what to do.
int TellUsage(const CLI::App& app, const std::string& message, int err) {
  std::string name = app.get_name();
  for (const CLI::App* command = &app; !command->get_subcommands().empty();) {
    command = command->get_subcommands().front();
    absl::StrAppend(&name, " ", command->get_name());
  }
  Complain(err, absl::StrCat(message, " (see `", name, " --help`)"));
  return kExitUsage;
}

// CLI11 writes its messages in several ways.
std::string MessageOf(const CLI::App& app, const CLI::ParseError& error) {
  const CLI::App* command = &app;
  while (!command->get_subcommands().empty()) command = command->get_subcommands().front();
  // It misses a subcommand before it sees that something else stands in its place.
  const std::vector<std::string> unknown = app.remaining(/*recurse=*/true);
  if (!unknown.empty() && !command->get_subcommands([](const CLI::App*) { return true; }).empty()) {
    const bool is_option = absl::StartsWith(unknown.front(), "-");
    return absl::StrCat("there is no ", is_option ? "option " : "command \"", unknown.front(),
                        is_option ? "" : "\"");
  }
  return absl::StrReplaceAll(error.what(), {{"\n", "; "}});
}

}  // namespace

int RunCommandLine(const std::vector<std::string>& arguments, OutputFds fds) {
  // What follows -- is the program's, whatever it looks like: our parser never sees it.
  const auto separator = std::find(arguments.begin(), arguments.end(), "--");
  std::vector<std::string> own(arguments.begin(), separator);
  std::vector<std::string> program_args;
  if (separator != arguments.end()) program_args.assign(separator + 1, arguments.end());

  Globals globals{.server = {}, .token_file = {}, .fds = fds};
  Action action;
  CLI::App app("Runs untrusted Python in sandboxes: the client of cloisterd.", "cloister");
  app.add_option("--server", globals.server, "where cloisterd listens: unix:/path or host:port")
      ->type_name("ADDR");
  app.add_option("--token-file", globals.token_file,
                 "a file whose first line is the token to call with")
      ->type_name("FILE");
  app.set_version_flag("--version", "cloister " CLOISTER_VERSION, "print this program's version");
  app.require_subcommand(1)->fallthrough();
  app.footer(kFooter);
  AddRun(&app, &globals, program_args, &action);
  AddMap(&app, &globals, &action);
  AddAttach(&app, &globals, &action);
  AddInterrupt(&app, &globals, &action);
  AddSandbox(&app, &globals, &action);
  AddSnapshot(&app, &globals, &action);
  AddInterpreter(&app, &globals, &action);
  AddExec(&app, &globals, program_args, &action);
  AddFiles(&app, &globals, &action);
  AddMessages(&app, &globals, &action);
  AddRepl(&app, &globals, &action);
  AddInfo(&app, &globals, &action);
  AddToken(&app, &globals, &action);
  AddBench(&app, &globals, &action);
  AddEchoServer(&app, &action);

  std::reverse(own.begin(), own.end());  // as CLI11 takes them
  try {
    app.parse(std::move(own));
  } catch (const CLI::CallForHelp&) {
    return Print(app.help(), fds);
  } catch (const CLI::CallForVersion&) {
    return Print(app.version() + "\n", fds);
  } catch (const CLI::ParseError& error) {
    return TellUsage(app, MessageOf(app, error), fds.err);
  }
  if (const std::string unusable = FindUnusable(app, program_args); !unusable.empty()) {
    return TellUsage(app, unusable, fds.err);
  }
  if (!program_args.empty() && !app.got_subcommand("run") && !app.got_subcommand("exec")) {
    Complain(fds.err, "only `cloister run` and `cloister exec` take arguments after --");
    return kExitUsage;
  }
  return action();
}

}  // namespace cloister::cli
