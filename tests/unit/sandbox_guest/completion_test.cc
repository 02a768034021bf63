// What an editor asks: completions, inspection, whether code is whole.

#include <gmock/gmock.h>

#include <algorithm>

#include "tests/unit/sandbox_guest/session_test.h"

namespace cloister::sandbox {
namespace {

using internal::v1::HostFrame;
using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::IsSupersetOf;
using testing::Not;
using testing::SizeIs;
using testing::StartsWith;

class CompletionTest : public SessionTest {
 protected:
  // `code` has its cursor at '|'; else at the end. What the code is with each completion put in is not
  // looked at here but the texts.
  std::vector<std::string> Complete(const std::string& code) {
    HostFrame frame;
    const size_t bar = code.find('|');
    frame.mutable_complete()->set_code(bar == std::string::npos
                                           ? code
                                           : code.substr(0, bar) + code.substr(bar + 1));
    frame.mutable_complete()->set_cursor(
        static_cast<int32_t>(bar == std::string::npos ? code.size() : bar));
    const SessionAnswer answer = session().Ask(frame);
    EXPECT_TRUE(answer.frame.has_completed()) << answer.frame.DebugString();
    completed_ = answer.frame.completed();
    std::vector<std::string> texts;
    for (const auto& completion : completed_.completions()) texts.push_back(completion.text());
    return texts;
  }

  v1::InspectResponse Inspect(const std::string& code, int cursor, bool with_source = false) {
    HostFrame frame;
    frame.mutable_inspect()->set_code(code);
    frame.mutable_inspect()->set_cursor(cursor);
    frame.mutable_inspect()->set_with_source(with_source);
    const SessionAnswer answer = session().Ask(frame);
    EXPECT_TRUE(answer.frame.has_inspected()) << answer.frame.DebugString();
    return answer.frame.inspected();
  }

  std::pair<v1::CheckCompleteResponse::Status, std::string> Check(const std::string& code) {
    HostFrame frame;
    frame.mutable_check_complete()->set_code(code);
    const SessionAnswer answer = session().Ask(frame);
    EXPECT_TRUE(answer.frame.has_checked()) << answer.frame.DebugString();
    return {answer.frame.checked().status(), answer.frame.checked().indent()};
  }

  v1::CompleteResponse completed_;
};

TEST_F(CompletionTest, Names) {
  ValueOf("alpha_one = 1\ndef alpha_two(): pass\nclass alpha_three: pass\nimport json as alpha_four");
  EXPECT_THAT(Complete("x = alp"),
              ElementsAre("alpha_four", "alpha_one", "alpha_three", "alpha_two"));
  EXPECT_EQ(completed_.start(), 4);
  EXPECT_EQ(completed_.end(), 7);
  EXPECT_EQ(completed_.completions(0).kind(), v1::Completion::KIND_MODULE);
  EXPECT_EQ(completed_.completions(1).kind(), v1::Completion::KIND_NAME);
  EXPECT_EQ(completed_.completions(2).kind(), v1::Completion::KIND_CLASS);
  EXPECT_EQ(completed_.completions(3).kind(), v1::Completion::KIND_FUNCTION);
  EXPECT_THAT(Complete("whi"), ElementsAre("while"));
  EXPECT_THAT(Complete("isinst"), ElementsAre("isinstance"));
}

TEST_F(CompletionTest, CursorCountsCharacters) {
  ValueOf("alpha = 1");
  HostFrame frame;
  frame.mutable_complete()->set_code("\xf0\x9f\x98\x80 alp");  // not Python, but no reason to fail
  frame.mutable_complete()->set_cursor(5);
  const v1::CompleteResponse completed = session().Ask(frame).frame.completed();
  ASSERT_THAT(completed.completions(), SizeIs(1));
  EXPECT_EQ(completed.start(), 2);
}

TEST_F(CompletionTest, Attributes) {
  ValueOf("import os.path\nclass C:\n  def method(self): pass\n  value = 1\nc = C()\nc.inner = C()");
  EXPECT_THAT(Complete("c."), ElementsAre("inner", "method", "value"));
  EXPECT_EQ(completed_.completions(1).kind(), v1::Completion::KIND_FUNCTION);
  EXPECT_THAT(Complete("print(c.inner.me"), ElementsAre("method"));
  EXPECT_THAT(Complete("os.path.joi"), ElementsAre("join"));
  EXPECT_THAT(Complete("c.__cl|"), Contains("__class__"));
  EXPECT_THAT(Complete("''.join(x)."), IsEmpty());
  EXPECT_THAT(Complete("nothing.x"), IsEmpty());
  EXPECT_THAT(Complete("c.me| + 1"), ElementsAre("method"));
}

TEST_F(CompletionTest, PropertiesAreNotRunForTheirKind) {
  ValueOf("ran = []\nclass C:\n  @property\n  def p(self): ran.append(1)\nc = C()");
  EXPECT_THAT(Complete("c."), ElementsAre("p"));
  EXPECT_EQ(ValueOf("ran"), "[]");
}

TEST_F(CompletionTest, Keys) {
  ValueOf("d = {'one': 1, 'other': 2, 3: 4, \"it's\": 5}");
  EXPECT_THAT(Complete("d['o"), ElementsAre("one']", "other']"));
  EXPECT_EQ(completed_.start(), 3);
  EXPECT_EQ(completed_.completions(0).kind(), v1::Completion::KIND_KEY);
  EXPECT_THAT(Complete("d[\"i"), ElementsAre("it's\"]"));
  EXPECT_THAT(Complete("x = d["), ElementsAre("\"it's\"]", "\"one\"]", "\"other\"]"));
}

TEST_F(CompletionTest, Parameters) {
  ValueOf("def f(first, second=2, *, third, **rest): pass");
  EXPECT_THAT(Complete("f(1, seco"), ElementsAre("second="));
  EXPECT_EQ(completed_.completions(0).kind(), v1::Completion::KIND_PARAMETER);
  EXPECT_THAT(Complete("f(g(x), [1, (2,)], "), IsSupersetOf({"first=", "third="}));
  EXPECT_EQ(completed_.completions(0).text(), "first=") << "parameters go first";
  EXPECT_THAT(Complete("f(\n  ')', # (\n  thi"), ElementsAre("third="));
}

TEST_F(CompletionTest, Imports) {
  EXPECT_THAT(Complete("import jso"), ElementsAre("json"));
  EXPECT_THAT(Complete("from coll"), ElementsAre("collections"));
  ValueOf("import json\nopen('my_own_module.py', 'w').close()");
  EXPECT_THAT(Complete("from json import dum"), ElementsAre("dump", "dumps"));
  EXPECT_THAT(Complete("import os, my_o"), ElementsAre("my_own_module"));
  EXPECT_THAT(Complete("import json.dec"), ElementsAre("json.decoder"));
}

TEST_F(CompletionTest, Paths) {
  ValueOf("import os\nos.makedirs('data/deep')\nopen('data/table.csv', 'w').close()");
  EXPECT_THAT(Complete("open('da"), ElementsAre("data/"));
  EXPECT_THAT(Complete("open('data/"), ElementsAre("data/deep/", "data/table.csv"));
  EXPECT_EQ(completed_.completions(1).kind(), v1::Completion::KIND_PATH);
  EXPECT_THAT(Complete("open('/workspace/data/t|')"), ElementsAre("/workspace/data/table.csv"));
  EXPECT_THAT(Complete("'''\nno such dir/x"), IsEmpty());
}

TEST_F(CompletionTest, CommentsHaveNone) { EXPECT_THAT(Complete("x = 1  # pri"), IsEmpty()); }

TEST_F(CompletionTest, ManyAreCut) {
  ValueOf("class C: pass\nc = C()\nfor i in range(2000): setattr(c, f'name{i:04}', i)\n"
          "setattr(c, 'y' * 5000, 1)");
  EXPECT_THAT(Complete("c."), SizeIs(500));
  EXPECT_TRUE(completed_.is_truncated());
  EXPECT_THAT(Complete("c.y"), IsEmpty());
}

TEST_F(CompletionTest, HostileObjectsAreBoundedByInterrupts) {
  ValueOf("class D:\n  def __dir__(self): return [5, 'ok', None]\nd = D()\n"
          "class R:\n  def __dir__(self): raise ValueError('no')\nr = R()\n"
          "class W:\n  def __getattr__(self, name):\n    import time\n    print('w')\n"
          "    while True: time.sleep(0.001)\nw = W()");
  EXPECT_THAT(Complete("d."), ElementsAre("ok"));
  HostFrame frame;
  frame.mutable_complete()->set_code("r.");
  frame.mutable_complete()->set_cursor(2);
  EXPECT_EQ(session().Ask(frame).frame.request_failed().message(), "ValueError: no");
  session().on_frame = [this](const internal::v1::GuestFrame&) { session().Interrupt(); };
  frame.mutable_complete()->set_code("w.x.");
  frame.mutable_complete()->set_cursor(4);
  EXPECT_EQ(session().Ask(frame).frame.request_failed().message(), "KeyboardInterrupt");
  EXPECT_EQ(ValueOf("1"), "1");
}

TEST_F(CompletionTest, BeforeTheFirstCell) {
  EXPECT_THAT(Complete("prin"), ElementsAre("print"));
  EXPECT_EQ(Check("x = 1").first, v1::CheckCompleteResponse::STATUS_COMPLETE);
}

TEST_F(CompletionTest, InspectsFunctions) {
  ValueOf("def area(width, height=2):\n  \"\"\"How large.\n\n  In square metres.\n  \"\"\"\n"
          "  return width * height");
  v1::InspectResponse found = Inspect("x = area", 6, true);
  EXPECT_TRUE(found.is_found());
  EXPECT_EQ(found.name(), "area");
  EXPECT_EQ(found.type_name(), "function");
  EXPECT_EQ(found.signature(), "(width, height=2)");
  EXPECT_EQ(found.documentation(), "How large.\n\nIn square metres.");
  EXPECT_THAT(found.source(), StartsWith("def area("));
  EXPECT_EQ(found.file(), "<cell 1>");
  EXPECT_EQ(found.line(), 1);
  EXPECT_EQ(Inspect("area(1, ", 8).name(), "area") << "the function that is called";
  EXPECT_EQ(Inspect("area(1, ", 8).source(), "") << "nobody asked";
  found = Inspect("import json; json.dumps", 20);
  EXPECT_FALSE(found.is_found()) << "no import is run";
  ValueOf("import json");
  found = Inspect("json.dumps(x)", 8, true);
  EXPECT_EQ(found.name(), "json.dumps");
  EXPECT_THAT(found.file(), testing::EndsWith("json/__init__.py"));
  EXPECT_EQ(Inspect("json.dumps", 2).name(), "json");
}

TEST_F(CompletionTest, InspectsValues) {
  ValueOf("n = 42\ns = 'text'\nclass R:\n  'Doc.'\n  def __repr__(self): 1/0\nr = R()");
  EXPECT_EQ(Inspect("n", 1).value(), "42");
  EXPECT_EQ(Inspect("s", 0).value(), "'text'");
  EXPECT_EQ(Inspect("r", 0).value(), "");
  EXPECT_EQ(Inspect("r", 0).documentation(), "Doc.");
  EXPECT_THAT(Inspect("R", 0, true).source(), StartsWith("class R:"));
  EXPECT_EQ(Inspect("len", 3).signature(), "(obj, /)");
  EXPECT_FALSE(Inspect("nothing_here", 3).is_found());
  EXPECT_FALSE(Inspect("", 0).is_found());
}

TEST_F(CompletionTest, InspectionIsBounded) {
  ValueOf("def f(): pass\nf.__doc__ = 'd' * 1_000_000\nbig = 'b' * 1_000_000\nn = 7 ** 100_000");
  EXPECT_LE(Inspect("f", 0).documentation().size(), size_t{64} << 10);
  EXPECT_LE(Inspect("big", 0).value().size(), size_t{4} << 10);
  EXPECT_EQ(Inspect("n", 0).value(), "");
}

TEST_F(CompletionTest, WholeCode) {
  using Response = v1::CheckCompleteResponse;
  for (const char* code : {"", "x = 1", "f(1,\n  2)", "for i in x: pass", "def f():\n  pass\n",
                           "def f():\n  pass\n\n", "await f()", "x = '''\n'''", "# only this",
                           "async with a as b: pass", "'\\d'"}) {
    EXPECT_EQ(Check(code).first, Response::STATUS_COMPLETE) << code;
  }
  for (const char* code : {"x = (", "def f():", "'''", "for i in x:\n  pass", "if x:\n  1\nelse:",
                           "@decorator", "x = \\", "[1,\n 2"}) {
    EXPECT_EQ(Check(code).first, Response::STATUS_INCOMPLETE) << code;
  }
  for (const char* code : {"x = )", "1 +* 2", "return 1", "def f(:", "'open", "x = 1\n  y = 2"}) {
    EXPECT_EQ(Check(code).first, Response::STATUS_INVALID) << code;
  }
}

TEST_F(CompletionTest, IndentOfTheNextLine) {
  EXPECT_EQ(Check("def f():").second, "    ");
  EXPECT_EQ(Check("def f():\n    x = 1").second, "    ");
  EXPECT_EQ(Check("def f():\n    if x:").second, "        ");
  EXPECT_EQ(Check("def f():\n    return 1").second, "");
  EXPECT_EQ(Check("x = [").second, "    ");
}

}  // namespace
}  // namespace cloister::sandbox
