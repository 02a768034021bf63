// A sandbox that is ready, with the test at the other end of everything.

#ifndef CLOISTER_TESTS_UNIT_SANDBOX_HOST_HOST_SANDBOX_FIXTURE_H_
#define CLOISTER_TESTS_UNIT_SANDBOX_HOST_HOST_SANDBOX_FIXTURE_H_

#include <memory>
#include <string>
#include <utility>

#include "gtest/gtest.h"
#include "sandbox/host/spawner_client.h"
#include "tests/unit/sandbox_host/fake_spawner.h"

namespace cloister::sandbox {

class HostSandboxTest : public ::testing::Test {
 protected:
  void SetUp() override { MakeSandbox(/*with_cgroup=*/true); }

  void TearDown() override {
    sandbox_.reset();
    client_.reset();
  }

  void MakeSandbox(bool with_cgroup, FakeGuest::Work work = FakeGuest::Work::kNone) {
    sandbox_.reset();
    spawner_ = std::make_unique<FakeSpawner>();
    client_ = *SpawnerClient::Connect(&loop_, spawner_->TakeSocket(), absl::Seconds(10));
    internal::v1::ZygoteSpec spec;
    spec.mutable_default_limits()->set_memory_bytes(limits_.memory_bytes);
    spec.mutable_default_limits()->set_process_count(limits_.process_count);
    spec.set_default_workspace_bytes(limits_.workspace_bytes);
    bool started = false;
    const int64_t zygote = client_->StartZygote(spec, [&](auto) { started = true; });
    (void)spawner_->Next();
    internal::v1::SpawnerEvent event;
    event.mutable_zygote_started()->set_zygote_id(zygote);
    spawner_->Say(event);
    RunUntil(&loop_, [&] { return started; });

    client_->CreateSandbox(zygote, [&](auto made) {
      ASSERT_TRUE(made.ok()) << made.status();
      sandbox_ = *std::move(made);
    });
    guest_ = std::make_unique<FakeGuest>(spawner_->Next().create_sandbox().sandbox_id(), work);
    spawner_->SayCreated(guest_.get(), with_cgroup);
    guest_->SayReady();
    RunUntil(&loop_, [&] { return sandbox_ != nullptr; });
  }

  void Run(v1::Program program = {}) { sandbox_->Run(std::move(program), limits_, &observer_); }
  // Hands the program over and has the guest read it.
  void Start() {
    Run();
    (void)guest_->ReadProgram();
  }
  bool RunUntilFinished() {
    return RunUntil(&loop_, [this] { return observer_.finished(); });
  }
  // Lets everything happen that is due.
  void Settle() {
    int turns = 0;
    RunUntil(&loop_, [&] { return ++turns > 5; });
  }
  v1::Outcome::Kind kind() const { return observer_.outcome().kind(); }
  const std::string& detail() const { return observer_.outcome().detail(); }
  void ExpectKill() {
    EXPECT_EQ(spawner_->Next().kill_sandbox().sandbox_id(), guest_->sandbox_id());
    EXPECT_TRUE(spawner_->Silent());
  }

  Limits limits_;
  AsioLoop loop_;
  std::unique_ptr<FakeSpawner> spawner_;
  std::unique_ptr<FakeGuest> guest_;
  RecordingObserver observer_;
  std::unique_ptr<SpawnerClient> client_;
  std::unique_ptr<Sandbox> sandbox_;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_TESTS_UNIT_SANDBOX_HOST_HOST_SANDBOX_FIXTURE_H_
