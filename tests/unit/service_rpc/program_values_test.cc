// What is refused of a program's values, and what the guest gets of the others.

#include "service/rpc/program_values.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "sandbox/clone/value.h"

namespace cloister::rpc {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<std::string> BadFields(const v1::Program& program) {
  Violations violations;
  CheckValues(program, &violations);
  std::vector<std::string> fields;
  for (const core::FieldViolation& violation : violations.list()) fields.push_back(violation.field);
  return fields;
}

TEST(ProgramValuesTest, NamesOfVariables) {
  const std::vector<std::pair<std::string, bool>> cases = {
      {"x", true},     {"_x1", true},
      {"größe", true}, {"", false},
      {"1x", false},   {"a.b", false},
      {"a b", false},  {"class", false},
      {"__x", false},  {std::string(256, 'x'), false}};
  for (const auto& [name, is_good] : cases) {
    v1::Program program;
    (*program.mutable_variables())[name].set_int_value(1);
    EXPECT_EQ(BadFields(program).empty(), is_good) << name;
  }
}

TEST(ProgramValuesTest, NamesOfFunctions) {
  const std::vector<std::pair<std::string, bool>> cases = {
      {"f", true},    {"Shop.total", true}, {"os.path:join", true}, {"m:C.f", true},
      {"", false},    {"m:", false},        {":f", false},          {"m:f:g", false},
      {"f()", false}, {"a..b", false},      {" f", false},          {std::string(256, 'f'), false}};
  for (const auto& [name, is_good] : cases) {
    v1::Program program;
    program.mutable_call()->set_function(name);
    EXPECT_EQ(BadFields(program).empty(), is_good) << name;
  }
}

TEST(ProgramValuesTest, ParametersMayBeKeywordsOfPythons) {
  v1::Program program;
  program.mutable_call()->set_function("f");
  (*program.mutable_call()->mutable_keyword_arguments())["class"].set_int_value(1);
  EXPECT_THAT(BadFields(program), IsEmpty());
  (*program.mutable_call()->mutable_keyword_arguments())["a-b"].set_int_value(1);
  EXPECT_THAT(BadFields(program), ElementsAre("program.call.keyword_arguments[\"a-b\"]"));
}

TEST(ProgramValuesTest, TooManyVariables) {
  v1::Program program;
  for (int i = 0; i < 257; ++i) {
    (*program.mutable_variables())[absl::StrCat("x", i)].set_int_value(i);
  }
  EXPECT_THAT(BadFields(program), ElementsAre("program.variables"));
}

TEST(ProgramValuesTest, TheGuestGetsClonesAndNoValues) {
  v1::Program program;
  program.set_code("x");
  (*program.mutable_variables())["x"].set_int_value(1);
  program.mutable_call()->set_function("f");
  program.mutable_call()->add_arguments()->set_string_value("a");
  const auto taken = TakeProgram(program, "program.call");
  ASSERT_TRUE(taken.ok()) << taken.status();
  EXPECT_TRUE(taken->program.variables().empty());
  EXPECT_TRUE(taken->program.call().arguments().empty());
  EXPECT_EQ(taken->program.call().function(), "f");
  ASSERT_EQ(taken->clones.variables_size(), 1);
  const auto variables =
      sandbox::ValueFromClone(taken->clones.variables(0), sandbox::kValueCloneLimits);
  ASSERT_TRUE(variables.ok());
  EXPECT_EQ(variables->dict_value().keys(0).string_value(), "x");
  const auto arguments =
      sandbox::ValueFromClone(taken->clones.arguments(), sandbox::kValueCloneLimits);
  ASSERT_TRUE(arguments.ok());
  EXPECT_EQ(arguments->tuple_value().items(0).string_value(), "a");
  EXPECT_THAT(taken->clones.keyword_arguments(), IsEmpty());
}

TEST(ProgramValuesTest, ABrokenValueIsNamed) {
  v1::Program program;
  program.mutable_call()->set_function("f");
  program.mutable_call()->add_arguments();
  const auto taken = TakeProgram(program, "call");
  EXPECT_THAT(std::string(taken.status().message()), HasSubstr("call.arguments"));
  EXPECT_THAT(std::string(taken.status().message()), HasSubstr("$[0]"));
}

TEST(ProgramValuesTest, AllValuesTogetherAreBounded) {
  v1::Program program;
  program.mutable_call()->set_function("f");
  program.mutable_call()->add_arguments()->set_bytes_value(std::string(size_t{9} << 20, 'x'));
  EXPECT_TRUE(TakeProgram(program, "call").ok());
  (*program.mutable_variables())["x"].set_bytes_value(std::string(size_t{9} << 20, 'x'));
  EXPECT_THAT(std::string(TakeProgram(program, "call").status().message()),
              HasSubstr("at most 16777216"));
}

}  // namespace
}  // namespace cloister::rpc
