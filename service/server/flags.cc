#include "service/server/flags.h"

#include <CLI/CLI.hpp>

#include "absl/strings/str_cat.h"
#include "service/server/info.h"

namespace cloister::server {
namespace {

constexpr char kDescription[] =
    "Runs untrusted Python in sandboxed interpreters and serves them over gRPC.\n"
    "\n"
    "Without flags it serves the image python3.14 on unix:/run/cloister/cloister.sock. Started as\n"
    "root it sets up every layer of isolation, keeps that power in a helper that runs no guest "
    "code,\n"
    "and itself becomes an ordinary user (service_user). Started as an ordinary user it uses user\n"
    "namespaces. Unix sockets have mode 0660, for root and the service user's group. Addresses that\n"
    "other machines reach are served with `authentication` only. Metrics may be served anywhere.";

constexpr char kFooter[] =
    "Signals: SIGTERM and SIGINT stop after running programs have ended (drain_timeout at most);\n"
    "a second one stops at once. SIGHUP reads the file of tokens again and opens the file of "
    "audit\n"
    "lines anew.\n"
    "Exit status: 0 after a stop, 1 where something failed (a lost spawner included), 2 for bad "
    "usage\n"
    "or configuration.\n"
    "\n"
    "Examples:\n"
    "  cloisterd --listen unix:/tmp/cloister.sock --metrics_listen 127.0.0.1:9464\n"
    "  cloisterd --config deploy/config/cloisterd.textproto --check_config";

}  // namespace

std::optional<Flags> ParseFlags(int argc, char** argv, int* exit_code) {
  Flags flags;
  CLI::App app(kDescription, "cloisterd");
  app.footer(kFooter);
  app.add_option("--config", flags.config,
                 "configuration, a text proto; deploy/config has an annotated example")
      ->type_name("FILE");
  app.add_option("--listen", flags.listen,
                 "address to serve, unix:/path or host:port; repeatable; replaces the "
                 "configuration's")
      ->type_name("ADDR")
      ->allow_extra_args(false);
  app.add_option("--metrics_listen", flags.metrics_listen, "address of Prometheus metrics")
      ->type_name("HOST:PORT");
  app.add_option("--image_directory", flags.image_directory,
                 "where runtime images are (default: /var/lib/cloister/images)")
      ->type_name("DIR");
  app.add_option("--guest_directory", flags.guest_directory,
                 "where guest binaries are (default: ../lib/cloister beside this program)")
      ->type_name("DIR");
  app.add_option("--log_level", flags.log_level, "debug, info, warn or error (default: info)")
      ->type_name("LEVEL");
  app.add_flag("--check_config", flags.check_config,
               "say whether configuration and flags are valid and the images they name are here, "
               "and exit");
  const std::string revision = Revision();
  app.set_version_flag("--version",
                       absl::StrCat("cloisterd ", Version(), revision.empty() ? "" : " (", revision,
                                    revision.empty() ? "" : ")"));
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    *exit_code = app.exit(error) == 0 ? 0 : 2;
    return std::nullopt;
  }
  return flags;
}

void ApplyFlags(const Flags& flags, internal::v1::ServerConfig* config) {
  if (!flags.listen.empty()) *config->mutable_listen() = {flags.listen.begin(), flags.listen.end()};
  if (!flags.metrics_listen.empty()) config->set_metrics_listen(flags.metrics_listen);
  if (!flags.image_directory.empty()) config->set_image_directory(flags.image_directory);
  if (!flags.guest_directory.empty()) config->set_guest_directory(flags.guest_directory);
  if (!flags.log_level.empty()) config->set_log_level(flags.log_level);
}

}  // namespace cloister::server
