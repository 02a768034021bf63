#include "clients/cli/token_command_line.h"

#include <memory>

#include "clients/cli/commands/token_command.h"

namespace cloister::cli {
namespace {

constexpr char kFooter[] = R"(
Examples:
  cloister token new --tenant team-a                        the token on stdout, its entry on stderr
  cloister token new --tenant team-a --expires-in 720h --add-to /etc/cloister/tokens.textproto > token
  cloister --token-file token info

The server keeps hashes only: a token that is lost is replaced, not found again. It reads its file anew within
seconds of a change; taking an entry out withdraws the token. This command asks no server.)";

}  // namespace

void AddToken(CLI::App* app, const Globals* globals, Action* action) {
  CLI::App* token = app->add_subcommand("token", "Make tokens for a server's file of tokens");
  token->require_subcommand(1);
  CLI::App* command = token->add_subcommand("new", "Make a token, and the entry that lets it in");
  const auto options = std::make_shared<NewTokenOptions>();
  command->add_option("--tenant", options->tenant, "whose calls are made with it")
      ->type_name("NAME")
      ->required();
  command->add_option("--expires-in", options->expires_in, "how long it is good; default: for ever")
      ->type_name("TIME");
  command->add_option("--comment", options->comment, "kept in the entry, for people")
      ->type_name("TEXT");
  command->add_option("--add-to", options->file, "a file of tokens to add the entry to")
      ->type_name("FILE");
  command->footer(kFooter);
  command->callback([=] { *action = [=] { return NewToken(*options, globals->fds); }; });
}

}  // namespace cloister::cli
