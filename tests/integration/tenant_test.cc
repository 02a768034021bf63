// Who is let in, and that what one tenant has is not there for another: of every method.

#include "tests/integration/tenant_test.h"

#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "google/protobuf/dynamic_message.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

namespace cloister::testing {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::MethodDescriptor;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

TEST_F(TenantTest, LetsInWhoHasAToken) {
  EXPECT_TRUE(GetInfo({"Bearer one-token"}).ok());
  EXPECT_TRUE(GetInfo({"bearer  two-token"}).ok());
}

TEST_F(TenantTest, RefusesEverybodyElseAndSaysWhy) {
  const std::string too_long = absl::StrCat("Bearer ", std::string(600, 'x'));
  const std::map<std::vector<std::string>, std::string> reasons = {
      {{}, "CREDENTIALS_MISSING"},
      {{"Bearer wrong"}, "CREDENTIALS_INVALID"},
      {{"Bearer"}, "CREDENTIALS_INVALID"},
      {{""}, "CREDENTIALS_INVALID"},
      {{"one-token"}, "CREDENTIALS_INVALID"},
      {{"Basic one-token"}, "CREDENTIALS_INVALID"},
      {{"Bearer one-token one-token"}, "CREDENTIALS_INVALID"},
      {{"Bearer one-token", "Bearer one-token"}, "CREDENTIALS_INVALID"},
      {{"Bearer one-token", "Bearer wrong"}, "CREDENTIALS_INVALID"},
      {{too_long}, "CREDENTIALS_INVALID"},
      {{"Bearer old-token"}, "CREDENTIALS_EXPIRED"},
  };
  for (const auto& [authorization, reason] : reasons) {
    const grpc::Status status = GetInfo(authorization);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAUTHENTICATED) << reason;
    EXPECT_EQ(Reason(status), reason) << status.error_message();
    EXPECT_THAT(status.error_message(), Not(HasSubstr("one-token")));
  }
  EXPECT_THAT(server_->Log(), Not(HasSubstr("-token one")));
}

TEST_F(TenantTest, HugeMetadataEndsItsOwnConnectionAlone) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  const auto channel = grpc::CreateCustomChannel(server_->address(),
                                                 grpc::InsecureChannelCredentials(), arguments);
  v1::GetInfoResponse response;
  const grpc::Status status = v1::InfoService::NewStub(channel)->GetInfo(
      With({std::string(1 << 20, 'x')}).get(), {}, &response);
  EXPECT_FALSE(status.ok());
  EXPECT_TRUE(GetInfo({"Bearer one-token"}).ok());
}

TEST_F(TenantTest, HealthIsForEverybody) {
  EXPECT_TRUE(server_->WaitUntilReady().ok());  // which has no token
}

TEST_F(TenantTest, NoTokenIsEverWritten) {
  EXPECT_FALSE(GetInfo({"Bearer S3cret-of-somebody"}).ok());
  EXPECT_TRUE(GetInfo({"Bearer one-token"}).ok());
  EXPECT_THAT(server_->Log(), Not(HasSubstr("S3cret")));
  EXPECT_THAT(server_->Log(), Not(HasSubstr("one-token")));
}

// ---- names --------------------------------------------------------------------------------------

// What tenant one has.
struct Names {
  std::string sandbox, interpreter, snapshot, execution;
};

Names MakeThings(ServerProcess* server,
                 const std::function<std::unique_ptr<grpc::ClientContext>()>& context) {
  Names names;
  v1::CreateSandboxResponse sandbox;
  EXPECT_TRUE(server->sandboxes().CreateSandbox(context().get(), {}, &sandbox).ok());
  names.sandbox = sandbox.sandbox().name();
  v1::CreateSnapshotRequest snap;
  snap.set_sandbox(names.sandbox);
  v1::CreateSnapshotResponse snapshot;
  EXPECT_TRUE(server->sandboxes().CreateSnapshot(context().get(), snap, &snapshot).ok());
  names.snapshot = snapshot.snapshot().name();
  v1::CreateInterpreterRequest create;
  create.set_sandbox(names.sandbox);
  create.set_profile(v1::Interpreter::PROFILE_PROCESS);
  v1::CreateInterpreterResponse interpreter;
  EXPECT_TRUE(server->interpreters().CreateInterpreter(context().get(), create, &interpreter).ok());
  names.interpreter = interpreter.interpreter().name();
  v1::ExecuteRequest execute;
  execute.set_interpreter(names.sandbox);
  const auto stream_context = context();
  const auto stream = server->executions().Execute(stream_context.get(), execute);
  for (v1::ExecuteResponse event; stream->Read(&event);) {
    if (event.event().has_started()) names.execution = event.event().started().execution();
  }
  EXPECT_TRUE(stream->Finish().ok());
  return names;
}

// As long as `name`, and nobody's.
std::string NeverWas(std::string name) {
  for (size_t i = name.find('/') + 1; i < name.size() && name[i] != '/'; ++i) {
    name[i] = name[i] == 'a' ? 'b' : 'a';
  }
  return name;
}

// The names that stand for something in a field of a request, by the field's name.
std::vector<std::string> NamesFor(const FieldDescriptor& field, const MethodDescriptor& method,
                                  const Names& names) {
  const std::string name(field.name());
  if (name == "sandbox") return {names.sandbox};
  if (name == "snapshot") return {names.snapshot};
  if (name == "execution") return {names.execution};
  if (name == "interpreter") return {names.sandbox, names.interpreter};
  if (name != "name") return {};
  if (absl::StrContains(method.name(), "Snapshot")) return {names.snapshot};
  if (absl::StrContains(method.name(), "Interpreter")) return {names.interpreter};
  return {names.sandbox};
}

// What else a request needs, so that nothing but the name can be wrong with it.
std::string RestOf(const std::string& method) {
  static const auto* const rest = new std::map<std::string, std::string>{
      {"CallFunction", "call { function: 'f' }"},
      {"SendInput", "text: 'x'"},
      {"UpdateSandbox", "ttl { seconds: 100 }"},
      {"WriteFile", "path: 'f' complete: true"},
      {"ReadFile", "path: 'f'"},
      {"StatFile", "path: 'f'"},
      {"RemoveFile", "path: 'f'"},
      {"MakeDirectory", "path: 'f'"},
      {"PostMessage", "value { int_value: 1 }"},
  };
  const auto found = rest->find(method);
  return found == rest->end() ? "" : found->second;
}

struct NamedCase {
  std::string method;  // as on the wire
  std::string what;    // for people
  std::shared_ptr<Message> theirs;
  std::shared_ptr<Message> nobodys;
  std::string name;
};

std::shared_ptr<Message> NewRequest(const MethodDescriptor& method) {
  const Message* const prototype =
      google::protobuf::MessageFactory::generated_factory()->GetPrototype(method.input_type());
  std::shared_ptr<Message> request(prototype->New());
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(RestOf(std::string(method.name())),
                                                            request.get()));
  return request;
}

void AddCases(const MethodDescriptor& method, const Names& names, std::vector<NamedCase>* cases) {
  const bool is_connect = method.name() == "Connect";
  const Descriptor* const type =
      is_connect ? v1::OpenConnection::descriptor() : method.input_type();
  for (int i = 0; i < type->field_count(); ++i) {
    const FieldDescriptor& field = *type->field(i);
    if (field.type() != FieldDescriptor::TYPE_STRING || field.is_repeated()) continue;
    for (const std::string& name : NamesFor(field, method, names)) {
      NamedCase one{.method = absl::StrCat("/", method.service()->full_name(), "/", method.name()),
                    .what = absl::StrCat(method.name(), ".", field.name(), " = ", name),
                    .theirs = NewRequest(method),
                    .nobodys = NewRequest(method),
                    .name = name};
      const auto set = [&](Message& request, const std::string& value) {
        Message* target = &request;
        if (is_connect) target = static_cast<v1::ConnectRequest&>(request).mutable_open();
        target->GetReflection()->SetString(target, &field, value);
      };
      set(*one.theirs, name);
      set(*one.nobodys, NeverWas(name));
      cases->push_back(std::move(one));
    }
  }
}

std::vector<const MethodDescriptor*> AllMethods() {
  std::vector<const MethodDescriptor*> methods;
  for (const Descriptor* of :
       {v1::RunCodeRequest::descriptor(), v1::CreateSandboxRequest::descriptor(),
        v1::ListInterpretersRequest::descriptor(), v1::StatFileRequest::descriptor(),
        v1::PostMessageRequest::descriptor(), v1::GetInfoRequest::descriptor()}) {
    for (int i = 0; i < of->file()->service_count(); ++i) {
      const auto* const service = of->file()->service(i);
      for (int j = 0; j < service->method_count(); ++j) methods.push_back(service->method(j));
    }
  }
  return methods;
}

TEST_F(TenantTest, AnothersNamesAreAsThoseThatNeverWere) {
  const Names names = MakeThings(server_, [] { return As("one"); });
  std::vector<NamedCase> cases;
  std::set<std::string> nameless;
  for (const MethodDescriptor* method : AllMethods()) {
    const size_t before = cases.size();
    AddCases(*method, names, &cases);
    if (cases.size() == before) nameless.insert(std::string(method->name()));
  }
  // Those that take no name at all.
  EXPECT_THAT(nameless,
              ::testing::ElementsAre("GetInfo", "ListSandboxes", "ListSnapshots", "MapCode"));
  for (const NamedCase& one : cases) {
    const grpc::Status theirs = Call(one.method, *one.theirs, "two");
    const grpc::Status nobodys = Call(one.method, *one.nobodys, "two");
    EXPECT_EQ(theirs.error_code(), grpc::StatusCode::NOT_FOUND)
        << one.what << ": " << theirs.error_message();
    EXPECT_THAT(Reason(theirs), ::testing::EndsWith("_NOT_FOUND")) << one.what;
    // To the byte, but for the name itself, which is as long.
    const auto neutral = [&](const std::string& text) {
      const auto part = [](const std::string& name) { return name.substr(0, name.find("/inter")); };
      return absl::StrReplaceAll(text, {{part(one.name), "?"}, {part(NeverWas(one.name)), "?"}});
    };
    EXPECT_EQ(neutral(theirs.error_message()), neutral(nobodys.error_message())) << one.what;
    EXPECT_EQ(neutral(theirs.error_details()), neutral(nobodys.error_details())) << one.what;
    EXPECT_EQ(theirs.error_code(), nobodys.error_code()) << one.what;
  }
  // All of it is there still.
  v1::GetSandboxRequest get;
  get.set_name(names.sandbox);
  v1::GetSandboxResponse got;
  EXPECT_TRUE(server_->sandboxes().GetSandbox(As("one").get(), get, &got).ok());
  v1::DeleteSandboxRequest end;
  end.set_name(names.sandbox);
  v1::DeleteSandboxResponse ended;
  EXPECT_TRUE(server_->sandboxes().DeleteSandbox(As("one").get(), end, &ended).ok());
}

TEST_F(TenantTest, ListsAndCountsShowOnesOwn) {
  const Names names = MakeThings(server_, [] { return As("one"); });
  v1::ListSandboxesResponse sandboxes;
  ASSERT_TRUE(server_->sandboxes().ListSandboxes(As("two").get(), {}, &sandboxes).ok());
  EXPECT_THAT(sandboxes.sandboxes(), IsEmpty());
  v1::ListSnapshotsResponse snapshots;
  ASSERT_TRUE(server_->sandboxes().ListSnapshots(As("two").get(), {}, &snapshots).ok());
  EXPECT_THAT(snapshots.snapshots(), IsEmpty());
  v1::GetInfoResponse info;
  ASSERT_TRUE(GetInfo({"Bearer two-token"}, &info).ok());
  EXPECT_EQ(info.live_sandboxes().count(), 0);
  EXPECT_EQ(info.live_sandboxes().snapshot_count(), 0);
  ASSERT_TRUE(GetInfo({"Bearer one-token"}, &info).ok());
  EXPECT_GE(info.live_sandboxes().count(), 1);
  v1::DeleteSandboxRequest end;
  end.set_name(names.sandbox);
  v1::DeleteSandboxResponse ended;
  EXPECT_TRUE(server_->sandboxes().DeleteSandbox(As("one").get(), end, &ended).ok());
}

TEST_F(TenantTest, RequestIdsAreEachTenantsOwn) {
  v1::RunCodeRequest request;
  request.set_request_id("the-same");
  request.mutable_program()->set_code("print('one')");
  v1::RunCodeResponse first, second;
  ASSERT_TRUE(server_->executions().RunCode(As("one").get(), request, &first).ok());
  request.mutable_program()->set_code("print('two')");
  ASSERT_TRUE(server_->executions().RunCode(As("two").get(), request, &second).ok());
  EXPECT_EQ(first.stdout(), "one\n");
  EXPECT_EQ(second.stdout(), "two\n");
}

}  // namespace
}  // namespace cloister::testing
