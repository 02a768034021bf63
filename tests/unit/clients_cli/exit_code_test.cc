#include "clients/cli/commands/exit_code.h"

#include "gtest/gtest.h"

namespace cloister::cli {
namespace {

int CodeOf(v1::Outcome::Kind kind, int exit_code = 0, int signal = 0) {
  v1::Outcome outcome;
  outcome.set_kind(kind);
  outcome.set_exit_code(exit_code);
  outcome.set_signal(signal);
  return ExitCodeFor(outcome);
}

TEST(ExitCodeTest, ProgramsThatEndThemselvesKeepTheirs) {
  EXPECT_EQ(CodeOf(v1::Outcome::KIND_SUCCEEDED), 0);
  EXPECT_EQ(CodeOf(v1::Outcome::KIND_RAISED), 1);
  EXPECT_EQ(CodeOf(v1::Outcome::KIND_EXITED, 0), 0);
  EXPECT_EQ(CodeOf(v1::Outcome::KIND_EXITED, 42), 42);
  EXPECT_EQ(CodeOf(v1::Outcome::KIND_SIGNALED, 0, 11), 139);
  EXPECT_EQ(CodeOf(v1::Outcome::KIND_SIGNALED, 0, 9), 137);
}

TEST(ExitCodeTest, LimitsHaveCodesOfTheirOwn) {
  EXPECT_EQ(CodeOf(v1::Outcome::KIND_WALL_TIMEOUT), 124);
  EXPECT_EQ(CodeOf(v1::Outcome::KIND_CPU_TIMEOUT), 124);
  EXPECT_EQ(CodeOf(v1::Outcome::KIND_MEMORY_LIMIT), 137);
  EXPECT_EQ(CodeOf(v1::Outcome::KIND_OUTPUT_LIMIT), 153);
  EXPECT_EQ(CodeOf(v1::Outcome::KIND_POLICY_VIOLATION, 0, 31), 159);
  EXPECT_EQ(CodeOf(v1::Outcome::KIND_INTERRUPTED), 130);
  EXPECT_EQ(CodeOf(v1::Outcome::KIND_INTERPRETER_LOST), 70);
}

TEST(ExitCodeTest, OnlySuccessIsZero) {
  for (int kind = v1::Outcome::Kind_MIN; kind <= v1::Outcome::Kind_MAX; ++kind) {
    if (kind == v1::Outcome::KIND_SUCCEEDED) continue;
    EXPECT_NE(CodeOf(static_cast<v1::Outcome::Kind>(kind), 1, 1), 0) << kind;
  }
  EXPECT_EQ(CodeOf(static_cast<v1::Outcome::Kind>(999)), 70);
}

TEST(ExitCodeTest, TellsWhoseFaultARefusalIs) {
  EXPECT_EQ(ExitCodeFor(grpc::Status::OK), 0);
  EXPECT_EQ(ExitCodeFor(grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "")), 2);
  EXPECT_EQ(ExitCodeFor(grpc::Status(grpc::StatusCode::NOT_FOUND, "")), 2);
  EXPECT_EQ(ExitCodeFor(grpc::Status(grpc::StatusCode::OUT_OF_RANGE, "")), 2);
  EXPECT_EQ(ExitCodeFor(grpc::Status(grpc::StatusCode::ALREADY_EXISTS, "")), 2);
  // A profile or an import that is not to be had, a path that is refused, a sandbox that was lost.
  EXPECT_EQ(ExitCodeFor(grpc::Status(grpc::StatusCode::FAILED_PRECONDITION, "")), 2);
  EXPECT_EQ(ExitCodeFor(grpc::Status(grpc::StatusCode::UNAVAILABLE, "")), 69);
  // An interpreter is busy.
  EXPECT_EQ(ExitCodeFor(grpc::Status(grpc::StatusCode::ABORTED, "")), 69);
  EXPECT_EQ(ExitCodeFor(grpc::Status(grpc::StatusCode::DEADLINE_EXCEEDED, "")), 69);
  EXPECT_EQ(ExitCodeFor(grpc::Status(grpc::StatusCode::INTERNAL, "")), 70);
}

}  // namespace
}  // namespace cloister::cli
