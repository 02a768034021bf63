#include "service/core/interpreter_requests.h"

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "service/core/interpreter_bounds.h"
#include "service/core/mailbox_failure.h"

namespace cloister::core {
namespace {

using internal::v1::MailboxFailure;
using internal::v1::MailboxReply;
using internal::v1::MailboxRequest;

MailboxReply Refused(std::string_view why) {
  return FailureReply(MailboxFailure::REASON_REFUSED, why);
}

std::string NameOf(const std::string& sandbox, const std::string& id) {
  return absl::StrCat(sandbox, "/interpreters/", id);
}

constexpr char kNoHome[] = "the sandbox is at its end";

// The sandbox that an interpreter is in; null where it has none any more.
sandbox::Sandbox* HomeOf(const SandboxManager& sandboxes, const std::string& interpreter) {
  const std::string sandbox = SplitInterpreterName(interpreter).sandbox;
  const auto main = sandboxes.FindLive(NameOf(sandbox, kMainInterpreter));
  if (!main.ok() || (*main)->incarnation() == nullptr) return nullptr;
  return (*main)->incarnation()->sandbox();
}

std::string_view MessageOf(const absl::Status& status) {
  const absl::string_view message = status.message();
  return {message.data(), message.size()};
}

std::optional<v1::Interpreter::Profile> ProfileOf(const std::string& name) {
  if (name.empty()) return v1::Interpreter::PROFILE_UNSPECIFIED;
  if (name == "isolated") return v1::Interpreter::PROFILE_ISOLATED;
  if (name == "shared_gil") return v1::Interpreter::PROFILE_SHARED_GIL;
  if (name == "process") return v1::Interpreter::PROFILE_PROCESS;
  return std::nullopt;
}

// What keeps a wish from being one; empty where nothing does.
std::string ProblemWith(const internal::v1::SpawnInterpreter& wish) {
  const std::string id_problem = InterpreterIdProblem(wish.interpreter_id());
  if (!id_problem.empty()) return absl::StrCat("the name: ", id_problem);
  const auto profile = ProfileOf(wish.profile());
  if (!profile.has_value())
    return "the profile: must be \"isolated\", \"shared_gil\", \"process\", or empty";
  if (wish.imports_size() > kMaximumImports)
    return absl::StrCat("the imports: at most ", kMaximumImports);
  for (const std::string& import : wish.imports()) {
    if (const std::string problem = ImportProblem(import); !problem.empty()) {
      return absl::StrCat("an import: ", problem);
    }
  }
  const int64_t memory = wish.memory_limit_bytes();
  if (memory == 0) return "";
  if (*profile != v1::Interpreter::PROFILE_ISOLATED)
    return "memory_limit_bytes: only isolated interpreters have memory of their own";
  return memory >= kLeastInterpreterMemoryBytes
             ? ""
             : absl::StrCat("memory_limit_bytes: at least ", kLeastInterpreterMemoryBytes);
}

}  // namespace

GuestRequests::AbandonFunction InterpreterRequests::Serve(const std::string& interpreter,
                                                          MailboxRequest request,
                                                          AnswerFunction answer) {
  switch (request.request_case()) {
    case MailboxRequest::kOpenPort:
      OpenPort(interpreter, request.open_port().interpreter(), answer);
      return nullptr;
    case MailboxRequest::kOpenChannel:
      OpenChannel(interpreter, request.open_channel(), answer);
      return nullptr;
    case MailboxRequest::kRemoveChannel:
      RemoveChannel(interpreter, request.remove_channel().name(), answer);
      return nullptr;
    case MailboxRequest::kCallInterpreter:
      return Call(interpreter, std::move(*request.mutable_call_interpreter()), std::move(answer));
    case MailboxRequest::kSpawnInterpreter:
      return Spawn(interpreter, request.spawn_interpreter(), std::move(answer));
    case MailboxRequest::kEndSpawned:
      End(interpreter, request.end_spawned().interpreter(), std::move(answer));
      return nullptr;
    default:
      answer(Refused("there is no such request"), {});
      return nullptr;
  }
}

void InterpreterRequests::OpenPort(const std::string& from, const std::string& id,
                                   const AnswerFunction& answer) {
  const std::string sandbox = SplitInterpreterName(from).sandbox;
  const auto live = context_.sandboxes->FindLive(NameOf(sandbox, id));
  if (!live.ok()) return answer(FailureReply(live.status()), {});
  absl::StatusOr<sandbox::UniqueFd> sender = (*live)->mail().OpenSender();
  if (!sender.ok()) {
    return answer(FailureReply(MailboxFailure::REASON_CLOSED,
                               absl::StrCat(id, ": ", std::string(sender.status().message()))),
                  {});
  }
  MailboxReply reply;
  reply.mutable_descriptor_sent();
  std::vector<sandbox::UniqueFd> descriptors;
  descriptors.push_back(*std::move(sender));
  answer(std::move(reply), std::move(descriptors));
}

void InterpreterRequests::OpenChannel(const std::string& from,
                                      const internal::v1::OpenChannel& wish,
                                      const AnswerFunction& answer) {
  sandbox::Sandbox* const sandbox = HomeOf(*context_.sandboxes, from);
  if (sandbox == nullptr) return answer(FailureReply(MailboxFailure::REASON_CLOSED, kNoHome), {});
  const auto capacity = wish.has_capacity() ? std::make_optional(wish.capacity()) : std::nullopt;
  absl::StatusOr<sandbox::NamedChannel> channel = sandbox->OpenChannel(wish.name(), capacity);
  if (!channel.ok()) {
    return answer(
        FailureReply(absl::IsResourceExhausted(channel.status()) ? MailboxFailure::REASON_TOO_MANY
                                                                 : MailboxFailure::REASON_REFUSED,
                     MessageOf(channel.status())),
        {});
  }
  MailboxReply reply;
  reply.mutable_channel_sent()->set_capacity(channel->capacity);
  answer(std::move(reply), std::move(channel->descriptors));
}

void InterpreterRequests::RemoveChannel(const std::string& from, const std::string& name,
                                        const AnswerFunction& answer) {
  sandbox::Sandbox* const sandbox = HomeOf(*context_.sandboxes, from);
  if (sandbox == nullptr) return answer(FailureReply(MailboxFailure::REASON_CLOSED, kNoHome), {});
  const absl::Status removed = sandbox->RemoveChannel(name);
  if (!removed.ok()) {
    return answer(FailureReply(MailboxFailure::REASON_NOT_FOUND, MessageOf(removed)), {});
  }
  MailboxReply reply;
  reply.mutable_done();
  answer(std::move(reply), {});
}

GuestRequests::AbandonFunction InterpreterRequests::Call(const std::string& from,
                                                         internal::v1::CallInterpreter call,
                                                         AnswerFunction answer) {
  const InterpreterName caller = SplitInterpreterName(from);
  if (call.interpreter() == caller.id) {
    answer(
        Refused(
            "an interpreter that calls itself would wait for itself for ever; call the function"),
        {});
    return nullptr;
  }
  const std::string called = NameOf(caller.sandbox, call.interpreter());
  // Kept by whoever may abandon it; it does not outlive its answer.
  auto kept = std::make_shared<std::shared_ptr<InterpreterCall>>();
  *kept = std::make_shared<InterpreterCall>(
      context_.clone_of,
      [answer = std::move(answer)](MailboxReply reply) { answer(std::move(reply), {}); });
  const std::shared_ptr<InterpreterCall> started = *kept;
  started->Start(*context_.executions, called, std::move(call));
  return [kept] { kept->reset(); };
}

GuestRequests::AbandonFunction InterpreterRequests::Spawn(
    const std::string& from, const internal::v1::SpawnInterpreter& wish, AnswerFunction answer) {
  if (const std::string problem = ProblemWith(wish); !problem.empty()) {
    answer(Refused(problem), {});
    return nullptr;
  }
  CreateInterpreterRequest request;
  request.sandbox = SplitInterpreterName(from).sandbox;
  request.spec.id = wish.interpreter_id();
  request.spec.profile = *ProfileOf(wish.profile());
  request.spec.memory_bytes = wish.memory_limit_bytes();
  request.spec.imports = {wish.imports().begin(), wish.imports().end()};
  const std::string sandbox = request.sandbox;
  auto abandon = spawns_.Enter(
      sandbox, [this, request = std::move(request), answer](std::function<void()> over) {
        return Make(request, [answer, over = std::move(over)](
                                 MailboxReply reply, std::vector<sandbox::UniqueFd> descriptors) {
          answer(std::move(reply), std::move(descriptors));
          over();
        });
      });
  if (abandon == nullptr) {
    answer(FailureReply(MailboxFailure::REASON_TOO_MANY,
                        "as many interpreters as may wait are to be started already"),
           {});
  }
  return abandon;
}

GuestRequests::AbandonFunction InterpreterRequests::Make(CreateInterpreterRequest request,
                                                         AnswerFunction answer) {
  const auto answered = std::make_shared<bool>(false);
  const auto creation = context_.interpreters->Create(
      std::move(request), [answer, answered](const absl::StatusOr<v1::Interpreter>& made) {
        if (std::exchange(*answered, true)) return;
        if (!made.ok()) return answer(FailureReply(made.status()), {});
        MailboxReply reply;
        reply.set_interpreter(SplitInterpreterName(made->name()).id);
        answer(std::move(reply), {});
      });
  if (!creation.ok()) {
    if (!std::exchange(*answered, true)) answer(FailureReply(creation.status()), {});
    return nullptr;
  }
  return [interpreters = context_.interpreters, creation = *creation] {
    interpreters->Abandon(creation);
  };
}

void InterpreterRequests::End(const std::string& from, const std::string& id,
                              AnswerFunction answer) {
  const InterpreterName caller = SplitInterpreterName(from);
  if (id == kMainInterpreter) return answer(Refused("main lives as long as its sandbox"), {});
  if (id == caller.id)
    return answer(Refused("an interpreter cannot end itself so; let its code end"), {});
  const absl::Status begun = context_.interpreters->Delete(
      NameOf(caller.sandbox, id), [answer](const std::vector<std::string>&) {
        MailboxReply reply;
        reply.mutable_done();
        answer(std::move(reply), {});
      });
  if (!begun.ok()) answer(FailureReply(begun), {});
}

}  // namespace cloister::core
