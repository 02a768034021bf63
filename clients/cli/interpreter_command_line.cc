// `cloister interp`.

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "clients/cli/commands/exit_code.h"
#include "clients/cli/live_command_line.h"

namespace cloister::cli {
namespace {

constexpr char kFooter[] = R"(
Examples:
  s=$(cloister sandbox create)
  a=$(cloister interp create $s --import json)             # chooses the profile
  b=$(cloister interp create $s --id worker --profile isolated --memory 64M)
  cloister exec $a -c 'x = 1' & cloister exec $b -c 'x = 2'; wait
  cloister interp list $s
  cloister interp rm $a $b

Every sandbox has the interpreter `main`, which its own name stands for. Further ones have variables of their
own, and share its files, limits and processes. Executions in one run one after another; those in different
ones at the same time.

Profiles:
  isolated    own GIL: runs in parallel; numpy, pandas and others refuse to load there. Python 3.14 and later
  shared_gil  loads more, runs nothing in parallel with others of its kind. Python 3.14 and later
  process     another process of the sandbox: runs in parallel and loads everything
  auto        isolated where all --import load there, else process)";

void AddCreate(CLI::App* app, const Globals* globals, Action* action) {
  CLI::App* command = app->add_subcommand("create", "Make an interpreter and print its name");
  const auto options = std::make_shared<CreateInterpreterOptions>();
  command->add_option("SANDBOX", options->sandbox, "sandboxes/…, as `sandbox create` prints it")
      ->required();
  command->add_option("--id", options->id, "the last part of its name; default: a random one")
      ->type_name("ID");
  command->add_option("--profile", options->profile, "how it is set apart; default: auto")
      ->type_name("PROFILE")
      ->check(CLI::IsMember({"auto", "isolated", "shared_gil", "process"}));
  command->add_option("--import", options->imports, "a module to import first; repeatable")
      ->type_name("MODULE")
      ->expected(1)
      ->take_all();
  command
      ->add_option("--memory", options->memory,
                   "what it may allocate before MemoryError; with --profile isolated only")
      ->type_name("SIZE");
  command
      ->add_option("-e,--env", options->program.environment,
                   "an environment variable; without a value our own; repeatable")
      ->type_name("NAME[=VALUE]")
      ->expected(1)
      ->take_all();
  command
      ->add_option("--request-id", options->program.request_id,
                   "repeating it under the same id makes one interpreter")
      ->type_name("ID");
  command->add_flag("--json", options->json, "print all about it, as in the proto");
  command->callback([=] {
    *action = [=] {
      return WithServer(*globals, [&](const Server& server) {
        return CreateInterpreter(server, *options, globals->fds);
      });
    };
  });
}

}  // namespace

void AddInterpreter(CLI::App* app, const Globals* globals, Action* action) {
  CLI::App* command =
      app->add_subcommand("interp", "Make, list and end interpreters of a live sandbox");
  command->require_subcommand(1)->fallthrough();
  command->footer(absl::StrCat(kFooter, kCallExitCodeHelp));
  AddCreate(command, globals, action);
  const auto names = std::make_shared<std::vector<std::string>>();
  const auto json = std::make_shared<bool>(false);
  const auto with_server = [=](std::function<int(const Server&)> call) {
    return [=] { *action = [=] { return WithServer(*globals, call); }; };
  };
  const auto add = [&](const char* name, const char* help, bool many = false) {
    CLI::App* added = command->add_subcommand(name, help);
    auto* option = added->add_option("NAME", *names, "sandboxes/…/interpreters/…")->required();
    if (!many) option->expected(1);
    return added;
  };
  CLI::App* list = command->add_subcommand("list", "Show a sandbox's interpreters, main first");
  list->add_option("SANDBOX", *names, "sandboxes/…")->required()->expected(1);
  list->add_flag("--json", *json, "as in the proto");
  list->callback(with_server([=](const Server& server) {
    return ListInterpreters(server, names->front(), *json, globals->fds);
  }));
  CLI::App* show = add("show", "Show one interpreter");
  show->add_flag("--json", *json, "as in the proto");
  show->callback(with_server([=](const Server& server) {
    return ShowInterpreter(server, names->front(), *json, globals->fds);
  }));
  add("restart", "Give an interpreter a new start; its variables are gone")
      ->callback(with_server([=](const Server& server) {
        return RestartInterpreter(server, names->front(), globals->fds);
      }));
  add("rm", "End interpreters", /*many=*/true)->callback(with_server([=](const Server& server) {
    return RemoveInterpreters(server, *names, globals->fds);
  }));
  for (CLI::App* each : command->get_subcommands([](const CLI::App*) { return true; })) {
    each->footer("\nExamples and exit codes: `cloister interp --help`");
  }
}

}  // namespace cloister::cli
