// What a notebook needs, through the real server: rich values and displays, background work, input,
// completion; and guests that lie about it.

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "tests/integration/live_test.h"

namespace cloister::testing {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using v1::ExecutionEvent;
using v1::Outcome;

class NotebookTest : public LiveTest {
 protected:
  void SetUp() override { name_ = Create().name(); }

  std::string ValueOf(const std::string& code) { return Value(name_, code); }

  // All events of a cell but `started` and output.
  std::vector<ExecutionEvent> EventsOf(const std::string& code) {
    RunningCell cell(server_->executions(), name_, code);
    std::vector<ExecutionEvent> events;
    for (;;) {
      ExecutionEvent event = cell.Next();
      if (event.event_case() == ExecutionEvent::EVENT_NOT_SET) return events;
      if (!event.has_started() && event.stdout().empty() && event.stderr().empty()) {
        events.push_back(std::move(event));
      }
    }
  }

  // Runs a cell and answers its questions, one after the other.
  Outcome RunAnswering(const std::string& code, const std::vector<std::string>& answers,
                       std::vector<v1::InputRequest>* asked) {
    v1::ExecuteRequest request = RunningCell::RequestFor(name_, code);
    request.set_allow_input(true);
    request.mutable_program()->set_return_value(true);
    RunningCell cell(server_->executions(), request);
    std::string execution;
    for (;;) {
      const ExecutionEvent event = cell.Next();
      if (event.has_started()) execution = event.started().execution();
      if (event.has_finished()) return event.finished().outcome();
      if (event.event_case() == ExecutionEvent::EVENT_NOT_SET) return {};
      if (!event.has_input_request()) continue;
      v1::SendInputRequest answer;
      answer.set_execution(execution);
      answer.set_text(answers.at(asked->size()));
      asked->push_back(event.input_request());
      v1::SendInputResponse response;
      EXPECT_TRUE(server_->executions().SendInput(Context().get(), answer, &response).ok());
    }
  }

  std::vector<std::string> Complete(const std::string& code) {
    v1::CompleteRequest request;
    request.set_interpreter(name_);
    request.set_code(code);
    request.set_cursor(static_cast<int32_t>(code.size()));
    v1::CompleteResponse response;
    const grpc::Status status =
        server_->interpreters().Complete(Context().get(), request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    std::vector<std::string> texts;
    for (const auto& completion : response.completions()) texts.push_back(completion.text());
    return texts;
  }

  std::string name_;
};

TEST_F(NotebookTest, ValuesAsBundles) {
  v1::RunCodeRequest request = CellRequest(
      name_,
      "class R:\n  def __repr__(self): return 'plain'\n  def _repr_html_(self): return '<b>'\nR()");
  request.mutable_cell()->set_return_bundle(true);
  const v1::RunCodeResponse response = Run(request);
  const auto& data = response.outcome().value().bundle().data();
  EXPECT_EQ(data.at("text/plain"), "plain");
  EXPECT_EQ(data.at("text/html"), "<b>");
  EXPECT_EQ(response.execution_count(), 1);
  EXPECT_EQ(ValueOf("_, Out[1] is _, In[1][:7]"), "(plain, True, 'class R')");
}

TEST_F(NotebookTest, DisplaysArriveInTheirOrder) {
  const std::vector<ExecutionEvent> events = EventsOf(
      "from cloister import clear_output\nh = display('a', display_id='d')\nh.update('b')\n"
      "clear_output(wait=True)");
  ASSERT_EQ(events.size(), 4u);
  EXPECT_EQ(events[0].display().bundle().data().at("text/plain"), "'a'");
  EXPECT_EQ(events[1].display().display_id(), "d");
  EXPECT_TRUE(events[1].display().is_update());
  EXPECT_TRUE(events[2].clear_output().wait());
  EXPECT_TRUE(events[3].has_finished());
}

TEST_F(NotebookTest, WorkGoesOnBetweenCellsUnderItsOwnName) {
  RunningCell first(server_->executions(), name_,
                    "import asyncio, threading\ndone = threading.Event()\n"
                    "async def f():\n  await asyncio.sleep(0.02)\n  print('from task')\n"
                    "  done.set()\n"
                    "t = asyncio.create_task(f())");
  const std::string execution = first.Next().started().execution();
  EXPECT_EQ(first.AwaitEnd().kind(), Outcome::KIND_SUCCEEDED);
  const std::vector<ExecutionEvent> events = EventsOf("await t\ndone.wait(5)");
  ASSERT_GE(events.size(), 2u);
  EXPECT_EQ(events[0].late_output().stdout(), "from task\n") << events[0].DebugString();
  EXPECT_EQ(events[0].late_output().execution(), execution);
}

TEST_F(NotebookTest, InputAndPasswordsAreAskedFor) {
  std::vector<v1::InputRequest> asked;
  const Outcome outcome = RunAnswering(
      "import getpass\n[input('name? '), getpass.getpass()]", {"Ada", "secret"}, &asked);
  EXPECT_EQ(outcome.value().text(), "['Ada', 'secret']");
  ASSERT_EQ(asked.size(), 2u);
  EXPECT_EQ(asked[0].prompt(), "name? ");
  EXPECT_TRUE(asked[1].is_password());
}

TEST_F(NotebookTest, AnInterruptEndsACellThatWaitsForInput) {
  v1::ExecuteRequest request = RunningCell::RequestFor(name_, "x = 1\ninput()");
  request.set_allow_input(true);
  RunningCell cell(server_->executions(), request);
  while (!cell.Next().has_input_request()) {
  }
  Interrupt(name_);
  const Outcome outcome = cell.AwaitEnd();
  EXPECT_EQ(outcome.kind(), Outcome::KIND_INTERRUPTED);
  EXPECT_TRUE(outcome.state_preserved());
  EXPECT_EQ(ValueOf("x"), "1");
}

TEST_F(NotebookTest, QuestionsWithoutAnybodyToAskSayWhy) {
  const v1::RunCodeResponse response = Cell(name_, "input('x')");
  EXPECT_EQ(response.outcome().exception().type(), "EOFError");
  EXPECT_THAT(response.outcome().exception().message(), HasSubstr("allow_input"));
}

TEST_F(NotebookTest, CellsThatDamageTheirStreamsDoNotHarmTheNext) {
  for (const char* damage :
       {"import sys; sys.stdout.close()", "import os; os.close(1); os.close(2)",
        "import sys; sys.stdout = None; sys.stderr = None", "import builtins; builtins.input = 5"}) {
    (void)Cell(name_, damage);
    const v1::RunCodeResponse response = Cell(name_, "print('still here')");
    EXPECT_EQ(response.stdout(), "still here\n") << damage;
  }
  EXPECT_EQ(Cell(name_, "import os; os.fork()").outcome().exception().type(), "PermissionError");
  EXPECT_EQ(ValueOf("1 + 1"), "2");
}

TEST_F(NotebookTest, CompletesInspectsAndChecks) {
  (void)Cell(name_, "import json\nnumbers = {'one': 1}");
  EXPECT_THAT(Complete("json.dum"), Contains("dumps"));
  EXPECT_THAT(Complete("numbers['o"), Contains("one']"));

  v1::InspectRequest inspect;
  inspect.set_interpreter(name_ + "/interpreters/main");
  inspect.set_code("json.dumps(");
  inspect.set_cursor(11);
  v1::InspectResponse found;
  ASSERT_TRUE(server_->interpreters().Inspect(Context().get(), inspect, &found).ok());
  EXPECT_EQ(found.name(), "json.dumps");
  EXPECT_THAT(found.signature(), HasSubstr("skipkeys=False"));

  v1::CheckCompleteRequest check;
  check.set_interpreter(name_);
  check.set_code("def f():");
  v1::CheckCompleteResponse checked;
  ASSERT_TRUE(server_->interpreters().CheckComplete(Context().get(), check, &checked).ok());
  EXPECT_EQ(checked.status(), v1::CheckCompleteResponse::STATUS_INCOMPLETE);
  EXPECT_EQ(checked.indent(), "    ");
}

TEST_F(NotebookTest, BadQuestionsAreRefused) {
  v1::CompleteRequest request;
  v1::CompleteResponse response;
  request.set_interpreter(name_);
  request.set_code("\xc3\xa9");
  request.set_cursor(2);
  EXPECT_EQ(server_->interpreters().Complete(Context().get(), request, &response).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  request.set_cursor(-1);
  EXPECT_EQ(server_->interpreters().Complete(Context().get(), request, &response).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  request.set_cursor(1);
  EXPECT_TRUE(server_->interpreters().Complete(Context().get(), request, &response).ok());
  request.set_code(std::string((1 << 20) + 1, 'x'));
  EXPECT_EQ(server_->interpreters().Complete(Context().get(), request, &response).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  request.set_code("x");
  request.set_interpreter("sandboxes/unknown");
  EXPECT_EQ(server_->interpreters().Complete(Context().get(), request, &response).error_code(),
            grpc::StatusCode::NOT_FOUND);
}

TEST_F(NotebookTest, ObjectsThatHangTheirLookUpAreInterrupted) {
  (void)Cell(name_,
             "class W:\n  def __getattr__(self, name):\n    while True: pass\nw = W()\nx = 5");
  v1::CompleteRequest request;
  request.set_interpreter(name_);
  request.set_code("w.a.");
  request.set_cursor(4);
  v1::CompleteResponse response;
  const grpc::Status status = server_->interpreters().Complete(Context().get(), request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION) << status.error_message();
  EXPECT_EQ(ValueOf("x"), "5");
}

// What no guest of ours sends ends its sandbox, and harms nobody else.
TEST_F(NotebookTest, LiesOnTheChannelEndTheSandbox) {
  // A display of a cell that never was; one with a MIME type that is none; an answer nobody asked for.
  for (const char* frame : {"2a020863", "2a0c0801120812060a040a00120058", "5a020801"}) {
    const std::string name = Create().name();
    const v1::RunCodeResponse response = Cell(
        name, std::string("import os, struct\nframe = bytes.fromhex('") + frame +
                  "')\nos.write(3, struct.pack('<I', len(frame)) + frame)\n"
                  "import time; time.sleep(5)");
    EXPECT_EQ(response.outcome().kind(), Outcome::KIND_POLICY_VIOLATION)
        << frame << response.outcome().DebugString();
    EXPECT_FALSE(response.outcome().state_preserved());
  }
  EXPECT_EQ(ValueOf("1"), "1");
}

}  // namespace
}  // namespace cloister::testing
