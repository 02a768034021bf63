#include "sandbox/host/spawner_client.h"

#include <signal.h>
#include <stdlib.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/sandbox_host/fake_spawner.h"

namespace cloister::sandbox {
namespace {

using internal::v1::SpawnerEvent;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Writes down what happens outside executions, as lines.
class Journal : public SandboxFactoryObserver {
 public:
  void OnZygoteExited(int64_t zygote_id, const std::string& reason) override {
    lines.push_back(absl::StrCat("zygote ", zygote_id, " exited: ", reason));
  }
  void OnIdleSandboxLost(int64_t sandbox_id) override {
    lines.push_back(absl::StrCat("idle ", sandbox_id, " lost"));
    if (on_idle_lost) on_idle_lost();
  }
  void OnSandboxGone(const SandboxExit& exit) override {
    lines.push_back(absl::StrCat("gone ", exit.sandbox_id, " peak ", exit.peak_memory_bytes));
  }
  void OnSpawnerLost(const std::string&) override { lines.push_back("spawner lost"); }

  std::vector<std::string> lines;
  std::function<void()> on_idle_lost;
};

class SpawnerClientTest : public ::testing::Test {
 protected:
  SpawnerClientTest()
      : client_(*SpawnerClient::Connect(&loop_, spawner_.TakeSocket(), absl::Seconds(10))) {
    client_->SetObserver(&journal_);
  }

  // Notes the result; sandboxes are kept.
  SandboxFactory::SandboxCallback Note(absl::Status* status) {
    return [this, status](absl::StatusOr<std::unique_ptr<Sandbox>> made) {
      *status = made.status();
      if (made.ok()) sandboxes_[(*made)->id()] = *std::move(made);
      ++answers_;
    };
  }

  int64_t StartZygote() {
    bool started = false;
    const int64_t id = client_->StartZygote({}, [&](absl::StatusOr<ZygoteInfo> info) {
      EXPECT_TRUE(info.ok());
      started = true;
    });
    EXPECT_EQ(spawner_.Next().start_zygote().zygote_id(), id);
    SpawnerEvent event;
    event.mutable_zygote_started()->set_zygote_id(id);
    spawner_.Say(event);
    RunUntil(&loop_, [&] { return started; });
    return id;
  }

  int64_t RequestSandbox(int64_t zygote, absl::Status* status) {
    client_->CreateSandbox(zygote, Note(status));
    return spawner_.Next().create_sandbox().sandbox_id();
  }

  // An idle one, with its far end.
  std::unique_ptr<FakeGuest> MakeSandbox(int64_t zygote) {
    absl::Status status = absl::UnknownError("no answer");
    const int before = answers_;
    auto guest = std::make_unique<FakeGuest>(RequestSandbox(zygote, &status));
    spawner_.SayCreated(guest.get());
    guest->SayReady();
    RunUntil(&loop_, [&] { return answers_ > before; });
    EXPECT_TRUE(status.ok()) << status;
    return guest;
  }

  void RunUntilAnswers(int count) {
    RunUntil(&loop_, [this, count] { return answers_ == count; });
  }
  void RunUntilLines(size_t count) {
    RunUntil(&loop_, [this, count] { return journal_.lines.size() >= count; });
  }

  AsioLoop loop_;
  FakeSpawner spawner_;
  Journal journal_;
  std::unique_ptr<SpawnerClient> client_;
  std::map<int64_t, std::unique_ptr<Sandbox>> sandboxes_;
  int answers_ = 0;
};

TEST_F(SpawnerClientTest, KnowsWhatTheMachineOffers) {
  EXPECT_EQ(client_->facilities().setting(), internal::v1::Facilities::SETTING_ROOT);
}

TEST_F(SpawnerClientTest, ZygotesStartWithWhatTheyToldOfThemselves) {
  internal::v1::ZygoteSpec spec;
  spec.set_template_name("python3.14");
  absl::StatusOr<ZygoteInfo> result = absl::UnknownError("no answer");
  const int64_t id = client_->StartZygote(spec, [&](auto info) { result = std::move(info); });
  EXPECT_EQ(spawner_.Next().start_zygote().spec().template_name(), "python3.14");
  SpawnerEvent event;
  event.mutable_zygote_started()->set_zygote_id(id);
  event.mutable_zygote_started()->set_python_version("3.14.8");
  event.mutable_zygote_started()->set_warm_up_nanoseconds(5'000'000);
  spawner_.Say(event);
  RunUntil(&loop_, [&] { return result.ok(); });
  EXPECT_EQ(result->zygote_id, id);
  EXPECT_EQ(result->python_version, "3.14.8");
  EXPECT_EQ(result->warm_up, absl::Milliseconds(5));
}

TEST_F(SpawnerClientTest, AZygoteThatFailsSaysWhy) {
  absl::StatusOr<ZygoteInfo> result = absl::UnknownError("no answer");
  const int64_t id = client_->StartZygote({}, [&](auto info) { result = std::move(info); });
  (void)spawner_.Next();
  SpawnerEvent event;
  event.mutable_zygote_failed()->set_zygote_id(id);
  event.mutable_zygote_failed()->set_message("no module named nothing");
  spawner_.Say(event);
  RunUntil(&loop_, [&] { return !absl::IsUnknown(result.status()); });
  EXPECT_TRUE(absl::IsFailedPrecondition(result.status()));
  EXPECT_THAT(result.status().message(), HasSubstr("nothing"));
}

TEST_F(SpawnerClientTest, AZygoteThatIsNotThereIsNotFoundAndNotInline) {
  absl::Status status;
  client_->CreateSandbox(4711, Note(&status));
  EXPECT_EQ(answers_, 0);
  RunUntilAnswers(1);
  EXPECT_TRUE(absl::IsNotFound(status));
  EXPECT_TRUE(spawner_.Silent());
}

TEST_F(SpawnerClientTest, AnswersFindTheirRequestsInWhateverOrderTheyCome) {
  const int64_t zygote = StartZygote();
  absl::Status first, second;
  FakeGuest one(RequestSandbox(zygote, &first));
  FakeGuest two(RequestSandbox(zygote, &second));
  spawner_.SayCreated(&two);
  spawner_.SayCreated(&one);
  two.SayReady();
  RunUntilAnswers(1);
  EXPECT_TRUE(sandboxes_.contains(two.sandbox_id()));
  one.SayReady();
  RunUntilAnswers(2);
  EXPECT_TRUE(sandboxes_.contains(one.sandbox_id()));
}

TEST_F(SpawnerClientTest, ACloneThatFailsSaysWhichStep) {
  absl::Status status;
  SpawnerEvent event;
  event.mutable_sandbox_failed()->set_sandbox_id(RequestSandbox(StartZygote(), &status));
  event.mutable_sandbox_failed()->set_message("clone3");
  spawner_.Say(event);
  RunUntilAnswers(1);
  EXPECT_TRUE(absl::IsInternal(status));
  EXPECT_THAT(status.message(), HasSubstr("clone3"));
}

TEST_F(SpawnerClientTest, ACloneThatFailsSaysWhatItLiesIn) {
  const int64_t zygote = StartZygote();
  for (const auto& [cause, code] :
       {std::pair(internal::v1::FAILURE_CAUSE_REFUSED, absl::StatusCode::kFailedPrecondition),
        std::pair(internal::v1::FAILURE_CAUSE_UNSUPPORTED, absl::StatusCode::kUnimplemented)}) {
    absl::Status status;
    SpawnerEvent event;
    event.mutable_sandbox_failed()->set_sandbox_id(RequestSandbox(zygote, &status));
    event.mutable_sandbox_failed()->set_message("why");
    event.mutable_sandbox_failed()->set_cause(cause);
    spawner_.Say(event);
    RunUntil(&loop_, [&] { return !status.ok(); });
    EXPECT_EQ(status.code(), code);
    EXPECT_THAT(status.message(), HasSubstr("why"));
  }
}

TEST_F(SpawnerClientTest, AConfinementThatFailsSaysWhichStepAndIsKilled) {
  absl::Status status;
  FakeGuest guest(RequestSandbox(StartZygote(), &status));
  spawner_.SayCreated(&guest);
  internal::v1::GuestFrame frame;
  frame.mutable_setup_failed()->set_stage("landlock");
  guest.Say(frame);
  RunUntilAnswers(1);
  EXPECT_TRUE(absl::IsInternal(status));
  EXPECT_THAT(status.message(), HasSubstr("landlock"));
  EXPECT_EQ(spawner_.Next().kill_sandbox().sandbox_id(), guest.sandbox_id());
  spawner_.SayExited(guest.Die(SIGKILL));
  EXPECT_THAT(journal_.lines, IsEmpty()) << "it was never anybody's";
}

TEST_F(SpawnerClientTest, AGuestThatDiesBeforeItIsReadyIsAnError) {
  absl::Status status;
  FakeGuest guest(RequestSandbox(StartZygote(), &status));
  spawner_.SayCreated(&guest);
  (void)guest.Die(SIGKILL);
  RunUntilAnswers(1);
  EXPECT_TRUE(absl::IsInternal(status));
}

TEST_F(SpawnerClientTest, WrongDescriptorsAreAnErrorAndAKill) {
  absl::Status status;
  SpawnerEvent event;
  event.mutable_sandbox_created()->set_sandbox_id(RequestSandbox(StartZygote(), &status));
  spawner_.Say(event);
  RunUntilAnswers(1);
  EXPECT_TRUE(absl::IsInternal(status));
  EXPECT_TRUE(spawner_.Next().has_kill_sandbox());
}

TEST_F(SpawnerClientTest, AnIdleSandboxThatDiesIsReportedOnceAndThenGone) {
  auto guest = MakeSandbox(StartZygote());
  journal_.on_idle_lost = [this] { sandboxes_.clear(); };
  spawner_.SayExited(guest->Die(SIGKILL));
  RunUntilLines(2);
  const std::string id = std::to_string(guest->sandbox_id());
  EXPECT_THAT(journal_.lines, ElementsAre("idle " + id + " lost", "gone " + id + " peak 8192"));
}

TEST_F(SpawnerClientTest, AnIdleSandboxThatSpeaksIsLost) {
  auto guest = MakeSandbox(StartZygote());
  journal_.on_idle_lost = [this] { sandboxes_.clear(); };
  guest->SayRaw("x");
  guest->SayRaw(std::string(100, 'x'));
  RunUntilLines(1);
  EXPECT_EQ(spawner_.Next().kill_sandbox().sandbox_id(), guest->sandbox_id());
}

TEST_F(SpawnerClientTest, ADestroyedSandboxIsStillReportedGone) {
  auto guest = MakeSandbox(StartZygote());
  sandboxes_.clear();
  EXPECT_EQ(spawner_.Next().kill_sandbox().sandbox_id(), guest->sandbox_id());
  spawner_.SayExited(guest->Die(SIGKILL));
  RunUntilLines(1);
  EXPECT_THAT(journal_.lines[0], HasSubstr("gone"));
}

TEST_F(SpawnerClientTest, TheEndOfAZygoteFailsWhatWasAskedOfIt) {
  const int64_t zygote = StartZygote();
  absl::Status status;
  (void)RequestSandbox(zygote, &status);
  SpawnerEvent event;
  event.mutable_zygote_exited()->set_zygote_id(zygote);
  event.mutable_zygote_exited()->set_reason("signal 9");
  spawner_.Say(event);
  RunUntilLines(1);
  EXPECT_TRUE(absl::IsUnavailable(status));
  EXPECT_THAT(journal_.lines[0], HasSubstr("signal 9"));
  client_->CreateSandbox(zygote, Note(&status));
  RunUntilAnswers(2);
  EXPECT_TRUE(absl::IsNotFound(status));
}

TEST_F(SpawnerClientTest, AFullSocketLosesNoRequest) {
  const int64_t zygote = StartZygote();
  absl::Status status;
  constexpr int kRequests = 5000;
  for (int i = 0; i < kRequests; ++i) client_->CreateSandbox(zygote, Note(&status));
  std::vector<int64_t> ids;
  RunUntil(&loop_, [&] {
    while (!spawner_.Silent()) ids.push_back(spawner_.Next().create_sandbox().sandbox_id());
    return ids.size() >= kRequests;
  });
  EXPECT_EQ(ids.size(), static_cast<size_t>(kRequests));
  EXPECT_TRUE(std::is_sorted(ids.begin(), ids.end()));
}

TEST_F(SpawnerClientTest, TheDeathOfTheSpawnerFailsEverythingThatWaits) {
  const int64_t zygote = StartZygote();
  auto idle = MakeSandbox(zygote);
  journal_.on_idle_lost = [this] { sandboxes_.clear(); };
  absl::Status asked, created;
  (void)RequestSandbox(zygote, &asked);
  FakeGuest preparing(RequestSandbox(zygote, &created));
  spawner_.SayCreated(&preparing);
  absl::Status starting;
  (void)client_->StartZygote({}, [&](auto info) { starting = info.status(); });
  spawner_.Die();
  RunUntilLines(2);
  EXPECT_TRUE(absl::IsUnavailable(asked));
  EXPECT_TRUE(absl::IsUnavailable(created));
  EXPECT_TRUE(absl::IsUnavailable(starting));
  EXPECT_THAT(journal_.lines, ElementsAre(HasSubstr("idle"), "spawner lost"));

  absl::Status late;
  const int before = answers_;
  client_->CreateSandbox(zygote, Note(&late));
  RunUntilAnswers(before + 1);
  EXPECT_TRUE(absl::IsUnavailable(late));
}

TEST_F(SpawnerClientTest, DestroyedWithEverythingUnderWayItCallsNobody) {
  const int64_t zygote = StartZygote();
  absl::Status status;
  FakeGuest preparing(RequestSandbox(zygote, &status));
  spawner_.SayCreated(&preparing);
  (void)RequestSandbox(zygote, &status);
  int turns = 0;
  RunUntil(&loop_, [&] { return ++turns > 5; });
  client_.reset();
  RunUntil(&loop_, [&] { return ++turns > 10; });
  EXPECT_EQ(answers_, 0);
}

TEST(SpawnerClientConnectTest, ASpawnerThatEndsAtItsStartIsUnavailable) {
  AsioLoop loop;
  PacketPair pair = *MakePacketPair();
  pair.second.reset();
  auto client = SpawnerClient::Connect(&loop, std::move(pair.first), absl::Seconds(10));
  EXPECT_TRUE(absl::IsUnavailable(client.status())) << client.status();
}

TEST(SpawnerClientConnectTest, ASpawnerThatSaysNothingIsGivenUp) {
  AsioLoop loop;
  PacketPair pair = *MakePacketPair();
  auto client = SpawnerClient::Connect(&loop, std::move(pair.first), absl::Milliseconds(10));
  EXPECT_TRUE(absl::IsDeadlineExceeded(client.status())) << client.status();
}

TEST(SpawnerClientConnectTest, AnotherFirstMessageIsRefused) {
  AsioLoop loop;
  PacketPair pair = *MakePacketPair();
  SpawnerEvent event;
  event.mutable_zygote_started();
  ASSERT_TRUE(SendPacket(pair.second.get(), event).ok());
  auto client = SpawnerClient::Connect(&loop, std::move(pair.first), absl::Seconds(10));
  EXPECT_TRUE(absl::IsInternal(client.status())) << client.status();
}

}  // namespace
}  // namespace cloister::sandbox
