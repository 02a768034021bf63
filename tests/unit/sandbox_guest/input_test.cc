// input() and getpass in a session.

#include <gmock/gmock.h>

#include "tests/unit/sandbox_guest/session_test.h"

namespace cloister::sandbox {
namespace {

using internal::v1::GuestFrame;
using testing::HasSubstr;
using testing::SizeIs;

class InputTest : public SessionTest {
 protected:
  SessionAnswer Ask(const std::string& code) {
    internal::v1::ExecuteCell cell;
    cell.mutable_program()->set_code(code);
    cell.mutable_program()->set_return_value(true);
    cell.set_allow_input(true);
    return session().Execute(cell);
  }

  // Answers each question with the next of `answers`.
  void AnswerWith(std::vector<std::string> answers) {
    session().on_frame = [this, answers, next = size_t{0}](const GuestFrame& frame) mutable {
      if (!frame.has_input_request()) return;
      EXPECT_EQ(frame.input_request().cell(), session().last_cell());
      requests_.push_back(frame.input_request().request());
      if (next < answers.size()) session().SendInput(answers[next++]);
    };
  }

  std::vector<v1::InputRequest> requests_;
};

TEST_F(InputTest, AsksTheClient) {
  AnswerWith({"Ada", "36 \xc3\xa9", ""});
  const SessionAnswer answer = Ask("print('hello', end='')\n[input('Name? '), input(5), input()]");
  EXPECT_EQ(answer.finished().value().text(), "['Ada', '36 \xc3\xa9', '']");
  EXPECT_EQ(answer.output, "hello");
  ASSERT_THAT(requests_, SizeIs(3));
  EXPECT_EQ(requests_[0].prompt(), "Name? ");
  EXPECT_EQ(requests_[0].number(), 1);
  EXPECT_FALSE(requests_[0].is_password());
  EXPECT_EQ(requests_[1].prompt(), "5");
  EXPECT_EQ(requests_[2].number(), 3);
}

TEST_F(InputTest, Passwords) {
  AnswerWith({"hunter2", "swordfish", "x"});
  EXPECT_EQ(Ask("import getpass\ngetpass.getpass()").finished().value().text(), "'hunter2'");
  EXPECT_EQ(requests_[0].prompt(), "Password: ");
  EXPECT_TRUE(requests_[0].is_password());
  EXPECT_EQ(Ask("from getpass import getpass\ngetpass('Key: ')").finished().value().text(),
            "'swordfish'");
}

TEST_F(InputTest, EndOfInput) {
  session().on_frame = [this](const GuestFrame& frame) {
    if (!frame.has_input_request()) return;
    internal::v1::HostFrame answer;
    answer.mutable_send_input()->set_cell(session().last_cell());
    answer.mutable_send_input()->set_end_of_file(true);
    session().Send(answer);
  };
  EXPECT_EQ(Raised(Ask("input()"), "EOFError").message(), "EOF when reading a line");
}

TEST_F(InputTest, ClientsThatAllowNoneAreTold) {
  EXPECT_THAT(Raised(Execute("input('x')"), "EOFError").message(), HasSubstr("allow_input"));
  EXPECT_THAT(Raised(Execute("import getpass; getpass.getpass()"), "EOFError").message(),
              HasSubstr("allow_input"));
  EXPECT_EQ(ValueOf("1"), "1");
}

TEST_F(InputTest, AnInterruptEndsTheWaiting) {
  session().on_frame = [this](const GuestFrame& frame) {
    if (frame.has_input_request()) session().Interrupt();
  };
  const v1::Exception raised = Raised(Ask("x = 1\ninput()"), "KeyboardInterrupt");
  ASSERT_THAT(raised.frames(), SizeIs(1));
  // An answer that comes too late is nobody's.
  session().SendInput("late");
  EXPECT_EQ(ValueOf("x"), "1");
}

TEST_F(InputTest, AnswersToOtherQuestionsAreIgnored) {
  session().on_frame = [this](const GuestFrame& frame) {
    if (!frame.has_input_request()) return;
    const int64_t number = frame.input_request().request().number();
    if (number == 1) return session().Interrupt();
    session().SendInput("of one", 1);
    session().SendInput("of two", 2);
  };
  EXPECT_EQ(Ask("try: input()\nexcept KeyboardInterrupt: pass\ninput()").finished().value().text(),
            "'of two'");
}

TEST_F(InputTest, OnlyTheMainThreadOfTheCellAsks) {
  const SessionAnswer answer = Ask(
      "import asyncio, threading\nseen = []\n"
      "def ask():\n  try: input()\n  except RuntimeError as e: seen.append(e)\n"
      "t = threading.Thread(target=ask); t.start(); t.join()\n"
      "await asyncio.to_thread(ask)\nlen(seen)");
  EXPECT_EQ(answer.finished().value().text(), "2");
  EXPECT_EQ(Ask("import os\npid = os.fork()\nif pid == 0: input()\nos.waitpid(pid, 0)[1] >> 8")
                .finished()
                .value()
                .text(),
            "1");
}

TEST_F(InputTest, AwaitingCellsMayAsk) {
  AnswerWith({"a"});
  EXPECT_EQ(Ask("import asyncio\nawait asyncio.sleep(0)\ninput()").finished().value().text(), "'a'");
}

TEST_F(InputTest, FaultyPromptsRaise) {
  Raised(Ask("class P:\n  def __str__(self): raise ValueError\ninput(P())"), "ValueError");
  Raised(Ask("input(1, 2)"), "TypeError");
  AnswerWith({"a"});
  Ask("input('x' * 100_000)");
  EXPECT_THAT(requests_[0].prompt(), SizeIs(16 << 10));
}

}  // namespace
}  // namespace cloister::sandbox
