// The part of the spawner that does what cloisterd asks.

#include <cstdio>
#include <utility>

#include "absl/strings/str_cat.h"
#include "sandbox/spawner/spawner.h"

namespace cloister::sandbox {

using internal::v1::SpawnerEvent;
using internal::v1::SpawnerRequest;

void Spawner::HandleRequests() {
  for (;;) {
    SpawnerRequest request;
    const absl::Status status = cloisterd_.Receive(&request, nullptr);
    if (absl::IsUnavailable(status)) return;
    if (status.ok()) {
      Dispatch(request);
    } else if (absl::IsDataLoss(status)) {
      fprintf(stderr, "cloister-spawner: %s\n", status.ToString().c_str());
    } else {
      cloisterd_gone_ = true;
      return;
    }
  }
}

void Spawner::Dispatch(const SpawnerRequest& request) {
  switch (request.request_case()) {
    case SpawnerRequest::kStartZygote:
      return StartZygote(request.start_zygote());
    case SpawnerRequest::kStopZygote:
      return StopZygote(request.stop_zygote());
    case SpawnerRequest::kCreateSandbox:
      return CreateSandbox(request.create_sandbox());
    case SpawnerRequest::kAddProcess:
      return AddProcess(request.add_process());
    case SpawnerRequest::kForkSandbox:
      return ForkSandbox(request.fork_sandbox());
    case SpawnerRequest::kSignalSandbox:
      return SignalSandbox(request.signal_sandbox());
    case SpawnerRequest::kKillSandbox:
      return KillSandbox(request.kill_sandbox().sandbox_id());
    case SpawnerRequest::kSetSandboxLimits:
      return SetSandboxLimits(request.set_sandbox_limits());
    case SpawnerRequest::REQUEST_NOT_SET:
      return;
  }
}

void Spawner::StartZygote(const internal::v1::StartZygote& request) {
  const int64_t id = request.zygote_id();
  absl::StatusOr<std::unique_ptr<ZygoteProcess>> zygote = ZygoteProcess::Start(
      poller_, cgroups_.get(), facilities_, keeper_.scratch_directory(), request,
      {.on_readable = [this, id] { HandleZygoteEvents(id); },
       .on_exit = [this, id] { OnNurseryExited(id); }});
  if (zygote.ok()) {
    zygotes_.emplace(id, *std::move(zygote));
    return;
  }
  SpawnerEvent event;
  event.mutable_zygote_failed()->set_zygote_id(id);
  event.mutable_zygote_failed()->set_message(std::string(zygote.status().message()));
  Tell(event);
}

void Spawner::StopZygote(const internal::v1::StopZygote& request) {
  const auto zygote = zygotes_.find(request.zygote_id());
  if (zygote == zygotes_.end()) return;
  request.kill() ? zygote->second->Kill() : zygote->second->Retire();
}

void Spawner::CreateSandbox(const internal::v1::CreateSandbox& request) {
  const auto zygote = zygotes_.find(request.zygote_id());
  if (zygote == zygotes_.end() || zygote->second->state() != ZygoteProcess::State::kReady) {
    return FailSandbox(request.sandbox_id(),
                       absl::StrCat("there is no ready zygote ", request.zygote_id()));
  }
  sandboxes_.emplace(request.sandbox_id(),
                     std::make_unique<LiveSandbox>(request.sandbox_id(), request.zygote_id(),
                                                   poller_, cgroups_.get()));
  zygote->second->Clone(request);
}

void Spawner::ForkSandbox(const internal::v1::ForkSandbox& request) {
  LiveSandbox* const parent = FindSandbox(request.parent_id());
  // A retired zygote still copies the sandboxes it has.
  const auto zygote = parent == nullptr ? zygotes_.end() : zygotes_.find(parent->zygote_id());
  if (zygote == zygotes_.end() || !parent->is_adopted() || parent->is_ending()) {
    return FailSandbox(request.sandbox_id(), "the sandbox to copy has ended");
  }
  auto sandbox = std::make_unique<LiveSandbox>(request.sandbox_id(), parent->zygote_id(), poller_,
                                               cgroups_.get());
  sandbox->BecomeCopy(request);
  sandboxes_.emplace(request.sandbox_id(), std::move(sandbox));
  parent->BeginCopy();
  zygote->second->Copy(request);
}

void Spawner::AddProcess(const internal::v1::AddProcess& request) {
  LiveSandbox* const home = FindSandbox(request.sandbox_id());
  const auto zygote = home == nullptr ? zygotes_.end() : zygotes_.find(home->zygote_id());
  if (zygote == zygotes_.end() || !home->is_adopted() || home->is_ending()) {
    return FailSandbox(request.process_id(), "the sandbox has ended");
  }
  if (!home->CanBeJoined()) {
    return FailSandbox(request.process_id(), "only a sandbox that runs can get a further process");
  }
  auto member = std::make_unique<LiveSandbox>(request.process_id(), home->zygote_id(), poller_,
                                              cgroups_.get());
  member->Join(*home);
  sandboxes_.emplace(request.process_id(), std::move(member));
  zygote->second->AddProcess(request, home->init());
}

void Spawner::SignalSandbox(const internal::v1::SignalSandbox& request) {
  LiveSandbox* sandbox = FindSandbox(request.sandbox_id());
  if (sandbox != nullptr) sandbox->Signal(request.signal());
  SpawnerEvent event;
  event.mutable_sandbox_signaled()->set_sandbox_id(request.sandbox_id());
  Tell(event);
}

void Spawner::SetSandboxLimits(const internal::v1::SetSandboxLimits& request) {
  LiveSandbox* sandbox = FindSandbox(request.sandbox_id());
  const absl::Status status = sandbox == nullptr
                                  ? absl::NotFoundError("the sandbox has ended")
                                  : sandbox->SetLimits(request.limits(), request.workspace_bytes());
  SpawnerEvent event;
  event.mutable_sandbox_limits_set()->set_sandbox_id(request.sandbox_id());
  if (!status.ok()) event.mutable_sandbox_limits_set()->set_error(std::string(status.message()));
  Tell(event);
}

void Spawner::KillSandbox(int64_t sandbox_id) {
  LiveSandbox* sandbox = FindSandbox(sandbox_id);
  if (sandbox == nullptr) return;
  // While it is being cloned there is nothing to kill yet: OnCloned will.
  if (!sandbox->is_adopted()) return sandbox->KillWhenAdopted();
  TearDown(*sandbox);
}

}  // namespace cloister::sandbox
