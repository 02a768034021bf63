// Single layers: each probe that names a layer in `# alone:` is run in a sandbox that has only that
// one, without the service above it. It must not get through; how it ends does not matter here.
//
//   seccomp      without Landlock; root of its user namespace, with every capability there
//   namespaces   user, pid, mount, ipc, uts, net namespaces and no capabilities; no Landlock, no
//   seccomp

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "sandbox/host/asio_loop.h"
#include "sandbox/host/spawner_client.h"
#include "sandbox/host/spawner_process.h"
#include "tests/integration/probe.h"
#include "tests/integration/server_process.h"

namespace cloister::testing {
namespace {

using sandbox::AsioLoop;
using sandbox::ExecutionEnd;
using sandbox::Limits;
using sandbox::OutputStream;
using sandbox::SpawnerClient;
using sandbox::SpawnerProcess;

// Collects what an execution wrote and how it ended.
class Recorder final : public sandbox::ExecutionObserver {
 public:
  explicit Recorder(AsioLoop* loop) : loop_(loop) {}

  void OnOutput(OutputStream, std::string_view bytes) override { output_.append(bytes); }

  void OnFinished(ExecutionEnd end) override {
    outcome_ = std::move(end.outcome);
    loop_->Stop();
  }

  const std::string& output() const { return output_; }
  const std::optional<v1::Outcome>& outcome() const { return outcome_; }

 private:
  AsioLoop* const loop_;
  std::string output_;
  std::optional<v1::Outcome> outcome_;
};

// A spawner whose sandboxes lack layers, and one zygote.
class BareSpawner {
 public:
  explicit BareSpawner(const std::vector<std::string>& without) {
    std::vector<std::string> arguments;
    for (const std::string& layer : without) arguments.push_back("--unsafe_without=" + layer);
    auto process = SpawnerProcess::Start(CLOISTER_SPAWNER_BINARY, arguments);
    EXPECT_TRUE(process.ok()) << process.status();
    process_.emplace(*std::move(process));
    auto client = SpawnerClient::Connect(&loop_, process_->TakeSocket(), absl::Seconds(10));
    EXPECT_TRUE(client.ok()) << client.status();
    client_ = *std::move(client);

    internal::v1::ZygoteSpec spec;
    spec.set_template_name("probe");
    spec.set_image_root(absl::StrCat(CLOISTER_IMAGES, "/python3.14/rootfs"));
    spec.set_guest_binary(CLOISTER_GUEST_BINARY);
    spec.mutable_default_limits()->set_memory_bytes(int64_t{256} << 20);
    spec.mutable_default_limits()->set_process_count(64);
    spec.set_default_workspace_bytes(int64_t{64} << 20);
    client_->StartZygote(spec, [this](absl::StatusOr<sandbox::ZygoteInfo> info) {
      EXPECT_TRUE(info.ok()) << info.status();
      if (info.ok()) zygote_id_ = info->zygote_id;
      loop_.Stop();
    });
    loop_.Run();
  }

  // Runs a probe to its end and returns its output and how it ended.
  std::pair<std::string, std::string> Run(const Probe& probe) {
    std::unique_ptr<sandbox::Sandbox> sandbox;
    Recorder recorder(&loop_);
    client_->CreateSandbox(zygote_id_, [&](absl::StatusOr<std::unique_ptr<sandbox::Sandbox>> made) {
      EXPECT_TRUE(made.ok()) << made.status();
      if (!made.ok()) return loop_.Stop();
      sandbox = *std::move(made);
      v1::Program program;
      program.set_code(probe.code);
      Limits limits;
      limits.wall_time = absl::Seconds(20);
      sandbox->Run(std::move(program), limits, &recorder);
    });
    loop_.Run();
    return {recorder.output(), recorder.outcome() ? Describe(*recorder.outcome()) : "no sandbox"};
  }

 private:
  std::optional<SpawnerProcess> process_;
  AsioLoop loop_;
  std::unique_ptr<SpawnerClient> client_;
  int64_t zygote_id_ = 0;
};

void RunAlone(const std::string& layer, const std::vector<std::string>& without) {
  BareSpawner spawner(without);
  int count = 0;
  for (const Probe& probe : LoadProbes(CLOISTER_PROBES)) {
    if (!absl::c_linear_search(probe.alone, layer)) continue;
    SCOPED_TRACE(probe.name);
    const auto [output, end] = spawner.Run(probe);
    EXPECT_FALSE(absl::StrContains(output, "ESCAPED")) << output;
    EXPECT_NE(end, "no sandbox");
    ++count;
  }
  EXPECT_GE(count, 15);
}

TEST(LayerTest, SeccompHoldsAlone) { RunAlone("seccomp", {"landlock", "capabilities"}); }

TEST(LayerTest, NamespacesHoldAlone) { RunAlone("namespaces", {"landlock", "seccomp"}); }

TEST(LayerTest, AProbeGetsThroughWhereItsLayersAreMissing) {
  // The tests above can fail: without seccomp and with capabilities, a mount succeeds.
  BareSpawner spawner({"landlock", "seccomp", "capabilities"});
  for (const Probe& probe : LoadProbes(CLOISTER_PROBES)) {
    if (probe.name != "mount_tmpfs") continue;
    EXPECT_TRUE(absl::StrContains(spawner.Run(probe).first, "ESCAPED"));
  }
}

}  // namespace
}  // namespace cloister::testing
