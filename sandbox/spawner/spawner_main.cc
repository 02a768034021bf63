// cloister-spawner: the privileged helper process of cloisterd.

#include <fcntl.h>
#include <signal.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "sandbox/base/status_macros.h"
#include "sandbox/base/syscall_status.h"
#include "sandbox/linux/cgroup.h"
#include "sandbox/linux/feature_probe.h"
#include "sandbox/linux/user_namespace.h"
#include "sandbox/spawner/bench_fork_command.h"
#include "sandbox/spawner/keeper.h"
#include "sandbox/spawner/poller.h"
#include "sandbox/spawner/privileges.h"
#include "sandbox/spawner/spawner.h"
#include "sandbox/wire/packet_socket.h"

namespace cloister::sandbox {
namespace {

using internal::v1::Facilities;

struct Machine {
  Facilities facilities;
  std::unique_ptr<CgroupManager> cgroups;  // null where there are none
};

// Finds out what there is, then keeps no more privileges than that needs.
absl::StatusOr<Machine> PrepareMachine(bool wants_cgroups) {
  absl::StatusOr<std::unique_ptr<CgroupManager>> cgroups =
      wants_cgroups ? CgroupManager::Create() : absl::UnavailableError("not asked for");
  Machine machine;
  machine.facilities = ProbeFacilities(cgroups);
  if (cgroups.ok()) machine.cgroups = *std::move(cgroups);
  if (machine.facilities.setting() == Facilities::SETTING_ROOTLESS) {
    CLOISTER_RETURN_IF_ERROR(BecomeRootOfOwnUserNamespace());
  }
  CLOISTER_RETURN_IF_ERROR(DropUnneededPrivileges());
  return machine;
}

// Treats a layer as if the machine did not offer it. GetInfo and the floor see it as missing.
absl::Status SwitchOff(const std::string& layer, Facilities& facilities) {
  for (auto& facility : *facilities.mutable_facilities()) {
    if (facility.name() != layer) continue;
    facility.set_available(false);
    facility.set_detail("switched off by --unsafe_without");
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat("--unsafe_without: no layer '", layer, "'"));
}

absl::Status Serve(int fd, const std::vector<std::string>& unsafe_without) {
  // A terminal's signals go to the whole group. It is cloisterd that decides when to end, and then
  // its socket closes.
  for (int number : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) signal(number, SIG_IGN);
  if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) {
    return SyscallError("--fd must name a packet socket to cloisterd");
  }
  UniqueFd socket(fd);
  RaiseLimits();
  CLOISTER_ASSIGN_OR_RETURN(Machine machine, PrepareMachine(/*wants_cgroups=*/true));
  for (const std::string& layer : unsafe_without) {
    CLOISTER_RETURN_IF_ERROR(SwitchOff(layer, machine.facilities));
  }
  std::string scratch_directory;
  if (machine.facilities.setting() == Facilities::SETTING_CONTAINER) {
    CLOISTER_ASSIGN_OR_RETURN(scratch_directory, MakeScratchDirectory());
  }
  CLOISTER_ASSIGN_OR_RETURN(Keeper keeper,
                            Keeper::Start(machine.cgroups == nullptr ? std::vector<std::string>()
                                                                     : machine.cgroups->Paths(),
                                          std::move(scratch_directory)));
  CLOISTER_ASSIGN_OR_RETURN(Poller poller, Poller::Create());
  Spawner spawner(std::move(poller), std::move(socket), std::move(machine.facilities),
                  std::move(machine.cgroups), keeper);
  return spawner.Run();
}

absl::Status BenchFork(const BenchForkOptions& options) {
  CLOISTER_ASSIGN_OR_RETURN(const Machine machine, PrepareMachine(/*wants_cgroups=*/false));
  return RunBenchFork(machine.facilities, options);
}

int Main(int argc, char** argv) {
  CLI::App app(
      "Makes sandboxes for cloisterd, which starts it. Needs root, or unprivileged user "
      "namespaces.");
  int fd = kSpawnerSocketDescriptor;
  app.add_option("--fd", fd, "descriptor of the packet socket to cloisterd")->capture_default_str();
  std::vector<std::string> unsafe_without;
  app.add_option("--unsafe_without", unsafe_without,
                 "for tests of single layers: leave out seccomp, landlock or capabilities")
      ->check(CLI::IsMember({"seccomp", "landlock", "capabilities"}));
  BenchForkOptions bench;
  CLI::App* bench_fork = app.add_subcommand("bench-fork", kBenchForkHelp);
  bench_fork->add_option("--image", bench.image, "name of the runtime image")->required();
  bench_fork->add_option("--image_root", bench.image_root, "its root directory")->required();
  bench_fork->add_option("--guest", bench.guest_binary, "guest binary built for it")->required();
  bench_fork->add_option("--import", bench.imports, "module to import before forking; repeatable");
  bench_fork->add_option("--count", bench.count, "forks per zygote")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  bench_fork->add_option("--clients", bench.clients, "zygotes in the parallel measurement")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  bool json = true;
  bench_fork->add_flag("--json", json, "accepted for uniformity: the report is always JSON");
  CLI11_PARSE(app, argc, argv);
  const absl::Status status = bench_fork->parsed() ? BenchFork(bench) : Serve(fd, unsafe_without);
  if (status.ok()) return EXIT_SUCCESS;
  fprintf(stderr, "cloister-spawner: %s\n", status.ToString().c_str());
  return EXIT_FAILURE;
}

}  // namespace
}  // namespace cloister::sandbox

int main(int argc, char** argv) { return cloister::sandbox::Main(argc, argv); }
