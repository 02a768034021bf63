// The part of SpawnerClient that hears what the spawner says.

#include <sys/socket.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "sandbox/host/host_sandbox.h"
#include "sandbox/host/member_process.h"
#include "sandbox/host/spawner_client.h"
#include "sandbox/wire/packet_socket.h"

namespace cloister::sandbox {
namespace {

using internal::v1::SpawnerEvent;

// Events handled before others get their turn on the loop.
constexpr int kEventsPerTurn = 64;

absl::Status StatusOf(const internal::v1::SandboxFailed& failed) {
  switch (failed.cause()) {
    case internal::v1::FAILURE_CAUSE_REFUSED:
      return absl::FailedPreconditionError(failed.message());
    case internal::v1::FAILURE_CAUSE_UNSUPPORTED:
      return absl::UnimplementedError(failed.message());
    default:
      return absl::InternalError(failed.message());
  }
}

}  // namespace

void SpawnerClient::ReceiveEvents() {
  const std::weak_ptr<char> alive = alive_;
  for (int i = 0; i < kEventsPerTurn; ++i) {
    SpawnerEvent event;
    std::vector<UniqueFd> descriptors;
    const absl::Status status = ReceivePacket(socket_.fd(), &event, &descriptors, MSG_DONTWAIT);
    if (absl::IsUnavailable(status)) break;
    if (absl::IsOutOfRange(status)) return LoseSpawner("the spawner ended");
    if (!status.ok()) return LoseSpawner(status.ToString());
    HandleEvent(event, std::move(descriptors));
    if (alive.expired() || lost_) return;
  }
  socket_.WaitReadable([this] { ReceiveEvents(); });
}

void SpawnerClient::HandleEvent(const SpawnerEvent& event, std::vector<UniqueFd> descriptors) {
  switch (event.event_case()) {
    case SpawnerEvent::kZygoteStarted:
      return OnZygoteStarted(event.zygote_started());
    case SpawnerEvent::kZygoteFailed:
      return OnZygoteFailed(event.zygote_failed());
    case SpawnerEvent::kZygoteExited:
      return OnZygoteExited(event.zygote_exited());
    case SpawnerEvent::kSandboxCreated:
      return OnSandboxCreated(event.sandbox_created(), std::move(descriptors));
    case SpawnerEvent::kSandboxFailed:
      FailSandbox(event.sandbox_failed().sandbox_id(), StatusOf(event.sandbox_failed()));
      sandboxes_.erase(event.sandbox_failed().sandbox_id());
      return;
    case SpawnerEvent::kSandboxLimitsSet: {
      const auto entry = sandboxes_.find(event.sandbox_limits_set().sandbox_id());
      if (entry == sandboxes_.end() || entry->second.process == nullptr) return;
      return entry->second.process->OnLimitsSet(event.sandbox_limits_set().error());
    }
    case SpawnerEvent::kSandboxSignaled: {
      const auto entry = sandboxes_.find(event.sandbox_signaled().sandbox_id());
      if (entry == sandboxes_.end() || entry->second.process == nullptr) return;
      return entry->second.process->OnSignaled();
    }
    case SpawnerEvent::kSandboxExited:
      return OnSandboxExited(event.sandbox_exited());
    case SpawnerEvent::kSpawnerReady:
    case SpawnerEvent::EVENT_NOT_SET:
      return LoseSpawner("the spawner spoke out of turn; server and spawner are of one version?");
  }
}

void SpawnerClient::OnZygoteStarted(const internal::v1::ZygoteStarted& event) {
  const auto zygote = zygotes_.find(event.zygote_id());
  if (zygote == zygotes_.end() || zygote->second.done == nullptr) return;
  auto done = std::exchange(zygote->second.done, nullptr);
  done(ZygoteInfo{event.zygote_id(), event.python_version(),
                  absl::Nanoseconds(event.warm_up_nanoseconds())});
}

void SpawnerClient::OnZygoteFailed(const internal::v1::ZygoteFailed& event) {
  auto zygote = zygotes_.extract(event.zygote_id());
  if (zygote.empty() || zygote.mapped().done == nullptr) return;
  zygote.mapped().done(event.is_permanent() ? absl::InvalidArgumentError(event.message())
                                            : absl::FailedPreconditionError(event.message()));
}

void SpawnerClient::OnZygoteExited(const internal::v1::ZygoteExited& event) {
  auto zygote = zygotes_.extract(event.zygote_id());
  if (zygote.empty()) return;
  const absl::Status status =
      absl::UnavailableError(absl::StrCat("the zygote ended: ", event.reason()));
  FailWaitingCopies(zygote.mapped(), status);
  // The clones it was asked for will not come.
  std::vector<int64_t> waiting;
  for (const auto& [id, entry] : sandboxes_) {
    if (entry.zygote_id == event.zygote_id() && entry.done != nullptr) waiting.push_back(id);
  }
  const std::weak_ptr<char> alive = alive_;
  for (int64_t id : waiting) {
    FailSandbox(id, status);
    if (alive.expired()) return;
  }
  if (zygote.mapped().done != nullptr) return zygote.mapped().done(status);
  if (observer_ != nullptr) observer_->OnZygoteExited(event.zygote_id(), event.reason());
}

void SpawnerClient::OnSandboxCreated(const internal::v1::SandboxCreated& event,
                                     std::vector<UniqueFd> descriptors) {
  const int64_t id = event.sandbox_id();
  const auto found = sandboxes_.find(id);
  if (found == sandboxes_.end()) return;
  Entry& entry = found->second;
  const auto zygote = zygotes_.find(entry.zygote_id);
  if (zygote != zygotes_.end()) zygote->second.last_clone = loop_->Now();
  if (entry.done == nullptr) {  // nobody waits for it any more
    entry.kill_sent = false;    // a kill that came before it was made may have found nothing
    return Kill(id);
  }
  auto process = MakeProcess(entry, event, std::move(descriptors));
  if (!process.ok()) {
    Kill(id);
    FailSandbox(id, process.status());
    return;
  }
  entry.preparing = *std::move(process);
  entry.process = entry.preparing.get();
  if (entry.copy.has_value() && entry.copy->request.snapshot()) {
    return OnSandboxReady(id, absl::OkStatus());
  }
  entry.process->AwaitReady([this, id](const absl::Status& status) { OnSandboxReady(id, status); });
}

absl::StatusOr<std::unique_ptr<SpawnedProcess>> SpawnerClient::MakeProcess(
    const Entry& entry, const internal::v1::SandboxCreated& event,
    std::vector<UniqueFd> descriptors) {
  if (entry.is_member) return MemberProcess::Create(loop_, this, event, std::move(descriptors));
  const auto zygote = zygotes_.find(entry.zygote_id);
  const internal::v1::ZygoteSpec spec =
      zygote == zygotes_.end() ? internal::v1::ZygoteSpec() : zygote->second.spec;
  auto sandbox = HostSandbox::Create(loop_, this, event, std::move(descriptors), spec);
  if (sandbox.ok() && entry.copy.has_value()) (*sandbox)->BecomeCopy(*entry.copy);
  return sandbox;
}

void SpawnerClient::OnSandboxReady(int64_t sandbox_id, const absl::Status& status) {
  if (!status.ok()) {
    FailSandbox(sandbox_id, status);
    return;
  }
  const auto entry = sandboxes_.find(sandbox_id);
  if (entry == sandboxes_.end() || entry->second.done == nullptr) return;
  loop_->Cancel(entry->second.ready_timer);
  entry->second.handed_over = true;
  auto done = std::exchange(entry->second.done, nullptr);
  auto made = std::move(entry->second.preparing);
  if (entry->second.copy.has_value()) OnCopyAnswered(entry->second.zygote_id);
  done(std::move(made));
}

bool SpawnerClient::FailSandbox(int64_t sandbox_id, const absl::Status& status) {
  const auto entry = sandboxes_.find(sandbox_id);
  if (entry == sandboxes_.end() || entry->second.done == nullptr) return false;
  loop_->Cancel(entry->second.ready_timer);
  auto done = std::exchange(entry->second.done, nullptr);
  // Its destruction asks for the kill.
  entry->second.preparing.reset();
  if (entry->second.copy.has_value()) OnCopyAnswered(entry->second.zygote_id);
  done(status);
  return true;
}

void SpawnerClient::OnSandboxExited(const internal::v1::SandboxExited& event) {
  const int64_t id = event.sandbox_id();
  const auto entry = sandboxes_.find(id);
  if (entry == sandboxes_.end()) return;
  const bool handed_over = entry->second.handed_over;
  const bool is_member = entry->second.is_member;
  entry->second.kill_sent = true;  // there is nothing left to kill
  const std::weak_ptr<char> alive = alive_;
  if (!handed_over) {
    FailSandbox(id, absl::InternalError(absl::StrCat("the sandbox ended while it was set up (code ",
                                                     event.wait_code(), ", status ",
                                                     event.wait_status(), ")")));
  } else if (entry->second.process != nullptr) {
    entry->second.process->OnExited(event);
  }
  if (alive.expired()) return;
  sandboxes_.erase(id);
  if (!handed_over || is_member || observer_ == nullptr) return;
  observer_->OnSandboxGone(SandboxExit{id, event.peak_memory_bytes(),
                                       absl::Nanoseconds(event.cpu_nanoseconds()),
                                       absl::Nanoseconds(event.teardown_nanoseconds())});
}

void SpawnerClient::LoseSpawner(const std::string& reason) {
  lost_ = true;
  requests_.clear();
  const std::weak_ptr<char> alive = alive_;
  std::vector<int64_t> ids;
  for (const auto& [id, entry] : sandboxes_) ids.push_back(id);
  for (int64_t id : ids) {
    const auto entry = sandboxes_.find(id);
    if (entry == sandboxes_.end()) continue;
    if (!FailSandbox(id, SpawnerLostError()) && entry->second.process != nullptr) {
      entry->second.process->OnSpawnerLost();
    }
    if (alive.expired()) return;
  }
  auto zygotes = std::exchange(zygotes_, {});
  for (auto& [id, zygote] : zygotes) {
    FailWaitingCopies(zygote, SpawnerLostError());
    if (zygote.done != nullptr) zygote.done(SpawnerLostError());
    if (alive.expired()) return;
  }
  if (observer_ != nullptr) observer_->OnSpawnerLost(reason);
}

}  // namespace cloister::sandbox
