#include "sandbox/spawner/bench_fork_command.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"
#include "sandbox/base/status_macros.h"
#include "sandbox/linux/clone.h"
#include "sandbox/spawner/launch.h"
#include "sandbox/wire/packet_socket.h"

namespace cloister::sandbox {
namespace {

using internal::v1::BenchForkResult;
using internal::v1::Facilities;
using internal::v1::ZygoteEvent;
using internal::v1::ZygoteRequest;

// A guest binary in benchmark mode; ends with this object.
class BenchZygote {
 public:
  explicit BenchZygote(Nursery nursery) : nursery_(std::move(nursery)) {}
  BenchZygote(BenchZygote&&) = default;
  ~BenchZygote() {
    if (!nursery_.pidfd) return;
    (void)SignalPidfd(nursery_.pidfd.get(), SIGKILL);
    (void)ReapPidfd(nursery_.pidfd.get());
  }

  static absl::StatusOr<BenchZygote> WarmUp(const Facilities& facilities,
                                            const BenchForkOptions& options) {
    internal::v1::ZygoteSpec spec;
    spec.set_template_name(options.image);
    spec.set_image_root(options.image_root);
    spec.set_guest_binary(options.guest_binary);
    for (const std::string& name : options.imports) spec.add_warm_up_imports(name);
    CLOISTER_ASSIGN_OR_RETURN(
        Nursery nursery,
        LaunchGuest(facilities, spec,
                    {.arguments = {absl::StrCat("--bench_fork=", options.count)}}));
    BenchZygote zygote(std::move(nursery));
    ZygoteEvent event;
    CLOISTER_RETURN_IF_ERROR(ReceivePacket(zygote.nursery_.control.get(), &event, nullptr));
    if (event.has_ready()) return zygote;
    return absl::FailedPreconditionError(
        absl::StrCat(event.broken().stage(), ": ", event.broken().message()));
  }

  absl::Status Start() {
    ZygoteRequest shot;
    shot.mutable_retire();
    return SendPacket(nursery_.control.get(), shot);
  }

  absl::StatusOr<BenchForkResult> Wait() {
    BenchForkResult result;
    CLOISTER_RETURN_IF_ERROR(ReceivePacket(nursery_.control.get(), &result, nullptr));
    return result;
  }

 private:
  Nursery nursery_;
};

// Forks with `clients` zygotes at once. The rate is the sum over the time of the slowest; the
// percentiles are the worst of any zygote's.
absl::StatusOr<nlohmann::json> Measure(const Facilities& facilities,
                                       const BenchForkOptions& options, int clients) {
  std::vector<BenchZygote> zygotes;
  for (int i = 0; i < clients; ++i) {
    CLOISTER_ASSIGN_OR_RETURN(BenchZygote zygote, BenchZygote::WarmUp(facilities, options));
    zygotes.push_back(std::move(zygote));
  }
  for (BenchZygote& zygote : zygotes) CLOISTER_RETURN_IF_ERROR(zygote.Start());
  int64_t forks = 0;
  int64_t elapsed = 1;
  int64_t p50 = 0;
  int64_t p99 = 0;
  for (BenchZygote& zygote : zygotes) {
    CLOISTER_ASSIGN_OR_RETURN(const BenchForkResult result, zygote.Wait());
    forks += result.count();
    elapsed = std::max(elapsed, result.elapsed_nanoseconds());
    p50 = std::max(p50, result.p50_nanoseconds());
    p99 = std::max(p99, result.p99_nanoseconds());
  }
  return nlohmann::json{
      {"zygotes", clients},
      {"forks_per_second", static_cast<double>(forks) * 1e9 / static_cast<double>(elapsed)},
      {"p50_us", static_cast<double>(p50) / 1e3},
      {"p99_us", static_cast<double>(p99) / 1e3}};
}

}  // namespace

absl::Status RunBenchFork(const Facilities& facilities, const BenchForkOptions& options) {
  nlohmann::json report = {{"image", options.image}, {"count", options.count}};
  CLOISTER_ASSIGN_OR_RETURN(report["serial"], Measure(facilities, options, 1));
  CLOISTER_ASSIGN_OR_RETURN(report["parallel"], Measure(facilities, options, options.clients));
  printf("%s\n", report.dump(2).c_str());
  return absl::OkStatus();
}

}  // namespace cloister::sandbox
