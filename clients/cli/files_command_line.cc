#include "clients/cli/files_command_line.h"

#include <functional>
#include <memory>

#include "clients/cli/commands/files_commands.h"

namespace cloister::cli {
namespace {

constexpr char kFooter[] = R"(
Examples:
  cloister files put $s data.csv in/data.csv
  cloister files put $s project/ -r                 a directory, as project
  tar c . | cloister files put $s - all.tar
  cloister files get $s plot.png
  cloister files get $s result.json - | jq .
  cloister files get $s out results -r
  cloister files ls $s in
  cloister files rm $s in -r
  cloister files get $s . backup -r                 all of it

Paths in the sandbox are relative to /workspace, which is `.`. A file is there whole or not at all, on either side. Links in
the sandbox, and in directories that are put, are neither followed nor copied. A LOCAL that is a link is
followed, as cp does; devices and FIFOs are written to. All of it works while code runs there.

Exit codes: 0; 2 bad usage, a path that is missing or refused, or a sandbox that is not there or was lost; 69 the
server is not there, or the sandbox is full; 70 the server failed; 74 a local file or standard output could not be
read or written, or something was left out: links, pipes, names that are not UTF-8.)";

using Call = std::function<int(const Server&)>;

}  // namespace

void AddFiles(CLI::App* app, const Globals* globals, Action* action) {
  CLI::App* command =
      app->add_subcommand("files", "Put files into a live sandbox and get them out");
  command->require_subcommand(1)->fallthrough();
  command->footer(kFooter);
  const auto with_server = [=](Call call) {
    return [=] { *action = [=] { return WithServer(*globals, call); }; };
  };
  const auto add = [=](const char* name, const char* help, std::string* sandbox) {
    CLI::App* added = command->add_subcommand(name, help);
    added->add_option("SANDBOX", *sandbox, "sandboxes/…")->required();
    added->footer("\nExamples and exit codes: `cloister files --help`");
    return added;
  };

  const auto put = std::make_shared<PutOptions>();
  CLI::App* put_command = add("put", "Copy a file into the sandbox", &put->sandbox);
  put_command->add_option("LOCAL", put->local, "a file, or - for standard input")->required();
  put_command->add_option("REMOTE", put->remote,
                          "its name there, or a directory/ for it; default: its own name");
  put_command->add_flag("-r,--recursive", put->recursive, "LOCAL may be a directory");
  put_command->add_flag("-n,--no-clobber", put->no_clobber, "replace no file");
  put_command->callback(
      with_server([=](const Server& server) { return PutFiles(server, *put, globals->fds); }));

  const auto get = std::make_shared<GetOptions>();
  CLI::App* get_command = add("get", "Copy a file out of the sandbox", &get->sandbox);
  get_command->add_option("REMOTE", get->remote, "a file below /workspace")->required();
  get_command->add_option("LOCAL", get->local,
                          "its name here, a directory for it, or - for standard output");
  get_command->add_flag("-r,--recursive", get->recursive, "REMOTE is a directory");
  get_command->callback(
      with_server([=](const Server& server) { return GetFiles(server, *get, globals->fds); }));

  const auto list = std::make_shared<ListFilesOptions>();
  CLI::App* list_command = add("ls", "Show what a directory holds", &list->sandbox);
  list_command->add_option("PATH", list->path, "default: all of /workspace");
  list_command->add_flag("-r,--recursive", list->recursive, "and what its directories hold");
  list_command->add_flag("--json", list->json, "as in the proto");
  list_command->callback(
      with_server([=](const Server& server) { return ListFiles(server, *list, globals->fds); }));

  const auto remove = std::make_shared<RemoveFilesOptions>();
  CLI::App* remove_command = add("rm", "Remove files", &remove->sandbox);
  remove_command->add_option("PATH", remove->paths, "files, links or empty directories")
      ->required();
  remove_command->add_flag("-r,--recursive", remove->recursive, "directories with all they hold");
  remove_command->add_flag("-f,--force", remove->force, "what is missing is no error");
  remove_command->callback(with_server(
      [=](const Server& server) { return RemoveFiles(server, *remove, globals->fds); }));

  const auto make = std::make_shared<RemoveFilesOptions>();
  CLI::App* make_command = add("mkdir", "Make directories, and those above them", &make->sandbox);
  make_command->add_option("PATH", make->paths, "below /workspace")->required();
  make_command->callback(with_server([=](const Server& server) {
    return MakeDirectories(server, make->sandbox, make->paths, globals->fds);
  }));
}

}  // namespace cloister::cli
