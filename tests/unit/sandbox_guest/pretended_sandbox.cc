#include "tests/unit/sandbox_guest/pretended_sandbox.h"

#include <gtest/gtest.h>

#include <utility>

namespace cloister::sandbox {
namespace {

using internal::v1::MailboxFailure;
using internal::v1::MailboxReply;
using internal::v1::MailboxRequest;

MailboxReply Failure(MailboxFailure::Reason reason, const std::string& message) {
  MailboxReply reply;
  reply.mutable_failure()->set_reason(reason);
  reply.mutable_failure()->set_message(message);
  return reply;
}

}  // namespace

PretendedSandbox::~PretendedSandbox() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    for (auto& [name, member] : members_) {
      if (!std::exchange(member->is_ended, true)) member->interpreter->End();
    }
  }
  // Waits for their threads, which use members.
  for (auto& [name, member] : members_) member->host.reset();
}

GuestInterpreter& PretendedSandbox::Add(const std::string& name) {
  return Add(name, process_.Request());
}

GuestInterpreter& PretendedSandbox::Add(const std::string& name,
                                        const internal::v1::CreateInterpreter& request) {
  const std::lock_guard<std::mutex> lock(mutex_);
  auto member = std::make_shared<Member>();
  member->interpreter = process_.Create(request);
  member->host = std::make_unique<MailboxHost>(member->interpreter.get());
  member->host->answer = [this](const MailboxRequest& request) { return Answer(request); };
  for (auto& [other, known] : members_) {
    if (known->is_ended) continue;
    known->host->AddPeer(name, member->host.get());
    member->host->AddPeer(other, known->host.get());
  }
  GuestInterpreter& interpreter = *member->interpreter;
  members_[name] = std::move(member);
  ++made_;
  return interpreter;
}

internal::v1::InterpreterEnded PretendedSandbox::End(const std::string& name) {
  const std::lock_guard<std::mutex> lock(mutex_);
  Member& member = *members_.at(name);
  if (std::exchange(member.is_ended, true)) return {};
  ++ended_;
  return member.interpreter->End();
}

std::shared_ptr<PretendedSandbox::Member> PretendedSandbox::Find(const std::string& name) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = members_.find(name);
  return found == members_.end() || found->second->is_ended ? nullptr : found->second;
}

MailboxHost::Reply PretendedSandbox::Answer(const MailboxRequest& request) {
  MailboxReply reply;
  if (request.has_spawn_interpreter()) {
    if (before_spawn) std::exchange(before_spawn, nullptr)();
    std::string name = request.spawn_interpreter().interpreter_id();
    if (name.empty()) name = "spawned" + std::to_string(++names_);
    Add(name);
    reply.set_interpreter(name);
    return reply;
  }
  if (request.has_end_spawned()) {
    const std::string& name = request.end_spawned().interpreter();
    if (Find(name) == nullptr) return Failure(MailboxFailure::REASON_NOT_FOUND, "no " + name);
    End(name);
    reply.mutable_done();
    return reply;
  }
  return Call(request.call_interpreter());
}

MailboxHost::Reply PretendedSandbox::Call(const internal::v1::CallInterpreter& call) {
  const std::shared_ptr<Member> member = Find(call.interpreter());
  if (member == nullptr) return Failure(MailboxFailure::REASON_NOT_FOUND, call.interpreter());
  internal::v1::ExecuteCell cell;
  cell.mutable_program()->mutable_call()->set_function(call.name());
  cell.mutable_program()->set_value_form(v1::VALUE_FORM_TYPED);
  cell.mutable_clones()->set_arguments(call.arguments());
  cell.mutable_clones()->set_keyword_arguments(call.keyword_arguments());
  const std::lock_guard<std::mutex> lock(member->mutex);
  member->interpreter->SendCell(std::move(cell));
  const SessionAnswer answer = member->interpreter->AwaitFirst();
  if (!answer.frame.has_finished()) {
    return Failure(MailboxFailure::REASON_CLOSED, call.interpreter() + " has ended");
  }
  if (answer.finished().kind() != internal::v1::Finished::KIND_SUCCEEDED) {
    return Failure(MailboxFailure::REASON_ENDED, answer.finished().exception().traceback());
  }
  MailboxReply reply;
  reply.set_value(answer.finished().value_clone());
  return reply;
}

}  // namespace cloister::sandbox
