#include "service/rpc/request_validator.h"

#include <functional>
#include <string>
#include <vector>

#include "cloister/v1/execution_service.pb.h"
#include "gmock/gmock.h"
#include "google/rpc/error_details.pb.h"
#include "gtest/gtest.h"
#include "service/core/error.h"
#include "service/rpc/sandbox_request_validator.h"

namespace cloister::rpc {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

LimitsPolicy Policy() {
  LimitsPolicy policy;
  policy.maximum = BuiltInMaximumLimits();
  return policy;
}

RequestValidator Validator() { return RequestValidator(RequestBounds(), Policy()); }

// The fields that were found wrong, as the caller is told.
std::vector<std::string> BadFields(const absl::Status& status) {
  std::vector<std::string> fields;
  if (status.ok()) return fields;
  EXPECT_EQ(core::ReasonOf(status), v1::ERROR_REASON_FIELD_INVALID);
  const auto payload = status.GetPayload("type.googleapis.com/google.rpc.BadRequest");
  google::rpc::BadRequest details;
  EXPECT_TRUE(payload.has_value() && details.ParseFromString(std::string(*payload)));
  for (const auto& violation : details.field_violations()) {
    EXPECT_THAT(violation.description(), ::testing::Not(IsEmpty()));
    fields.push_back(violation.field());
  }
  return fields;
}

struct Case {
  std::string name;
  std::function<void(v1::RunCodeRequest*)> change;
  std::vector<std::string> bad_fields;
};

class RunCodeRequestTest : public ::testing::TestWithParam<Case> {};

TEST_P(RunCodeRequestTest, NamesExactlyTheBadFields) {
  v1::RunCodeRequest request;
  GetParam().change(&request);
  EXPECT_EQ(BadFields(Validator().Check(request).status()), GetParam().bad_fields);
}

std::string Bytes(size_t count) { return std::string(count, 'x'); }
const std::string kNul(1, '\0');

void AddFile(v1::RunCodeRequest* request, const std::string& path,
             const std::string& content = "") {
  v1::File* file = request->mutable_program()->add_files();
  file->set_path(path);
  file->set_content(content);
}

Case PathCase(const std::string& name, const std::string& path, bool good) {
  return {"Path" + name, [path](auto* r) { AddFile(r, path); },
          good ? std::vector<std::string>{} : std::vector<std::string>{"program.files[0].path"}};
}

Case LimitCase(const std::string& name, const std::string& field,
               std::function<void(v1::Limits*)> change) {
  return {"Limit" + name, [change](auto* r) { change(r->mutable_limits()); }, {"limits." + field}};
}

const Case kPrograms[] = {
    {"Empty", [](auto*) {}, {}},
    {"CodeAtBound", [](auto* r) { r->mutable_program()->set_code(Bytes(1 << 20)); }, {}},
    {"CodePastBound",
     [](auto* r) { r->mutable_program()->set_code(Bytes((1 << 20) + 1)); },
     {"program.code"}},
    {"CodeWithNul", [](auto* r) { r->mutable_program()->set_code("a" + kNul); }, {}},
    {"FileNameAtBound", [](auto* r) { r->mutable_program()->set_file_name(Bytes(255)); }, {}},
    {"FileNamePastBound",
     [](auto* r) { r->mutable_program()->set_file_name(Bytes(256)); },
     {"program.file_name"}},
    {"FileNameWithNewline",
     [](auto* r) { r->mutable_program()->set_file_name("a\nb"); },
     {"program.file_name"}},
    {"FileNameWithNul",
     [](auto* r) { r->mutable_program()->set_file_name("a" + kNul); },
     {"program.file_name"}},
    {"StdinPastBound",
     [](auto* r) { r->mutable_program()->set_stdin(Bytes((16 << 20) + 1)); },
     {"program.stdin"}},
    {"RequestIdAtBound", [](auto* r) { r->set_request_id(Bytes(128)); }, {}},
    {"RequestIdPastBound", [](auto* r) { r->set_request_id(Bytes(129)); }, {"request_id"}},
    {"TemplatePastBound", [](auto* r) { r->set_template_(Bytes(64)); }, {"template"}},
    {"ArgumentsAtBound",
     [](auto* r) {
       for (int i = 0; i < 256; ++i) r->mutable_program()->add_args(Bytes(256));
     },
     {}},
    {"TooManyArguments",
     [](auto* r) {
       for (int i = 0; i < 257; ++i) r->mutable_program()->add_args("");
     },
     {"program.args"}},
    {"ArgumentsTooLarge",
     [](auto* r) { r->mutable_program()->add_args(Bytes((64 << 10) + 1)); },
     {"program.args"}},
    {"ArgumentWithNul",
     [](auto* r) {
       r->mutable_program()->add_args("fine");
       r->mutable_program()->add_args(kNul);
     },
     {"program.args[1]"}},
    {"EnvironmentGood",
     [](auto* r) { (*r->mutable_program()->mutable_environment())["A"] = "="; },
     {}},
    {"EnvironmentEmptyName",
     [](auto* r) { (*r->mutable_program()->mutable_environment())[""] = "x"; },
     {"program.environment[\"\"]"}},
    {"EnvironmentEqualsInName",
     [](auto* r) { (*r->mutable_program()->mutable_environment())["A=B"] = "x"; },
     {"program.environment[\"A=B\"]"}},
    {"EnvironmentNulInValue",
     [](auto* r) { (*r->mutable_program()->mutable_environment())["A"] = kNul; },
     {"program.environment[\"A\"]"}},
    {"EnvironmentTooLarge",
     [](auto* r) { (*r->mutable_program()->mutable_environment())["A"] = Bytes(64 << 10); },
     {"program.environment"}},
    {"EnvironmentTooMany",
     [](auto* r) {
       auto& environment = *r->mutable_program()->mutable_environment();
       for (int i = 0; i < 257; ++i) environment[std::to_string(i)] = "";
     },
     {"program.environment"}},
    {"TooManyFiles",
     [](auto* r) {
       for (int i = 0; i < 1001; ++i) AddFile(r, std::to_string(i));
     },
     {"program.files"}},
    {"FilesAtWorkspaceBound",
     [](auto* r) {
       AddFile(r, "a", Bytes(1024));
       r->mutable_limits()->set_workspace_bytes(1024);
     },
     {}},
    {"FilesPastWorkspaceBound",
     [](auto* r) {
       AddFile(r, "a", Bytes(1025));
       r->mutable_limits()->set_workspace_bytes(1024);
     },
     {"program.files"}},
    {"FilesPastRequestBound",
     [](auto* r) { AddFile(r, "a", Bytes((48 << 20) + 1)); },
     {"program.files"}},
    {"SamePathTwice",
     [](auto* r) {
       AddFile(r, "a/b");
       AddFile(r, "c");
       AddFile(r, "a/b");
     },
     {"program.files[2].path"}},
    {"FileWhereADirectoryIsNeeded",
     [](auto* r) {
       AddFile(r, "a/b/c");
       AddFile(r, "a.txt");
       AddFile(r, "a/b");
     },
     {"program.files[0].path"}},
    {"SimilarPathsAreFine",
     [](auto* r) {
       AddFile(r, "a");
       AddFile(r, "a.b");
       AddFile(r, "ab/c");
     },
     {}},
    {"TooManyReturnFiles",
     [](auto* r) {
       for (int i = 0; i < 101; ++i) r->mutable_program()->add_return_files("a");
     },
     {"program.return_files"}},
    {"ReturnFileEscapes",
     [](auto* r) { r->mutable_program()->add_return_files("../a"); },
     {"program.return_files[0]"}},
    {"EverythingAtOnce",
     [](auto* r) {
       r->set_request_id(Bytes(129));
       r->mutable_limits()->set_memory_bytes(-1);
       AddFile(r, "/etc/passwd");
     },
     {"request_id", "limits.memory_bytes", "program.files[0].path"}},
};

const Case kPaths[] = {
    PathCase("Plain", "a/b.txt", true),
    PathCase("Empty", "", false),
    PathCase("Absolute", "/a", false),
    PathCase("DotDot", "a/../b", false),
    PathCase("OnlyDotDot", "..", false),
    PathCase("Dot", "./a", false),
    PathCase("EmptySegment", "a//b", false),
    PathCase("TrailingSlash", "a/", false),
    PathCase("Nul", "a" + kNul, false),
    PathCase("DotsInName", "..a/b..", true),
    PathCase("SegmentAtBound", Bytes(255), true),
    PathCase("SegmentPastBound", Bytes(256), false),
    PathCase("AtBound", Bytes(255) + "/" + Bytes(255) + "/" + Bytes(255) + "/" + Bytes(255) + "/",
             false),
    PathCase(
        "PastBound",
        [] {
          std::string path = Bytes(200);
          for (int i = 0; i < 5; ++i) path += "/" + Bytes(200);
          return path;
        }(),
        false),
    PathCase("NotAscii", "d\u00e9j\u00e0/\u65e5\u672c", true),
};

const Case kLimits[] = {
    LimitCase("CpuBelowAMillisecond", "cpu_time",
              [](v1::Limits* l) { l->mutable_cpu_time()->set_nanos(1); }),
    LimitCase("WallBelowAMillisecond", "wall_time",
              [](v1::Limits* l) { l->mutable_wall_time()->set_nanos(999'999); }),
    LimitCase("WallZero", "wall_time", [](auto* l) { l->mutable_wall_time(); }),
    LimitCase("WallNegative", "wall_time",
              [](auto* l) { l->mutable_wall_time()->set_seconds(-1); }),
    LimitCase("WallTooLarge", "wall_time",
              [](auto* l) { l->mutable_wall_time()->set_seconds(301); }),
    LimitCase("WallMalformed", "wall_time",
              [](auto* l) { l->mutable_wall_time()->set_nanos(1'000'000'000); }),
    LimitCase("WallMixedSigns", "wall_time",
              [](auto* l) {
                l->mutable_wall_time()->set_seconds(1);
                l->mutable_wall_time()->set_nanos(-1);
              }),
    LimitCase("CpuTooLarge", "cpu_time", [](auto* l) { l->mutable_cpu_time()->set_seconds(301); }),
    LimitCase("MemoryZero", "memory_bytes", [](auto* l) { l->set_memory_bytes(0); }),
    LimitCase("MemoryTooSmall", "memory_bytes", [](auto* l) { l->set_memory_bytes(4096); }),
    LimitCase("MemoryTooLarge", "memory_bytes",
              [](auto* l) { l->set_memory_bytes((int64_t{2} << 30) + 1); }),
    LimitCase("OutputNegative", "output_bytes", [](auto* l) { l->set_output_bytes(-5); }),
    LimitCase("ProcessesZero", "process_count", [](auto* l) { l->set_process_count(0); }),
    LimitCase("ProcessesTooMany", "process_count", [](auto* l) { l->set_process_count(513); }),
    LimitCase("OpenFilesTooMany", "open_file_count", [](auto* l) { l->set_open_file_count(1025); }),
    LimitCase("FileTooLarge", "file_bytes",
              [](auto* l) { l->set_file_bytes((int64_t{1} << 30) + 1); }),
    LimitCase("WorkspaceZero", "workspace_bytes", [](auto* l) { l->set_workspace_bytes(0); }),
};

std::string NameOf(const ::testing::TestParamInfo<Case>& info) { return info.param.name; }

INSTANTIATE_TEST_SUITE_P(Programs, RunCodeRequestTest, ::testing::ValuesIn(kPrograms), NameOf);
INSTANTIATE_TEST_SUITE_P(Paths, RunCodeRequestTest, ::testing::ValuesIn(kPaths), NameOf);
INSTANTIATE_TEST_SUITE_P(Limits, RunCodeRequestTest, ::testing::ValuesIn(kLimits), NameOf);

TEST(RequestValidatorTest, FillsInDefaultsForUnsetLimits) {
  v1::RunCodeRequest request;
  request.mutable_limits()->mutable_wall_time()->set_nanos(1'000'000);
  const auto limits = Validator().Check(request);
  ASSERT_TRUE(limits.ok());
  sandbox::Limits expected;
  expected.wall_time = absl::Milliseconds(1);
  EXPECT_EQ(*limits, expected);
}

TEST(RequestValidatorTest, TakesMaximaAsTheyAre) {
  v1::RunCodeRequest request;
  request.mutable_limits()->set_process_count(512);
  request.mutable_limits()->mutable_cpu_time()->set_seconds(300);
  const auto limits = Validator().Check(request);
  ASSERT_TRUE(limits.ok());
  EXPECT_EQ(limits->process_count, 512);
  EXPECT_EQ(limits->cpu_time, absl::Seconds(300));
}

TEST(RequestValidatorTest, TellsTwentyProblemsAtMost) {
  v1::RunCodeRequest request;
  for (int i = 0; i < 50; ++i) request.mutable_program()->add_args(kNul);
  const absl::Status status = Validator().Check(request).status();
  EXPECT_THAT(BadFields(status), SizeIs(20));
}

TEST(RequestValidatorTest, KeepsErrorsSmallEnoughForATrailer) {
  v1::RunCodeRequest request;
  auto& environment = *request.mutable_program()->mutable_environment();
  for (int i = 0; i < 100; ++i) environment[std::to_string(i) + std::string(3000, '=')] = "";
  const absl::Status status = Validator().Check(request).status();
  size_t bytes = status.message().size();
  status.ForEachPayload(
      [&bytes](absl::string_view, const absl::Cord& payload) { bytes += payload.size(); });
  EXPECT_LT(bytes, 5000u);
}

TEST(RequestValidatorTest, RefusesAnUnknownOnDisconnect) {
  v1::ExecuteRequest request;
  request.set_on_disconnect(static_cast<v1::ExecuteRequest::OnDisconnect>(7));
  EXPECT_THAT(BadFields(Validator().Check(request).status()), ElementsAre("on_disconnect"));
}

TEST(RequestValidatorTest, JudgesAttach) {
  v1::AttachExecutionRequest request;
  EXPECT_THAT(BadFields(Validator().Check(request)), ElementsAre("execution"));
  request.set_execution("executions/a");
  EXPECT_TRUE(Validator().Check(request).ok());
  request.set_after_sequence(-1);
  EXPECT_THAT(BadFields(Validator().Check(request)), ElementsAre("after_sequence"));
  request.set_execution(Bytes(129));
  EXPECT_THAT(BadFields(Validator().Check(request)), ElementsAre("execution", "after_sequence"));
}

TEST(RequestValidatorTest, JudgesWhatALiveInterpreterIsAsked) {
  v1::RunCodeRequest request;
  request.mutable_cell()->set_silent(true);
  EXPECT_THAT(BadFields(Validator().Check(request).status()), ElementsAre("cell"));
  request.set_interpreter("sandboxes/a");
  EXPECT_TRUE(Validator().Check(request).ok());
  request.set_template_("python");
  request.mutable_limits()->set_memory_bytes(64 << 20);
  request.mutable_limits()->set_output_bytes(1000);
  EXPECT_THAT(BadFields(Validator().Check(request).status()),
              ElementsAre("template", "limits.memory_bytes"));
  v1::ExecuteRequest input;
  input.set_allow_input(true);
  EXPECT_THAT(BadFields(Validator().Check(input).status()), ElementsAre("allow_input"));
}

TEST(RequestValidatorTest, JudgesInput) {
  v1::SendInputRequest request;
  EXPECT_THAT(BadFields(Validator().Check(request)), ElementsAre("execution", "text"));
  request.set_execution("executions/a");
  request.set_text("two\nlines");
  EXPECT_THAT(BadFields(Validator().Check(request)), ElementsAre("text"));
  request.set_text(Bytes((64 << 10) + 1));
  EXPECT_THAT(BadFields(Validator().Check(request)), ElementsAre("text"));
  request.set_text("");
  EXPECT_TRUE(Validator().Check(request).ok());
  request.set_request_number(-1);
  EXPECT_THAT(BadFields(Validator().Check(request)), ElementsAre("request_number"));
}

TEST(RequestValidatorTest, JudgesSandboxes) {
  const RequestValidator programs = Validator();
  const SandboxRequestValidator validator(&programs, LifetimePolicy());
  v1::CreateSandboxRequest create;
  EXPECT_EQ(validator.Check(create)->ttl, absl::Hours(1));
  create.mutable_ttl()->set_seconds(0);
  create.mutable_idle_timeout()->set_seconds(1'000'000);
  create.add_files()->set_path("../x");
  (*create.mutable_environment())["="] = "";
  EXPECT_THAT(BadFields(validator.Check(create).status()),
              ElementsAre("environment[\"=\"]", "files[0].path", "ttl", "idle_timeout"));
  v1::UpdateSandboxRequest update;
  EXPECT_THAT(BadFields(validator.Check(update).status()), ElementsAre("name", "ttl"));
  v1::ListSandboxesRequest list;
  EXPECT_EQ(*validator.Check(list), 50);
  list.set_page_size(10'000);
  EXPECT_EQ(*validator.Check(list), 500);
  list.set_page_size(-1);
  EXPECT_THAT(BadFields(validator.Check(list).status()), ElementsAre("page_size"));
}

TEST(RequestValidatorTest, ResolvesTheGraceTime) {
  v1::InterruptExecutionRequest request;
  request.set_execution("executions/a");
  EXPECT_EQ(*Validator().Check(request), absl::Seconds(2));
  request.mutable_grace();
  EXPECT_EQ(*Validator().Check(request), absl::ZeroDuration());
  request.mutable_grace()->set_seconds(60);
  EXPECT_EQ(*Validator().Check(request), absl::Seconds(60));
  request.mutable_grace()->set_nanos(1);
  EXPECT_THAT(BadFields(Validator().Check(request).status()), ElementsAre("grace"));
  request.mutable_grace()->set_nanos(0);
  request.mutable_grace()->set_seconds(-1);
  EXPECT_THAT(BadFields(Validator().Check(request).status()), ElementsAre("grace"));
}

TEST(QuotedTest, EscapesAndCuts) {
  EXPECT_EQ(Quoted("a\nb\""), "\"a\\nb\\\"\"");
  EXPECT_THAT(Quoted(Bytes(1000)), SizeIs(::testing::Lt(60u)));
}

}  // namespace
}  // namespace cloister::rpc
