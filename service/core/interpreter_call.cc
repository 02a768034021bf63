#include "service/core/interpreter_call.h"

#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "service/core/mailbox_failure.h"

namespace cloister::core {
namespace {

using internal::v1::MailboxFailure;
using internal::v1::MailboxReply;

// The name in "def NAME(" at the front of a line; empty where the line is none.
std::string_view DefinedOn(absl::string_view line) {
  absl::ConsumePrefix(&line, "async ");
  if (!absl::ConsumePrefix(&line, "def ")) return "";
  line = absl::StripLeadingAsciiWhitespace(line);
  const size_t end = line.find_first_of("([ ");
  return end == absl::string_view::npos ? std::string_view() : std::string_view(line.data(), end);
}

}  // namespace

absl::StatusOr<std::string> FunctionOfSource(std::string_view source) {
  std::string name;
  for (const absl::string_view line :
       absl::StrSplit(absl::string_view(source.data(), source.size()), '\n')) {
    const std::string_view defined = DefinedOn(line);
    if (defined.empty()) continue;
    if (!name.empty())
      return absl::InvalidArgumentError("the source defines more than one function");
    name = std::string(defined);
  }
  if (name.empty()) return absl::InvalidArgumentError("the source defines no function");
  return name;
}

void InterpreterCall::Start(ExecutionManager& executions, const std::string& interpreter,
                            internal::v1::CallInterpreter call) {
  ExecutionRequest request;
  request.interpreter = interpreter;
  request.is_inner = true;
  v1::Program& program = request.program.program;
  std::string function = call.name();
  if (call.has_source()) {
    absl::StatusOr<std::string> defined = FunctionOfSource(call.source());
    if (!defined.ok()) {
      return Answer(
          FailureReply(MailboxFailure::REASON_REFUSED, std::string(defined.status().message())));
    }
    function = *std::move(defined);
    program.set_code(std::move(*call.mutable_source()));
  }
  program.mutable_call()->set_function(std::move(function));
  program.set_value_form(v1::VALUE_FORM_TYPED);
  *request.program.clones.mutable_arguments() = std::move(*call.mutable_arguments());
  *request.program.clones.mutable_keyword_arguments() =
      std::move(*call.mutable_keyword_arguments());
  request.program.returns_clone = true;
  request.cell.options.set_skip_history(true);
  absl::StatusOr<std::shared_ptr<Execution>> execution = executions.Start(std::move(request));
  if (!execution.ok()) return Answer(FailureReply(execution.status()));
  auto subscription = (*execution)->Subscribe(this, ReaderRole::kOwner);
  if (!subscription.ok()) return Answer(FailureReply(subscription.status()));
  subscription_ = *std::move(subscription);
  OnProgress();
}

void InterpreterCall::OnProgress() {
  if (subscription_ == nullptr || !subscription_->execution().ended()) return;
  const std::unique_ptr<Subscription> subscription = std::move(subscription_);
  Answer(ReplyOf(subscription->execution().result()));
}

MailboxReply InterpreterCall::ReplyOf(const ExecutionResult& result) const {
  if (!result.status.ok()) return FailureReply(result.status);
  const v1::Outcome& outcome = result.outcome;
  MailboxReply reply;
  if (outcome.kind() == v1::Outcome::KIND_SUCCEEDED && !result.value_clone.empty()) {
    reply.set_value(result.value_clone);
    return reply;
  }
  if (outcome.kind() == v1::Outcome::KIND_SUCCEEDED) {
    return FailureReply(
        MailboxFailure::REASON_REFUSED,
        absl::StrCat("what it returned cannot be sent: ", outcome.value().clone_error()));
  }
  if (outcome.kind() == v1::Outcome::KIND_RAISED) {
    reply.set_exception(clone_of_(outcome.exception()));
    return reply;
  }
  return FailureReply(
      MailboxFailure::REASON_ENDED,
      absl::StrCat("the call ended with ",
                   absl::StripPrefix(v1::Outcome::Kind_Name(outcome.kind()), "KIND_"),
                   outcome.detail().empty() ? "" : ": ", outcome.detail()));
}

void InterpreterCall::Answer(MailboxReply reply) {
  const AnswerFunction answer = std::move(answer_);
  answer(std::move(reply));  // may destroy this
}

}  // namespace cloister::core
