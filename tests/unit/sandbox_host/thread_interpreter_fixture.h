// A process that interpreters share, with the test as its guest and as the guest of each of them.

#ifndef CLOISTER_TESTS_UNIT_SANDBOX_HOST_THREAD_INTERPRETER_FIXTURE_H_
#define CLOISTER_TESTS_UNIT_SANDBOX_HOST_THREAD_INTERPRETER_FIXTURE_H_

#include <signal.h>

#include <list>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/sandbox_host/member_fixture.h"

namespace cloister::sandbox {

// One interpreter, with the test as its guest.
struct Made {
  int64_t number = 0;
  RecordingSession session;
  std::optional<CreatedInterpreter> created;
  std::unique_ptr<FakeGuest> guest;
  internal::v1::CreateInterpreter request;
  std::optional<CellObserver> cell;
  std::optional<absl::Status> ended;
};

class ThreadInterpreterTest : public MemberTest {
 protected:
  void TearDown() override {
    made_.clear();
    MemberTest::TearDown();
  }

  Made& Ask(InterpreterSpec spec = {}) {
    Made& made = made_.emplace_back();
    made.number = sandbox_->CreateInterpreter(
        std::move(spec), &made.session,
        [&made](CreatedInterpreter created) { made.created = std::move(created); });
    return made;
  }

  // The process, as far as it has read what it is to be.
  internal::v1::HostFrame BeginProcess() {
    process_ = AnswerAddProcess();
    process_->SayReady();
    RunUntil(&loop_, [this] { return process_->CanRead(); });
    return process_->ReadHostFrame();
  }
  void StartProcess() {
    EXPECT_TRUE(BeginProcess().has_serve_interpreters());
    internal::v1::GuestFrame frame;
    frame.mutable_session_opened();
    process_->Say(frame);
  }

  internal::v1::HostFrame NextFrame(std::vector<UniqueFd>* descriptors = nullptr) {
    RunUntil(&loop_, [this] { return process_->CanRead(); });
    return process_->ReadHostFrame(descriptors);
  }
  void TakeRequest(Made& made) {
    std::vector<UniqueFd> ends;
    made.request = NextFrame(&ends).create_interpreter();
    ASSERT_EQ(ends.size(), 3u);
    made.guest = std::make_unique<FakeGuest>(0, std::move(ends));
  }
  void SayCreated(Made& made) {
    internal::v1::GuestFrame frame;
    frame.mutable_interpreter_created()->set_interpreter(made.request.interpreter());
    frame.mutable_interpreter_created()->set_thread_id(12345);
    process_->Say(frame);
    frame.mutable_session_opened();
    made.guest->Say(frame);
    RunUntil(&loop_, [&] { return made.created.has_value(); });
    ASSERT_TRUE(made.created->status.ok()) << made.created->status;
  }
  Made& Create(InterpreterSpec spec = {}) {
    Made& made = Ask(std::move(spec));
    if (process_ == nullptr) StartProcess();
    TakeRequest(made);
    SayCreated(made);
    return made;
  }

  void BeginCell(Made& made, int64_t number = 1) {
    made.cell.emplace();
    made.created->interpreter->RunCell({.number = number}, v1::Program(), Limits(), &*made.cell);
    RunUntil(&loop_, [&] { return made.guest->CanRead(); });
    EXPECT_EQ(made.guest->ReadHostFrame().execute_cell().number(), number);
  }
  static void Finish(Made& made, const std::string& exception = "", int64_t number = 1) {
    internal::v1::GuestFrame frame;
    frame.mutable_finished()->set_cell(number);
    frame.mutable_finished()->set_kind(exception.empty() ? internal::v1::Finished::KIND_SUCCEEDED
                                                         : internal::v1::Finished::KIND_RAISED);
    frame.mutable_finished()->mutable_exception()->set_type(exception);
    frame.mutable_finished()->mutable_memory()->set_current_bytes(77);
    made.guest->Say(frame);
  }
  v1::Outcome AwaitCell(Made& made) {
    RunUntil(&loop_, [&] { return made.cell->finished(); });
    return made.cell->outcome();
  }
  v1::Outcome AwaitLoss(Made& made) {
    RunUntil(&loop_, [&] { return made.session.lost.has_value(); });
    return made.session.lost.value_or(v1::Outcome());
  }
  void End(Made& made) {
    made.created->interpreter->End([&made](const absl::Status& status) { made.ended = status; });
  }
  void SayEnded(Made& made) {
    made.guest.reset();  // its channel closes
    internal::v1::GuestFrame frame;
    frame.mutable_interpreter_ended()->set_interpreter(made.request.interpreter());
    process_->Say(frame);
  }
  bool ProcessIsKilled() {
    bool killed = false;
    while (!spawner_->Silent()) {
      killed |= spawner_->Next().kill_sandbox().sandbox_id() == process_->sandbox_id();
    }
    return killed;
  }

  std::list<Made> made_;
  std::unique_ptr<FakeGuest> process_;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_TESTS_UNIT_SANDBOX_HOST_THREAD_INTERPRETER_FIXTURE_H_
