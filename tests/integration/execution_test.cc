// What a client sees of one real server: programs, inputs, limits, refusals.

#include <functional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "gmock/gmock.h"
#include "tests/integration/server_test.h"

namespace cloister::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class ExecutionTest : public ServerTest {
 protected:
  // The programs before may have taken all that was ready.
  static void AwaitReady() {
    v1::GetInfoResponse info;
    do {
      grpc::ClientContext context;
      ASSERT_TRUE(server_->info().GetInfo(&context, {}, &info).ok());
      ASSERT_GT(info.templates_size(), 0);
    } while (info.templates(0).pool().ready_count() == 0);
  }
};

TEST_F(ExecutionTest, RunsAProgramInAWarmSandbox) {
  AwaitReady();
  const auto response = RunText("print('hello')");
  EXPECT_EQ(Describe(response.outcome()), "SUCCEEDED");
  EXPECT_EQ(response.stdout(), "hello\n");
  EXPECT_EQ(response.stderr(), "");
  EXPECT_EQ(response.start_kind(), v1::START_KIND_WARM);
  EXPECT_GT(response.outcome().usage().wall_time().nanos(), 0);
  EXPECT_GT(response.outcome().usage().peak_memory_bytes(), 0);
  EXPECT_EQ(response.outcome().usage().stdout_bytes(), 6);
  EXPECT_FALSE(response.outcome().state_preserved());
}

TEST_F(ExecutionTest, EmptyCodeSucceeds) {
  const auto response = RunText("");
  EXPECT_EQ(Describe(response.outcome()), "SUCCEEDED");
  EXPECT_EQ(response.stdout(), "");
}

TEST_F(ExecutionTest, BadSourceIsTheProgramsSyntaxError) {
  EXPECT_EQ(Describe(RunText("x = = 1").outcome()), "RAISED SyntaxError");
  EXPECT_EQ(Describe(RunText(std::string("x = 1\0y = 2", 11)).outcome()), "RAISED SyntaxError");
  EXPECT_EQ(Describe(RunText("x = '\xff\xfe'").outcome()), "RAISED SyntaxError");
}

TEST_F(ExecutionTest, ExceptionsComeAsDataAndAsText) {
  v1::RunCodeRequest request;
  request.mutable_program()->set_file_name("job.py");
  request.mutable_program()->set_code(
      "def inner():\n"
      "    raise KeyError('k')\n"
      "try:\n"
      "    inner()\n"
      "except KeyError as error:\n"
      "    failure = ValueError('bad')\n"
      "    failure.add_note('a note')\n"
      "    raise failure from error\n");
  const auto response = Run(request);
  ASSERT_EQ(Describe(response.outcome()), "RAISED ValueError");
  const v1::Exception& exception = response.outcome().exception();
  EXPECT_EQ(exception.module(), "builtins");
  EXPECT_EQ(exception.message(), "bad");
  EXPECT_THAT(exception.notes(), ElementsAre("a note"));
  ASSERT_EQ(exception.frames_size(), 1);
  EXPECT_EQ(exception.frames(0).file(), "job.py");
  EXPECT_EQ(exception.frames(0).line(), 8);
  EXPECT_EQ(exception.frames(0).function(), "<module>");
  EXPECT_EQ(exception.frames(0).source_line(), "raise failure from error");
  EXPECT_EQ(exception.cause().type(), "KeyError");
  ASSERT_EQ(exception.cause().frames_size(), 2);
  EXPECT_EQ(exception.cause().frames(1).function(), "inner");
  EXPECT_THAT(exception.traceback(), HasSubstr("File \"job.py\", line 2, in inner"));
  EXPECT_THAT(exception.traceback(), HasSubstr("direct cause"));
  EXPECT_THAT(exception.traceback(), Not(HasSubstr("runner")));
  EXPECT_EQ(response.stderr(), exception.traceback());
}

TEST_F(ExecutionTest, InputsReachTheProgram) {
  v1::RunCodeRequest request;
  v1::Program& program = *request.mutable_program();
  program.set_code(
      "import os, sys, helper\n"
      "print(sys.argv)\n"
      "print(os.environ['GREETING'])\n"
      "print(sys.stdin.read(), end='')\n"
      "print(helper.answer, open('/workspace/data/in.bin', 'rb').read())\n"
      "print(__name__, __file__, os.getcwd())\n"
      "open('out.txt', 'w').write('made')\n");
  program.set_file_name("main.py");
  program.add_args("one");
  program.add_args("two words");
  (*program.mutable_environment())["GREETING"] = "grüß dich";
  program.set_stdin("line 1\nline 2\n");
  auto* helper = program.add_files();
  helper->set_path("helper.py");
  helper->set_content("answer = 42\n");
  auto* data = program.add_files();
  data->set_path("data/in.bin");
  data->set_content(std::string("\0\xff", 2));
  program.add_return_files("out.txt");
  program.add_return_files("missing.txt");

  AwaitReady();
  const auto response = Run(request);
  EXPECT_EQ(Describe(response.outcome()), "SUCCEEDED") << response.stderr();
  EXPECT_EQ(response.stdout(),
            "['main.py', 'one', 'two words']\ngrüß dich\nline 1\nline 2\n"
            "42 b'\\x00\\xff'\n__main__ main.py /workspace\n");
  EXPECT_EQ(response.start_kind(), v1::START_KIND_WARM);
  ASSERT_EQ(response.files_size(), 2);
  EXPECT_EQ(response.files(0).path(), "out.txt");
  EXPECT_EQ(response.files(0).content(), "made");
  EXPECT_EQ(response.files(1).content(), "");
  EXPECT_NE(response.files(1).error(), "");
}

TEST_F(ExecutionTest, TheLastExpressionsValueComesWhenAskedFor) {
  v1::RunCodeRequest request;
  request.mutable_program()->set_code("x = 6\nx * 7");
  EXPECT_FALSE(Run(request).outcome().has_value());
  request.mutable_program()->set_return_value(true);
  const auto response = Run(request);
  EXPECT_EQ(response.outcome().value().text(), "42");
  EXPECT_EQ(response.outcome().value().type_name(), "int");
}

TEST_F(ExecutionTest, COutputAndPythonOutputKeepTheirOrder) {
  const auto response = RunText(
      "import ctypes, os, sys\n"
      "libc = ctypes.CDLL(None)\n"
      "for number in range(3):\n"
      "    print('python', number)\n"
      "    libc.puts(b'c')\n"
      "    os.write(1, b'raw\\n')\n");
  EXPECT_EQ(response.stdout(), "python 0\nc\nraw\npython 1\nc\nraw\npython 2\nc\nraw\n");
}

TEST_F(ExecutionTest, PartialOutputComesBackFromAKilledProgram) {
  v1::RunCodeRequest request;
  request.mutable_program()->set_code("print('begun', end='')\nwhile True: pass");
  request.mutable_limits()->mutable_wall_time()->set_nanos(300'000'000);
  const auto response = Run(request);
  EXPECT_EQ(Describe(response.outcome()), "WALL_TIMEOUT");
  EXPECT_EQ(response.stdout(), "begun");
}

TEST_F(ExecutionTest, OutputIsDeliveredUpToTheLimitExactly) {
  v1::RunCodeRequest request;
  request.mutable_program()->set_code("print('x' * 5000)");
  request.mutable_limits()->set_output_bytes(1000);
  const auto response = Run(request);
  EXPECT_EQ(Describe(response.outcome()), "OUTPUT_LIMIT");
  EXPECT_EQ(response.stdout(), std::string(1000, 'x'));
  EXPECT_GT(response.outcome().truncated_stdout_bytes(), 0);
}

TEST_F(ExecutionTest, EverySystemExitHasItsCode) {
  const std::vector<std::pair<std::string, int>> kinds = {
      {"sys.exit()", 0},          {"sys.exit(None)", 0}, {"sys.exit(0)", 0},
      {"sys.exit(255)", 255},     {"sys.exit(256)", 0},  {"sys.exit(-1)", 255},
      {"sys.exit('text')", 1},    {"sys.exit([1])", 1},  {"sys.exit(True)", 1},
      {"raise SystemExit(9)", 9}, {"exit(3)", 3}};
  for (const auto& [code, expected] : kinds) {
    const auto response = RunText("import sys\n" + code);
    EXPECT_EQ(Describe(response.outcome()), absl::StrCat("EXITED ", expected)) << code;
  }
  EXPECT_EQ(RunText("import sys; sys.exit('text')").stderr(), "text\n");
}

TEST_F(ExecutionTest, AThousandClonesShareNoRandomness) {
  const std::string code =
      "import random, secrets, uuid, os, tempfile, ssl\n"
      "print(random.random(), secrets.token_hex(8), uuid.uuid1(), uuid.uuid4(), "
      "ssl.RAND_bytes(8).hex(),\n"
      "      random.SystemRandom().random(), os.urandom(8).hex(), sep='|')\n";
  constexpr int kClones = 1000;
  std::vector<std::set<std::string>> seen(7);
  for (int clone = 0; clone < kClones; ++clone) {
    const std::string line = RunText(code).stdout();
    const std::vector<std::string> values = absl::StrSplit(absl::StripSuffix(line, "\n"), '|');
    ASSERT_EQ(values.size(), seen.size()) << line;
    for (size_t i = 0; i < seen.size(); ++i) seen[i].insert(values[i]);
  }
  for (const auto& values : seen) EXPECT_EQ(values.size(), kClones);
}

TEST_F(ExecutionTest, BadRequestsAreRefusedByField) {
  struct Case {
    std::string field;
    std::function<void(v1::RunCodeRequest&)> spoil;
  };
  const std::vector<Case> cases = {
      {"limits.wall_time",
       [](auto& r) { r.mutable_limits()->mutable_wall_time()->set_seconds(0); }},
      {"limits.wall_time",
       [](auto& r) { r.mutable_limits()->mutable_wall_time()->set_seconds(-1); }},
      {"limits.cpu_time",
       [](auto& r) { r.mutable_limits()->mutable_cpu_time()->set_seconds(1 << 30); }},
      {"limits.memory_bytes", [](auto& r) { r.mutable_limits()->set_memory_bytes(-5); }},
      {"limits.memory_bytes",
       [](auto& r) { r.mutable_limits()->set_memory_bytes(int64_t{1} << 60); }},
      {"limits.output_bytes",
       [](auto& r) { r.mutable_limits()->set_output_bytes(int64_t{1} << 60); }},
      {"limits.process_count", [](auto& r) { r.mutable_limits()->set_process_count(-1); }},
      {"program.files[0].path",
       [](auto& r) { r.mutable_program()->add_files()->set_path("../x"); }},
      {"program.files[0].path",
       [](auto& r) { r.mutable_program()->add_files()->set_path("/etc/x"); }},
      {"program.files[0].path",
       [](auto& r) { r.mutable_program()->add_files()->set_path("a//b"); }},
      {"program.files[0].path", [](auto& r) { r.mutable_program()->add_files()->set_path(""); }},
      {"program.return_files[0]",
       [](auto& r) { r.mutable_program()->add_return_files("a/../../b"); }},
      {"program.environment",
       [](auto& r) { (*r.mutable_program()->mutable_environment())["A=B"] = "x"; }},
      {"program.args[0]", [](auto& r) { r.mutable_program()->add_args(std::string("a\0b", 3)); }},
      {"program.code", [](auto& r) { r.mutable_program()->set_code(std::string(8 << 20, 'x')); }},
      {"program.file_name", [](auto& r) { r.mutable_program()->set_file_name("a\nb"); }},
      {"request_id", [](auto& r) { r.set_request_id(std::string(1000, 'x')); }},
  };
  for (const Case& bad : cases) {
    v1::RunCodeRequest request;
    request.mutable_program()->set_code("print('must not run')");
    bad.spoil(request);
    v1::RunCodeResponse response;
    const grpc::Status status = TryRun(request, &response);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << bad.field;
    EXPECT_EQ(Reason(status), "FIELD_INVALID") << bad.field;
    EXPECT_THAT(status.error_message(), HasSubstr(bad.field));
  }
}

TEST_F(ExecutionTest, AnUnknownTemplateIsNamedWithTheKnownOnes) {
  v1::RunCodeRequest request;
  request.set_template_("cobol");
  v1::RunCodeResponse response;
  const grpc::Status status = TryRun(request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(Reason(status), "TEMPLATE_UNKNOWN");
  EXPECT_THAT(status.error_message(), HasSubstr("python3.14"));
}

TEST_F(ExecutionTest, InfoTellsTheWalls) {
  v1::GetInfoResponse info;
  ASSERT_TRUE(server_->info().GetInfo(Context().get(), {}, &info).ok());
  EXPECT_TRUE(info.ready());
  ASSERT_EQ(info.templates_size(), 1);
  EXPECT_TRUE(absl::StartsWith(info.templates(0).python_version(), "3.14."));
  EXPECT_GT(info.templates(0).packages_size(), 3);
  EXPECT_EQ(info.isolation().setting(), v1::Isolation::SETTING_ROOT);
  for (const auto& layer : info.isolation().layers()) {
    EXPECT_TRUE(layer.in_force()) << layer.name() << ": " << layer.detail();
  }
}

}  // namespace
}  // namespace cloister::testing
