// Live sandboxes with further interpreters, made with a real spawner, zygote and Python and seen from the
// host's library: no server, so that each step can be looked at.

#ifndef CLOISTER_TESTS_INTEGRATION_INTERPRETERS_FIXTURE_H_
#define CLOISTER_TESTS_INTEGRATION_INTERPRETERS_FIXTURE_H_

#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "sandbox/host/asio_loop.h"
#include "sandbox/host/spawner_client.h"
#include "sandbox/host/spawner_process.h"
#include "tests/integration/probe.h"

namespace cloister::testing {
using sandbox::CellRunner;
using sandbox::CreatedInterpreter;
using sandbox::Interpreter;
using sandbox::InterpreterProfile;
using sandbox::InterpreterSpec;
using sandbox::Limits;
using sandbox::Sandbox;
using v1::Outcome;

class Session final : public sandbox::SessionObserver {
 public:
  void OnOpened(const absl::Status& status) override { opened = status; }
  void OnLost(const Outcome& how) override { lost = how; }
  void OnLateOutput(int64_t, v1::LateOutput) override {}

  std::optional<absl::Status> opened;
  std::optional<Outcome> lost;
};

class Cell final : public sandbox::ExecutionObserver {
 public:
  void OnOutput(sandbox::OutputStream, std::string_view bytes) override { output.append(bytes); }
  void OnFinished(sandbox::ExecutionEnd end) override { outcome = std::move(end.outcome); }

  std::string output;
  std::optional<Outcome> outcome;
};

class InterpretersTest : public ::testing::TestWithParam<InterpreterProfile> {
 protected:
  void SetUp() override { Start(CLOISTER_SPAWNER_BINARY, {}); }

  void TearDown() override {
    interpreters_.clear();
    sandbox_.reset();
    client_.reset();
  }

  void Start(const std::string& binary, const std::vector<std::string>& arguments) {
    auto process = sandbox::SpawnerProcess::Start(binary, arguments);
    ASSERT_TRUE(process.ok()) << process.status();
    process_.emplace(*std::move(process));
    auto client = sandbox::SpawnerClient::Connect(&loop_, process_->TakeSocket(), absl::Seconds(10));
    ASSERT_TRUE(client.ok()) << client.status();
    client_ = *std::move(client);
  }

  // Lets the loop run until `done`; false after twenty seconds.
  bool Await(const std::function<bool()>& done) {
    bool late = false;
    const auto deadline = loop_.CallAfter(absl::Seconds(20), [&] {
      late = true;
      loop_.Stop();
    });
    std::function<void()> look = [&] {
      if (done() || late) return loop_.Stop();
      loop_.CallAfter(absl::Milliseconds(1), look);
    };
    loop_.Post(look);
    loop_.Run();
    loop_.Cancel(deadline);
    return done();
  }

  void Open(const std::string& image = "python3.14", bool forkable = false) {
    internal::v1::ZygoteSpec spec;
    spec.set_template_name("test");
    spec.set_image_root(absl::StrCat(CLOISTER_IMAGES, "/", image, "/rootfs"));
    const std::string guest = CLOISTER_GUEST_BINARY;
    spec.set_guest_binary(guest.substr(0, guest.rfind("python")) + image);
    spec.mutable_default_limits()->set_memory_bytes(limits_.memory_bytes);
    spec.mutable_default_limits()->set_process_count(limits_.process_count);
    spec.set_default_workspace_bytes(limits_.workspace_bytes);
    spec.set_forkable(forkable);
    std::optional<absl::StatusOr<sandbox::ZygoteInfo>> zygote;
    client_->StartZygote(spec, [&](auto info) { zygote = std::move(info); });
    ASSERT_TRUE(Await([&] { return zygote.has_value(); }));
    ASSERT_TRUE(zygote->ok()) << zygote->status();
    client_->CreateSandbox((*zygote)->zygote_id, [&](auto made) {
      ASSERT_TRUE(made.ok()) << made.status();
      sandbox_ = *std::move(made);
    });
    ASSERT_TRUE(Await([&] { return sandbox_ != nullptr; }));
    sandbox::SessionSpec session;
    session.limits = limits_;
    sandbox_->OpenSession(std::move(session), &main_);
    ASSERT_TRUE(Await([&] { return main_.opened.has_value(); }));
    ASSERT_TRUE(main_.opened->ok()) << *main_.opened;
  }

  CreatedInterpreter Create(InterpreterSpec spec, Session* session) {
    std::optional<CreatedInterpreter> created;
    sandbox_->CreateInterpreter(std::move(spec), session,
                                [&](CreatedInterpreter made) { created = std::move(made); });
    EXPECT_TRUE(Await([&] { return created.has_value(); }));
    return *std::move(created);
  }

  Interpreter& Add(InterpreterProfile profile = InterpreterProfile::kProcess) {
    CreatedInterpreter created = Create({.profile = profile}, &sessions_.emplace_back());
    EXPECT_TRUE(created.status.ok()) << created.status;
    interpreters_.push_back(std::move(created.interpreter));
    return *interpreters_.back();
  }
  Interpreter& AddOfParam() { return Add(GetParam()); }

  void Begin(CellRunner& runner, const std::string& code, Cell* cell, const Limits* limits = nullptr) {
    v1::Program program;
    program.set_code(code);
    program.set_return_value(true);
    runner.RunCell({.number = ++cells_}, std::move(program), limits == nullptr ? limits_ : *limits,
                   cell);
  }
  Outcome AwaitEnd(const Cell& cell) {
    EXPECT_TRUE(Await([&] { return cell.outcome.has_value(); }));
    return cell.outcome.value_or(Outcome());
  }
  Outcome Run(CellRunner& runner, const std::string& code, const Limits* limits = nullptr) {
    Cell cell;
    Begin(runner, code, &cell, limits);
    return AwaitEnd(cell);
  }
  std::string Value(CellRunner& runner, const std::string& code) {
    const Outcome outcome = Run(runner, code);
    EXPECT_EQ(Describe(outcome), "SUCCEEDED") << outcome.ShortDebugString();
    return outcome.value().text();
  }
  absl::Status End(Interpreter& interpreter) {
    std::optional<absl::Status> ended;
    interpreter.End([&](const absl::Status& status) { ended = status; });
    EXPECT_TRUE(Await([&] { return ended.has_value(); }));
    return ended.value_or(absl::UnknownError("no answer"));
  }
  bool AwaitLoss(const Session& session) {
    return Await([&] { return session.lost.has_value(); });
  }

  Limits limits_;
  std::optional<sandbox::SpawnerProcess> process_;
  sandbox::AsioLoop loop_;
  std::unique_ptr<sandbox::SpawnerClient> client_;
  std::unique_ptr<Sandbox> sandbox_;
  Session main_;
  std::list<Session> sessions_;
  std::vector<std::unique_ptr<Interpreter>> interpreters_;
  int64_t cells_ = 0;
};

}  // namespace cloister::testing

#endif  // CLOISTER_TESTS_INTEGRATION_INTERPRETERS_FIXTURE_H_
