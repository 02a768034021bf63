// What code in one interpreter asks about the others of its sandbox.

#include "service/core/interpreter_requests.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>

#include "gmock/gmock.h"
#include "tests/unit/service_core/interpreter_fixture.h"

namespace cloister::core {
namespace {

using internal::v1::MailboxFailure;
using internal::v1::MailboxReply;
using internal::v1::MailboxRequest;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class InterpreterRequestsTest : public InterpreterTest {
 protected:
  InterpreterRequestsTest() {
    // Of sandboxes made from here on.
    sandboxes_.SetGuestRequests(&requests_);
    (void)sandboxes_.Delete(sandbox_);
    home_ = MakeReady();
  }

  testing::FakeMailbox& main() { return guest_->post; }
  // Asked by main.
  MailboxReply Ask(const MailboxRequest& request) {
    const int64_t number = main().Say(request);
    loop_.Run();
    return main().answers[number];
  }
  static MailboxRequest NewCall(const std::string& interpreter, const std::string& name) {
    MailboxRequest request;
    request.mutable_call_interpreter()->set_interpreter(interpreter);
    request.mutable_call_interpreter()->set_name(name);
    request.mutable_call_interpreter()->set_arguments("arguments");
    return request;
  }
  static MailboxRequest NewSpawn(const std::string& id, const std::string& profile = "") {
    MailboxRequest request;
    request.mutable_spawn_interpreter()->set_interpreter_id(id);
    request.mutable_spawn_interpreter()->set_profile(profile);
    return request;
  }
  static MailboxRequest NewEnd(const std::string& id) {
    MailboxRequest request;
    request.mutable_end_spawned()->set_interpreter(id);
    return request;
  }
  void MakeOther() { EXPECT_EQ(Ask(NewSpawn("other", "isolated")).interpreter(), "other"); }
  sandbox::ExecutionEnd EndWith(v1::Outcome::Kind kind) {
    sandbox::ExecutionEnd end;
    end.outcome.set_kind(kind);
    end.outcome.set_state_preserved(true);
    return end;
  }

  InterpreterRequests requests_{
      {.sandboxes = &sandboxes_,
       .interpreters = &interpreters_,
       .executions = &executions_,
       .clone_of = [](const v1::Exception& raised) { return "clone of " + raised.type(); }}};
  std::string home_;
};

TEST_F(InterpreterRequestsTest, APortLeadsIntoAnInbox) {
  MakeOther();
  MailboxRequest request;
  request.mutable_open_port()->set_interpreter("other");
  EXPECT_TRUE(Ask(request).has_descriptor_sent());
  EXPECT_THAT(main().descriptors[main().last_request], SizeIs(1));
  request.mutable_open_port()->set_interpreter("main");
  EXPECT_TRUE(Ask(request).has_descriptor_sent());
  for (const char* name : {"none", "../x/interpreters/main", "sandboxes/x"}) {
    request.mutable_open_port()->set_interpreter(name);
    EXPECT_EQ(Ask(request).failure().reason(), MailboxFailure::REASON_NOT_FOUND);
  }
}

TEST_F(InterpreterRequestsTest, ChannelsWithNamesAreTheSandboxs) {
  MailboxRequest request;
  request.mutable_open_channel()->set_name("jobs");
  request.mutable_open_channel()->set_capacity(3);
  EXPECT_EQ(Ask(request).channel_sent().capacity(), 3);
  EXPECT_THAT(main().descriptors[main().last_request], SizeIs(3));
  // From another interpreter as well.
  MakeOther();
  request.mutable_open_channel()->clear_capacity();
  const int64_t number = fake(0)->post.Say(request);
  loop_.Run();
  EXPECT_EQ(fake(0)->post.answers[number].channel_sent().capacity(), 3);
  request.mutable_open_channel()->set_capacity(4);
  EXPECT_EQ(Ask(request).failure().reason(), MailboxFailure::REASON_REFUSED);
  request.mutable_remove_channel()->set_name("jobs");
  EXPECT_TRUE(Ask(request).has_done());
  EXPECT_EQ(Ask(request).failure().reason(), MailboxFailure::REASON_NOT_FOUND);
}

TEST_F(InterpreterRequestsTest, ACallIsAnExecutionWithTheResultAsAClone) {
  MakeOther();
  const int64_t number = main().Say(NewCall("other", "module:f"));
  loop_.Run();
  ASSERT_TRUE(fake(0)->running());
  EXPECT_TRUE(fake(0)->program.returns_clone);
  EXPECT_EQ(fake(0)->program.program.call().function(), "module:f");
  EXPECT_EQ(fake(0)->program.clones.arguments(), "arguments");
  EXPECT_EQ(fake(0)->cell().execution_count, 0) << "it leaves no history";
  sandbox::ExecutionEnd end = EndWith(v1::Outcome::KIND_SUCCEEDED);
  end.value_clone = "result";
  fake(0)->Finish(std::move(end));
  loop_.Run();
  EXPECT_EQ(main().answers[number].value(), "result");
}

TEST_F(InterpreterRequestsTest, WhatACallRaisesIsTold) {
  MakeOther();
  const int64_t number = main().Say(NewCall("other", "f"));
  loop_.Run();
  sandbox::ExecutionEnd end = EndWith(v1::Outcome::KIND_RAISED);
  end.outcome.mutable_exception()->set_type("ValueError");
  fake(0)->Finish(std::move(end));
  loop_.Run();
  EXPECT_EQ(main().answers[number].exception(), "clone of ValueError");
}

TEST_F(InterpreterRequestsTest, ACallThatEndsOtherwiseSaysHow) {
  MakeOther();
  const int64_t timed_out = main().Say(NewCall("other", "f"));
  loop_.Run();
  fake(0)->Finish(EndWith(v1::Outcome::KIND_WALL_TIMEOUT));
  loop_.Run();
  EXPECT_EQ(main().answers[timed_out].failure().reason(), MailboxFailure::REASON_ENDED);
  EXPECT_THAT(main().answers[timed_out].failure().message(), HasSubstr("WALL_TIMEOUT"));
  const int64_t unsendable = main().Say(NewCall("other", "f"));
  loop_.Run();
  sandbox::ExecutionEnd end = EndWith(v1::Outcome::KIND_SUCCEEDED);
  end.outcome.mutable_value()->set_clone_error("$: socket.socket cannot be cloned");
  fake(0)->Finish(std::move(end));
  loop_.Run();
  EXPECT_EQ(main().answers[unsendable].failure().reason(), MailboxFailure::REASON_REFUSED);
  EXPECT_THAT(main().answers[unsendable].failure().message(), HasSubstr("socket.socket"));
}

TEST_F(InterpreterRequestsTest, CallsThatCannotBeAreRefused) {
  EXPECT_EQ(Ask(NewCall("main", "f")).failure().reason(), MailboxFailure::REASON_REFUSED);
  EXPECT_EQ(Ask(NewCall("none", "f")).failure().reason(), MailboxFailure::REASON_NOT_FOUND);
  MakeOther();
  MailboxRequest request = NewCall("other", "");
  for (const char* source : {"x = 1", "def f(): pass\ndef g(): pass\n", ""}) {
    request.mutable_call_interpreter()->set_source(source);
    EXPECT_EQ(Ask(request).failure().reason(), MailboxFailure::REASON_REFUSED) << source;
  }
  fake(0)->Lose(v1::Outcome::KIND_SIGNALED);
  EXPECT_EQ(Ask(NewCall("other", "f")).failure().reason(), MailboxFailure::REASON_CLOSED);
}

TEST_F(InterpreterRequestsTest, TheNameOfAFunctionIsFoundInItsSource) {
  EXPECT_EQ(*FunctionOfSource("def f(x):\n  return x\n"), "f");
  EXPECT_EQ(*FunctionOfSource("@decorated\nasync def  g ():\n  def h(): pass\n"), "g");
  EXPECT_EQ(*FunctionOfSource("def generic[T](x: T): pass"), "generic");
  EXPECT_FALSE(FunctionOfSource("class C:\n  def f(self): pass\n").ok());
  EXPECT_FALSE(FunctionOfSource("def").ok());
}

TEST_F(InterpreterRequestsTest, ACallNobodyWaitsForIsInterrupted) {
  MakeOther();
  const int64_t number = main().Say(NewCall("other", "f"));
  loop_.Run();
  main().SayGone(number);
  EXPECT_THAT(fake(0)->interrupts(), SizeIs(1));
  fake(0)->Finish(v1::Outcome::KIND_INTERRUPTED);
  loop_.Run();
  EXPECT_FALSE(main().answers.contains(number));
}

TEST_F(InterpreterRequestsTest, ACallEndsWithItsCaller) {
  MakeOther();
  main().Say(NewCall("other", "f"));
  loop_.Run();
  ASSERT_TRUE(fake(0)->running());
  EXPECT_TRUE(sandboxes_.Delete(home_).ok());
  loop_.Run();
}

TEST_F(InterpreterRequestsTest, SpawnedOnesAreOrdinaryAndCanBeEnded) {
  MakeOther();
  EXPECT_EQ(interpreters_.Get(home_ + "/interpreters/other")->profile(), kIsolated);
  const std::string chosen = Ask(NewSpawn("")).interpreter();
  EXPECT_TRUE(interpreters_.Get(home_ + "/interpreters/" + chosen).ok());
  const int64_t number = main().Say(NewEnd("other"));
  EXPECT_FALSE(main().answers.contains(number));
  fake(0)->ending(absl::OkStatus());
  loop_.Run();
  EXPECT_TRUE(main().answers[number].has_done());
  EXPECT_EQ(Ask(NewEnd("other")).failure().reason(), MailboxFailure::REASON_NOT_FOUND);
}

TEST_F(InterpreterRequestsTest, BadWishesAreRefused) {
  const auto reason = [this](const MailboxRequest& request) {
    return Ask(request).failure().reason();
  };
  EXPECT_EQ(reason(NewSpawn("main")), MailboxFailure::REASON_REFUSED);
  EXPECT_EQ(reason(NewSpawn("UPPER")), MailboxFailure::REASON_REFUSED);
  EXPECT_EQ(reason(NewSpawn("x", "main")), MailboxFailure::REASON_REFUSED);
  MailboxRequest request = NewSpawn("x");
  request.mutable_spawn_interpreter()->add_imports(".relative");
  EXPECT_EQ(reason(request), MailboxFailure::REASON_REFUSED);
  request = NewSpawn("x", "process");
  request.mutable_spawn_interpreter()->set_memory_limit_bytes(1 << 30);
  EXPECT_EQ(reason(request), MailboxFailure::REASON_REFUSED);
  request = NewSpawn("x", "isolated");
  request.mutable_spawn_interpreter()->set_memory_limit_bytes(1);
  EXPECT_EQ(reason(request), MailboxFailure::REASON_REFUSED);
  EXPECT_EQ(reason(NewEnd("main")), MailboxFailure::REASON_REFUSED);
  MakeOther();
  EXPECT_EQ(reason(NewSpawn("other")), MailboxFailure::REASON_REFUSED);
  const int64_t own = fake(0)->post.Say(NewEnd("other"));
  EXPECT_EQ(fake(0)->post.answers[own].failure().reason(), MailboxFailure::REASON_REFUSED);
}

TEST_F(InterpreterRequestsTest, AsManyAsASandboxMayHave) {
  for (int i = 0; i < 3; ++i) (void)Ask(NewSpawn(""));
  EXPECT_EQ(Ask(NewSpawn("")).failure().reason(), MailboxFailure::REASON_TOO_MANY);
}

TEST_F(InterpreterRequestsTest, SpawnsTakeTurns) {
  factory_.answer_interpreters = false;
  const int64_t first = main().Say(NewSpawn("first"));
  const int64_t second = main().Say(NewSpawn("second"));
  const int64_t third = main().Say(NewSpawn("third"));
  loop_.Run();
  EXPECT_TRUE(interpreters_.Get(home_ + "/interpreters/first").ok());
  EXPECT_FALSE(interpreters_.Get(home_ + "/interpreters/second").ok()) << "it waits";
  main().SayGone(second);
  main().SayGone(first);
  EXPECT_THAT(guest_->abandoned_interpreters, SizeIs(1)) << "the second was not begun";
  EXPECT_TRUE(interpreters_.Get(home_ + "/interpreters/third").ok()) << "and so it is its turn";
  EXPECT_FALSE(main().answers.contains(third));
}

TEST_F(InterpreterRequestsTest, SpawnsThatWaitAreBounded) {
  factory_.answer_interpreters = false;
  for (size_t i = 0; i <= SpawnTurns::kMaximumWaiting; ++i) {
    const int64_t number = main().Say(NewSpawn(""));
    EXPECT_FALSE(main().answers.contains(number));
  }
  EXPECT_EQ(Ask(NewSpawn("")).failure().reason(), MailboxFailure::REASON_TOO_MANY);
  EXPECT_TRUE(sandboxes_.Delete(home_).ok());
  loop_.Run();
}

TEST_F(InterpreterRequestsTest, ASpawnNobodyWaitsForIsCalledBack) {
  factory_.answer_interpreters = false;
  const int64_t number = main().Say(NewSpawn("other"));
  loop_.Run();
  main().SayGone(number);
  EXPECT_THAT(guest_->abandoned_interpreters, SizeIs(1));
}

}  // namespace
}  // namespace cloister::core
