// Typed values into programs and out of them: variables, calls, results.

#include <map>
#include <string>
#include <utility>

#include "gmock/gmock.h"
#include "tests/integration/live_test.h"

namespace cloister::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

v1::Value Int(int64_t number) {
  v1::Value value;
  value.set_int_value(number);
  return value;
}

v1::Value Text(const std::string& text) {
  v1::Value value;
  value.set_string_value(text);
  return value;
}

v1::Value List(std::initializer_list<v1::Value> items) {
  v1::Value value;
  for (const v1::Value& item : items) *value.mutable_list_value()->add_items() = item;
  return value;
}

class ValuesTest : public LiveTest {
 protected:
  static v1::RunCodeRequest TypedRequest(const std::string& code) {
    v1::RunCodeRequest request;
    request.mutable_program()->set_code(code);
    request.mutable_program()->set_return_value(true);
    request.mutable_program()->set_value_form(v1::VALUE_FORM_TYPED);
    return request;
  }
  v1::Value Typed(const std::string& code) {
    const v1::RunCodeResponse response = Run(TypedRequest(code));
    EXPECT_EQ(Describe(response.outcome()), "SUCCEEDED") << response.outcome().DebugString();
    return response.outcome().value();
  }
  grpc::Status TryCall(const v1::CallFunctionRequest& request, v1::CallFunctionResponse* response) {
    return server_->executions().CallFunction(Context().get(), request, response);
  }
  v1::Outcome Call(const v1::CallFunctionRequest& request) {
    v1::CallFunctionResponse response;
    const grpc::Status status = TryCall(request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.outcome();
  }
};

TEST_F(ValuesTest, AResultComesTyped) {
  const v1::Value value = Typed("{'name': 'Ann', 'sizes': (1, 2.5, None)}");
  EXPECT_EQ(value.type_name(), "dict");
  ASSERT_EQ(value.dict_value().keys_size(), 2);
  EXPECT_EQ(value.dict_value().keys(0).string_value(), "name");
  EXPECT_EQ(value.dict_value().values(0).string_value(), "Ann");
  const v1::Items& sizes = value.dict_value().values(1).tuple_value();
  ASSERT_EQ(sizes.items_size(), 3);
  EXPECT_EQ(sizes.items(0).int_value(), 1);
  EXPECT_EQ(sizes.items(1).float_value(), 2.5);
  EXPECT_EQ(sizes.items(2).singleton(), v1::SINGLETON_NONE);
}

TEST_F(ValuesTest, ACycleComesAsReference) {
  const v1::Value value = Typed("a = [1]\na.append(a)\na");
  ASSERT_EQ(value.shared_size(), 1);
  ASSERT_EQ(value.kind_case(), v1::Value::kReference);
  EXPECT_EQ(value.reference(), 0u);
  ASSERT_EQ(value.shared(0).list_value().items_size(), 2);
  EXPECT_EQ(value.shared(0).list_value().items(1).kind_case(), v1::Value::kReference);
}

TEST_F(ValuesTest, WhatCannotBeClonedComesAsTextAndSaysWhy) {
  const v1::Value value = Typed("import sys\n{'a': [0, sys]}");
  EXPECT_THAT(value.text(), HasSubstr("<module 'sys'"));
  EXPECT_EQ(value.clone_error(), "$.a[1]: module cannot be cloned");
  EXPECT_EQ(value.type_name(), "dict");
}

TEST_F(ValuesTest, TextStaysWhatItWas) {
  v1::RunCodeRequest request = TypedRequest("[1, 2]");
  request.mutable_program()->set_value_form(v1::VALUE_FORM_TEXT);
  EXPECT_EQ(Run(request).outcome().value().text(), "[1, 2]");
  request.mutable_program()->clear_value_form();
  EXPECT_EQ(Run(request).outcome().value().text(), "[1, 2]");
}

TEST_F(ValuesTest, VariablesAreThereBeforeTheCode) {
  v1::RunCodeRequest request = TypedRequest("sum(numbers), greeting * 2");
  auto& variables = *request.mutable_program()->mutable_variables();
  variables["numbers"] = List({Int(1), Int(2), Int(40)});
  variables["greeting"] = Text("é");
  const v1::Value value = Run(request).outcome().value();
  ASSERT_EQ(value.tuple_value().items_size(), 2) << value.DebugString();
  EXPECT_EQ(value.tuple_value().items(0).int_value(), 43);
  EXPECT_EQ(value.tuple_value().items(1).string_value(), "éé");
}

TEST_F(ValuesTest, VariablesStayInALiveSandbox) {
  const v1::Sandbox sandbox = Create();
  v1::RunCodeRequest request = CellRequest(sandbox.name(), "x + 1");
  (*request.mutable_program()->mutable_variables())["x"] = Int(41);
  EXPECT_EQ(Run(request).outcome().value().text(), "42");
  EXPECT_EQ(Value(sandbox.name(), "x"), "41");
}

TEST_F(ValuesTest, CallsWhatTheSourceDefines) {
  v1::CallFunctionRequest request;
  request.mutable_program()->set_code("def join(*parts, between):\n  return between.join(parts)");
  request.mutable_call()->set_function("join");
  *request.mutable_call()->add_arguments() = Text("a");
  *request.mutable_call()->add_arguments() = Text("b");
  (*request.mutable_call()->mutable_keyword_arguments())["between"] = Text("-");
  const v1::Outcome outcome = Call(request);
  EXPECT_EQ(Describe(outcome), "SUCCEEDED");
  EXPECT_EQ(outcome.value().string_value(), "a-b");
  EXPECT_EQ(outcome.value().type_name(), "str");
}

TEST_F(ValuesTest, CallsWhatCanBeImported) {
  v1::CallFunctionRequest request;
  request.mutable_call()->set_function("collections:OrderedDict.fromkeys");
  *request.mutable_call()->add_arguments() = List({Text("k")});
  const v1::Outcome outcome = Call(request);
  EXPECT_EQ(outcome.value().object_value().kind(), v1::Object::KIND_ORDERED_DICT)
      << outcome.DebugString();
}

TEST_F(ValuesTest, CallsBuiltins) {
  v1::CallFunctionRequest request;
  request.mutable_call()->set_function("len");
  *request.mutable_call()->add_arguments() = List({Int(1), Int(2)});
  EXPECT_EQ(Call(request).value().int_value(), 2);
}

TEST_F(ValuesTest, ManyReferencesToALargeNumberAreRefused) {
  v1::CallFunctionRequest request;
  request.mutable_call()->set_function("len");
  v1::Value& list = *request.mutable_call()->add_arguments();
  for (int i = 0; i < 1'000; ++i) list.mutable_list_value()->add_items()->set_reference(0);
  list.add_shared()->set_big_int_value(std::string(16 << 10, 'x'));
  v1::CallFunctionResponse response;
  const grpc::Status status = TryCall(request, &response);
  EXPECT_EQ(Reason(status), "FIELD_INVALID");
  EXPECT_THAT(status.error_message(), HasSubstr("large number"));
}

TEST_F(ValuesTest, ANoneResultIsAValue) {
  v1::CallFunctionRequest request;
  request.mutable_call()->set_function("time:sleep");
  *request.mutable_call()->add_arguments() = Int(0);
  EXPECT_EQ(Call(request).value().singleton(), v1::SINGLETON_NONE);
}

TEST_F(ValuesTest, ACoroutineIsAwaited) {
  const std::string code = "async def double(x):\n  return 2 * x";
  v1::CallFunctionRequest request;
  request.mutable_program()->set_code(code);
  request.mutable_call()->set_function("double");
  *request.mutable_call()->add_arguments() = Int(21);
  EXPECT_EQ(Call(request).value().int_value(), 42);

  request.set_interpreter(Create().name());
  EXPECT_EQ(Call(request).value().int_value(), 42);
}

TEST_F(ValuesTest, CallsInALiveSandboxSeeItsState) {
  const v1::Sandbox sandbox = Create();
  Cell(sandbox.name(),
       "from dataclasses import dataclass\n"
       "@dataclass\n"
       "class Point:\n"
       "  x: int\n"
       "  y: int\n"
       "calls = 0\n"
       "def mirror(p):\n"
       "  global calls\n"
       "  calls += 1\n"
       "  return Point(p.y, p.x)");
  v1::CallFunctionRequest request;
  request.set_interpreter(sandbox.name());
  request.mutable_call()->set_function("mirror");
  v1::Object& point = *request.mutable_call()->add_arguments()->mutable_object_value();
  point.set_kind(v1::Object::KIND_DATACLASS);
  v1::Object& point_class = *point.add_fields()->mutable_object_value();
  point_class.set_kind(v1::Object::KIND_GLOBAL);
  *point_class.add_fields() = Text("__main__");
  *point_class.add_fields() = Text("Point");
  *point.add_fields() = Text("x");
  *point.add_fields() = Int(1);
  *point.add_fields() = Text("y");
  *point.add_fields() = Int(2);
  const v1::Outcome outcome = Call(request);
  ASSERT_EQ(Describe(outcome), "SUCCEEDED") << outcome.DebugString();
  const v1::Object& mirrored = outcome.value().object_value();
  ASSERT_EQ(mirrored.kind(), v1::Object::KIND_DATACLASS);
  ASSERT_EQ(mirrored.fields_size(), 5);
  EXPECT_EQ(mirrored.fields(2).int_value(), 2);
  EXPECT_EQ(mirrored.fields(4).int_value(), 1);
  EXPECT_EQ(Value(sandbox.name(), "calls"), "1");
}

TEST_F(ValuesTest, WhatAFunctionRaisesIsTheOutcome) {
  v1::CallFunctionRequest request;
  request.mutable_program()->set_code("def f():\n  return 1 / 0");
  request.mutable_call()->set_function("f");
  for (const bool is_live : {false, true}) {
    if (is_live) request.set_interpreter(Create().name());
    const v1::Outcome outcome = Call(request);
    EXPECT_EQ(Describe(outcome), "RAISED ZeroDivisionError");
    ASSERT_FALSE(outcome.exception().frames().empty());
    EXPECT_EQ(outcome.exception().frames(0).function(), "f");
    EXPECT_THAT(outcome.exception().traceback(), Not(HasSubstr("<cloister")));
  }
}

TEST_F(ValuesTest, AFunctionThatIsNotThereSaysSo) {
  const std::map<std::string, std::string> cases = {
      {"missing", "RAISED NameError"},
      {"os:missing", "RAISED AttributeError"},
      {"no_such_module:f", "RAISED ModuleNotFoundError"},
      {"sys:version", "RAISED TypeError"},
  };
  for (const auto& [function, end] : cases) {
    v1::CallFunctionRequest request;
    request.mutable_call()->set_function(function);
    const v1::Outcome outcome = Call(request);
    EXPECT_EQ(Describe(outcome), end) << function;
    EXPECT_THAT(outcome.exception().traceback(), Not(HasSubstr("<cloister"))) << function;
  }
}

TEST_F(ValuesTest, AClassThatIsNotThereSaysSo) {
  v1::RunCodeRequest request = TypedRequest("x");
  v1::Object& enum_member =
      *(*request.mutable_program()->mutable_variables())["x"].mutable_object_value();
  enum_member.set_kind(v1::Object::KIND_GLOBAL);
  *enum_member.add_fields() = Text("nowhere");
  *enum_member.add_fields() = Text("Thing");
  const v1::Outcome outcome = Run(request).outcome();
  EXPECT_EQ(outcome.kind(), v1::Outcome::KIND_RAISED);
  EXPECT_EQ(outcome.exception().type(), "DataCloneError") << outcome.DebugString();
  EXPECT_THAT(outcome.exception().message(), HasSubstr("nowhere"));
}

TEST_F(ValuesTest, BrokenValuesAreNamedByTheirPath) {
  v1::RunCodeRequest request = TypedRequest("x");
  v1::Value& broken = (*request.mutable_program()->mutable_variables())["x"];
  broken = List({Int(1), v1::Value()});
  v1::RunCodeResponse response;
  const grpc::Status status = TryRun(request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Reason(status), "FIELD_INVALID");
  EXPECT_THAT(status.error_message(), HasSubstr("program.variables"));
  EXPECT_THAT(status.error_message(), HasSubstr("$.x[1]"));
}

TEST_F(ValuesTest, AReferenceToNothingIsRefused) {
  v1::CallFunctionRequest request;
  request.mutable_call()->set_function("len");
  request.mutable_call()->add_arguments()->set_reference(7);
  v1::CallFunctionResponse response;
  const grpc::Status status = TryCall(request, &response);
  EXPECT_EQ(Reason(status), "FIELD_INVALID");
  EXPECT_THAT(status.error_message(), HasSubstr("call.arguments"));
}

TEST_F(ValuesTest, ACallWithoutAFunctionIsRefused) {
  v1::CallFunctionResponse response;
  const grpc::Status status = TryCall(v1::CallFunctionRequest(), &response);
  EXPECT_EQ(Reason(status), "FIELD_INVALID");
  EXPECT_THAT(status.error_message(), HasSubstr("call"));
}

TEST_F(ValuesTest, TooManyValuesComeAsText) {
  const v1::Value value = Typed("list(range(1_000_000))");
  EXPECT_THAT(value.clone_error(), HasSubstr("values"));
  EXPECT_THAT(value.text(), HasSubstr("[0, 1, 2"));
}

TEST_F(ValuesTest, DeepValuesComeWhole) {
  v1::Value value = Typed("x = []\nfor i in range(500): x = [x]\nx");
  EXPECT_THAT(value.clone_error(), IsEmpty());
  int depth = 0;
  const v1::Value* at = &value;
  for (;;) {
    if (at->kind_case() == v1::Value::kReference)
      at = &value.shared(static_cast<int>(at->reference()));
    if (at->list_value().items_size() == 0) break;
    at = &at->list_value().items(0);
    ++depth;
  }
  EXPECT_EQ(depth, 500);
}

}  // namespace
}  // namespace cloister::testing
