// cloisterd: serves untrusted Python programs over gRPC.
//
// The order of the start is what keeps it safe: everything that needs root, then the spawner, which
// keeps it, then giving it up for good, and only then the first thread and the first byte from
// outside.

#include <cstdio>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "sandbox/base/status_macros.h"
#include "sandbox/host/spawner_process.h"
#include "service/observability/logging.h"
#include "service/server/config.h"
#include "service/server/exit_events.h"
#include "service/server/flags.h"
#include "service/server/image_catalog.h"
#include "service/server/listen_address.h"
#include "service/server/server.h"
#include "service/server/service_user.h"
#include "service/server/unix_listener.h"

namespace cloister::server {
namespace {

using internal::v1::ServerConfig;

constexpr int kFailed = 1;
constexpr int kBadUsage = 2;

int Fail(const absl::Status& status, int exit_code) {
  fprintf(stderr, "cloisterd: %s\n", std::string(status.message()).c_str());
  return exit_code;
}

absl::StatusOr<ServerConfig> MakeConfig(const Flags& flags) {
  ServerConfig config;
  if (!flags.config.empty()) {
    CLOISTER_ASSIGN_OR_RETURN(config, LoadConfig(flags.config));
  }
  ApplyFlags(flags, &config);
  FillDefaults(&config);
  CLOISTER_RETURN_IF_ERROR(ValidateConfig(config));
  return config;
}

absl::StatusOr<UnixListeners> BindUnixSockets(const ServerConfig& config, const ServiceUser& user) {
  UnixListeners listeners;
  for (const std::string& text : config.listen()) {
    CLOISTER_ASSIGN_OR_RETURN(const ListenAddress address, ParseListenAddress(text));
    if (!address.is_unix()) continue;
    CLOISTER_ASSIGN_OR_RETURN(auto listener, UnixListener::Bind(address.path, user));
    listeners.push_back(std::move(listener));
  }
  return listeners;
}

// Beside this program.
std::string SpawnerBinary() {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  return (self.parent_path() / "cloister-spawner").string();
}

// Until a signal and a drain, or until something fails.
int WaitForEnd(Server* server, ExitEvents* exit_events, observability::Log* log) {
  bool draining = false;
  for (;;) {
    switch (exit_events->Wait()) {
      case ExitEvent::kSignal:
        if (draining) {
          log->Warn("stopping at once, as told twice");
          return kFailed;
        }
        draining = true;
        server->Drain();
        break;
      case ExitEvent::kReload:
        server->Reload();
        break;
      case ExitEvent::kDrained:
        log->Info("drained");
        return 0;
      case ExitEvent::kSpawnerLost:
        log->Error("stopping: without the spawner nothing can be run");
        return kFailed;
    }
  }
}

int Run(const ServerConfig& config) {
  observability::Log log(*observability::ParseSeverity(config.log_level()),
                         *observability::ParseLogFormat(config.log_format()));
  auto images = LoadImages(config);
  if (!images.ok()) return Fail(images.status(), kFailed);
  const auto user = FindServiceUser(config.service_user());
  if (!user.ok()) return Fail(user.status(), kBadUsage);
  RaiseDescriptorLimit();
  auto listeners = BindUnixSockets(config, *user);
  if (!listeners.ok()) return Fail(listeners.status(), kFailed);
  auto spawner = sandbox::SpawnerProcess::Start(SpawnerBinary(), {});
  if (!spawner.ok()) return Fail(spawner.status(), kFailed);
  if (auto status = DropPrivileges(*user); !status.ok()) return Fail(status, kFailed);
  auto exit_events = ExitEvents::Create();
  if (!exit_events.ok()) return Fail(exit_events.status(), kFailed);

  Server server(config, *std::move(images), &log, &*exit_events);
  if (auto status = server.Start(spawner->TakeSocket(), *std::move(listeners)); !status.ok()) {
    return Fail(status, kFailed);
  }
  return WaitForEnd(&server, &*exit_events, &log);
}

int Main(int argc, char** argv) {
  int exit_code = 0;
  const auto flags = ParseFlags(argc, argv, &exit_code);
  if (!flags.has_value()) return exit_code;
  const auto config = MakeConfig(*flags);
  if (!config.ok()) return Fail(config.status(), kBadUsage);
  if (flags->check_config) {
    if (auto images = LoadImages(*config); !images.ok()) return Fail(images.status(), kBadUsage);
    printf("cloisterd: the configuration is valid\n");
    return 0;
  }
  return Run(*config);
}

}  // namespace
}  // namespace cloister::server

int main(int argc, char** argv) {
  // A debugging aid that distributions' builds of Abseil switch on: each lock of gRPC's would pay for it.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  return cloister::server::Main(argc, argv);
}
