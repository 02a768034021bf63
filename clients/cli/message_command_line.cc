#include "clients/cli/message_command_line.h"

#include <csignal>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "clients/cli/commands/exit_code.h"
#include "clients/cli/commands/message_commands.h"
#include "clients/cli/commands/signal_watcher.h"

namespace cloister::cli {
namespace {

constexpr char kPostFooter[] = R"(
Examples:
  cloister post $s '{"job": 1}'
  jq -c .next jobs.json | cloister post $s -
  cloister post $s/interpreters/worker '"stop"'

Code in the sandbox finds it in `cloister.inbox`, whether or not any runs there now.)";

constexpr char kConnectFooter[] = R"(
Examples:
  cloister connect $s                                  messages of $s as lines, and lines to it as messages
  jq -c '.[]' jobs.json | cloister connect $s --count 3
  cloister connect $s --offer 'now=date +\"%s\"' --offer 'add=jq ".arguments | add"'

What code in the sandbox sends with `cloister.post(value)` is printed as a line of JSON; what JSON does not have, as
{"python": "..."}. Each line of standard input, JSON as well, is sent to its `cloister.inbox`. A call of
`cloister.host.NAME(...)` runs COMMAND in a shell, with {"arguments": [...], "keyword_arguments": {...}} on its standard
input; its output, JSON or nothing, is what the call returns. Where it fails the call raises what it said on stderr. One
client at a time. It ends with Ctrl-C, or with the interpreter.)";

}  // namespace

void AddMessages(CLI::App* app, const Globals* globals, Action* action) {
  CLI::App* post = app->add_subcommand("post", "Send a message to a live sandbox");
  const auto sandbox = std::make_shared<std::string>();
  const auto value = std::make_shared<std::string>();
  post->add_option("SANDBOX", *sandbox, "sandboxes/…, or an interpreter of one")->required();
  post->add_option("VALUE", *value, "JSON, or - for standard input")->required();
  post->footer(absl::StrCat(kPostFooter, "\n", kCallExitCodeHelp));
  post->callback([=] {
    *action = [=] {
      BlockSignal(SIGINT);
      return WithServer(*globals, [&](const Server& server) {
        return PostMessage(server, *sandbox, *value, globals->fds);
      });
    };
  });

  CLI::App* connect =
      app->add_subcommand("connect", "Exchange messages with a live sandbox, and answer its calls");
  const auto options = std::make_shared<ConnectOptions>();
  connect->add_option("SANDBOX", options->sandbox, "sandboxes/…, or an interpreter of one")
      ->required();
  connect
      ->add_option("--offer", options->offers, "what its code may call as cloister.host.NAME(...)")
      ->type_name("NAME=COMMAND")
      ->allow_extra_args(false);
  connect->add_option("--timeout", options->timeout, "how long one call may take; default: 1m")
      ->type_name("TIME");
  connect->add_option("--concurrency", options->concurrency, "calls at a time; default: 16")
      ->type_name("N");
  connect->add_option("--count", options->count, "end after so many messages")->type_name("N");
  connect->add_flag("-q,--quiet", options->quiet, "say nothing on stderr but errors");
  connect->footer(absl::StrCat(kConnectFooter, "\n", kCallExitCodeHelp));
  connect->callback([=] {
    *action = [=] {
      BlockSignal(SIGINT);
      return WithServer(*globals, [&](const Server& server) {
        return ConnectMessages(server, *options, globals->fds);
      });
    };
  });
}

}  // namespace cloister::cli
