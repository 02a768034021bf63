#include "sandbox/spawner/spawner.h"

#include <sys/epoll.h>

#include <cstdio>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cloister/internal/v1/guest.pb.h"
#include "sandbox/base/status_macros.h"
#include "sandbox/wire/frame.h"

namespace cloister::sandbox {

using internal::v1::FailureCause;
using internal::v1::SpawnerEvent;
using internal::v1::SpawnerRequest;
using internal::v1::ZygoteEvent;

namespace {

// Why a child that has ended already could not be confined, as it said on its channel before it
// ended. No guest code can have run, so the channel is as trustworthy as the zygote.
std::string ReasonOfEarlyEnd(int channel, const absl::Status& status) {
  internal::v1::GuestFrame frame;
  if (!absl::IsNotFound(status) || !ReadFrame(channel, &frame, kMaxGuestFrameBytes).ok() ||
      !frame.has_setup_failed()) {
    return std::string(status.message());
  }
  return absl::StrCat(frame.setup_failed().stage(), ": ", frame.setup_failed().message());
}

}  // namespace

Spawner::Spawner(Poller poller, UniqueFd socket, internal::v1::Facilities facilities,
                 std::unique_ptr<CgroupManager> cgroups, Keeper& keeper)
    : poller_(std::move(poller)),
      facilities_(std::move(facilities)),
      cgroups_(std::move(cgroups)),
      keeper_(keeper),
      cloisterd_(poller_, std::move(socket), [this] { HandleRequests(); }) {}

Spawner::~Spawner() {
  poller_.Forget(keeper_watch_);
  EndEverything();
}

absl::Status Spawner::Run() {
  SpawnerEvent event;
  *event.mutable_spawner_ready()->mutable_facilities() = facilities_;
  if (cgroups_ != nullptr) {
    for (const std::string& path : cgroups_->Paths()) {
      event.mutable_spawner_ready()->add_cgroup_paths(path);
    }
  }
  Tell(event);
  WatchKeeper();
  absl::Status status;
  while (status.ok() && failure_.ok() && !cloisterd_gone_) status = poller_.RunOnce();
  EndEverything();
  return status.ok() ? failure_ : status;
}

// ---- the keeper ---------------------------------------------------------------------------------

void Spawner::WatchKeeper() {
  keeper_watch_ = poller_.Watch(keeper_.process(), EPOLLIN, [this](uint32_t) { OnKeeperExited(); });
}

// Without one nobody would clean up after this process.
void Spawner::OnKeeperExited() {
  poller_.Forget(std::exchange(keeper_watch_, 0));
  fprintf(stderr, "cloister-spawner: the keeper was ended by somebody; starting another\n");
  failure_ = keeper_.Restart();
  if (failure_.ok()) WatchKeeper();
}

// ---- events of zygotes --------------------------------------------------------------------------

void Spawner::HandleZygoteEvents(int64_t zygote_id) {
  const auto zygote = zygotes_.find(zygote_id);
  if (zygote == zygotes_.end()) return;
  for (;;) {
    ZygoteEvent event;
    std::vector<UniqueFd> descriptors;
    const absl::Status status = zygote->second->Receive(&event, &descriptors);
    if (absl::IsDataLoss(status)) {
      // It would be waited for forever, whatever it was.
      fprintf(stderr, "cloister-spawner: zygote %lld is ended: %s\n",
              static_cast<long long>(zygote_id), status.ToString().c_str());
      return zygote->second->Kill();
    }
    // At its end nothing more is read; what became of it the nursery's pidfd will say.
    if (!status.ok()) return;
    DispatchZygoteEvent(*zygote->second, event, std::move(descriptors));
  }
}

void Spawner::DispatchZygoteEvent(ZygoteProcess& zygote, const ZygoteEvent& event,
                                  std::vector<UniqueFd> descriptors) {
  SpawnerEvent told;
  switch (event.event_case()) {
    case ZygoteEvent::kReady:
      if (zygote.state() != ZygoteProcess::State::kStarting) return;
      zygote.set_state(ZygoteProcess::State::kReady);
      told.mutable_zygote_started()->set_zygote_id(zygote.id());
      told.mutable_zygote_started()->set_python_version(event.ready().python_version());
      told.mutable_zygote_started()->set_warm_up_nanoseconds(event.ready().warm_up_nanoseconds());
      return Tell(told);
    case ZygoteEvent::kBroken:
      zygote.set_state(ZygoteProcess::State::kFailed);
      told.mutable_zygote_failed()->set_zygote_id(zygote.id());
      told.mutable_zygote_failed()->set_message(
          absl::StrCat(event.broken().stage(), ": ", event.broken().message()));
      told.mutable_zygote_failed()->set_is_permanent(event.broken().is_permanent());
      return Tell(told);
    case ZygoteEvent::kCloned:
      return OnCloned(zygote, event.cloned(), std::move(descriptors));
    case ZygoteEvent::kCloneFailed:
      return OnCloneFailed(event.clone_failed());
    case ZygoteEvent::kChildExited:
      return OnChildExited(event.child_exited());
    case ZygoteEvent::kCopyFinished:
      return OnCopyFinished(event.copy_finished().sandbox_id());
    case ZygoteEvent::EVENT_NOT_SET:
      return;
  }
}

void Spawner::OnCloned(ZygoteProcess& zygote, const internal::v1::SandboxCloned& cloned,
                       std::vector<UniqueFd> descriptors) {
  constexpr size_t kPipes = 3;  // the channel, stdout, stderr
  LiveSandbox* sandbox = FindSandbox(cloned.sandbox_id());
  if (sandbox == nullptr) return;
  if (descriptors.size() < kPipes + 1) return zygote.Kill();
  LiveSandbox::Processes processes;
  processes.first = std::move(descriptors[0]);
  std::vector<UniqueFd> pipes(std::make_move_iterator(descriptors.end() - kPipes),
                              std::make_move_iterator(descriptors.end()));
  descriptors.resize(descriptors.size() - kPipes);
  if (descriptors.size() > 1) processes.init = std::move(descriptors[1]);
  size_t next = 2;
  for (const auto& [is_there, process] :
       {std::pair(cloned.has_shadow(), &processes.shadow),
        std::pair(cloned.has_file_copier(), &processes.file_copier)}) {
    if (is_there && next < descriptors.size()) *process = std::move(descriptors[next++]);
  }
  absl::Status status = sandbox->Adopt(std::move(processes), zygote.spec());
  if (LiveSandbox* parent = FindSandbox(sandbox->parent_id())) parent->EndCopy();
  if (status.ok() && sandbox->kill_when_adopted()) {
    status = absl::CancelledError("killed before it was ready");
  }
  if (status.ok() && sandbox->is_copy()) {
    sandbox->KeepAnnouncement({cloned, std::move(pipes)});
    return zygote.FinishCopy(sandbox->id());
  }
  if (status.ok()) status = AnnounceSandbox(*sandbox, cloned, pipes);
  if (!status.ok()) FailAdopted(*sandbox, ReasonOfEarlyEnd(pipes[0].get(), status));
}

void Spawner::OnCopyFinished(int64_t sandbox_id) {
  LiveSandbox* sandbox = FindSandbox(sandbox_id);
  if (sandbox == nullptr || sandbox->is_ending()) return;
  const auto announcement = sandbox->TakeAnnouncement();
  if (!announcement.has_value()) return;
  const absl::Status status = AnnounceSandbox(*sandbox, announcement->cloned, announcement->pipes);
  if (!status.ok()) FailAdopted(*sandbox, std::string(status.message()));
}

void Spawner::OnCloneFailed(const internal::v1::CloneFailed& failed) {
  LiveSandbox* sandbox = FindSandbox(failed.sandbox_id());
  if (sandbox != nullptr && sandbox->is_adopted()) {
    return FailAdopted(*sandbox, failed.stage(), failed.cause());
  }
  LiveSandbox* const parent = sandbox == nullptr ? nullptr : FindSandbox(sandbox->parent_id());
  if (parent != nullptr) parent->EndCopy();
  FailSandbox(failed.sandbox_id(), failed.stage(), failed.cause());
}

void Spawner::FailAdopted(LiveSandbox& sandbox, const std::string& message, FailureCause cause) {
  SpawnerEvent event;
  event.mutable_sandbox_failed()->set_sandbox_id(sandbox.id());
  event.mutable_sandbox_failed()->set_message(message);
  event.mutable_sandbox_failed()->set_cause(cause);
  Tell(event);
  TearDown(sandbox);
}

absl::Status Spawner::AnnounceSandbox(LiveSandbox& sandbox,
                                      const internal::v1::SandboxCloned& cloned,
                                      const std::vector<UniqueFd>& pipes) {
  SpawnerEvent event;
  internal::v1::SandboxCreated* created = event.mutable_sandbox_created();
  sandbox.Describe(created);
  *created->mutable_stage_times() = cloned.stage_times();
  created->set_memory_bytes(cloned.memory_bytes());
  CLOISTER_ASSIGN_OR_RETURN(const std::vector<UniqueFd> cgroup_files, sandbox.OpenCgroupFiles());
  std::vector<int> descriptors = {sandbox.first_process()};
  for (const UniqueFd& fd : pipes) descriptors.push_back(fd.get());
  for (const UniqueFd& fd : cgroup_files) descriptors.push_back(fd.get());
  Tell(event, descriptors);
  return absl::OkStatus();
}

void Spawner::OnChildExited(const internal::v1::ChildExited& exited) {
  LiveSandbox* sandbox = FindSandbox(exited.sandbox_id());
  if (sandbox == nullptr) return;
  sandbox->OnChildExited(exited);
  if (sandbox->TakeAnnouncement().has_value() && !sandbox->is_ending()) {
    return FailAdopted(*sandbox, "the copy was ended while its files were copied: they may be more "
                                 "than its memory limit",
                       internal::v1::FAILURE_CAUSE_REFUSED);
  }
  // What it started does not outlive it.
  TearDown(*sandbox);
}

void Spawner::OnNurseryExited(int64_t zygote_id) {
  // What the zygote said last is still in its socket.
  HandleZygoteEvents(zygote_id);
  const auto found = zygotes_.find(zygote_id);
  if (found == zygotes_.end()) return;
  const std::unique_ptr<ZygoteProcess> zygote = std::move(found->second);
  zygotes_.erase(found);
  const std::string reason = zygote->Reap();

  for (int64_t id : IdsOf([=](const LiveSandbox& s) { return s.zygote_id() == zygote_id; })) {
    LiveSandbox* const orphan = FindSandbox(id);
    if (orphan == nullptr) continue;
    if (!orphan->is_adopted()) {
      FailSandbox(id, reason);
      continue;
    }
    orphan->OnZygoteGone();
    FinishIfOver(id);
  }
  SpawnerEvent event;
  switch (zygote->state()) {
    case ZygoteProcess::State::kFailed:
      return;  // told already
    case ZygoteProcess::State::kStarting:
      event.mutable_zygote_failed()->set_zygote_id(zygote_id);
      event.mutable_zygote_failed()->set_message(absl::StrCat("at its start ", reason));
      break;
    case ZygoteProcess::State::kReady:
      event.mutable_zygote_exited()->set_reason(reason);
      [[fallthrough]];
    case ZygoteProcess::State::kRetired:
      event.mutable_zygote_exited()->set_zygote_id(zygote_id);
      break;
  }
  Tell(event);
}

// ---- both ---------------------------------------------------------------------------------------

void Spawner::TearDown(LiveSandbox& sandbox) {
  const int64_t id = sandbox.id();
  sandbox.BeginTeardown([this, id] { FinishIfOver(id); });
  for (int64_t member : std::vector<int64_t>(sandbox.members().begin(), sandbox.members().end())) {
    KillSandbox(member);
  }
  FinishIfOver(id);
}

std::vector<int64_t> Spawner::IdsOf(absl::FunctionRef<bool(const LiveSandbox&)> wanted) const {
  std::vector<int64_t> members;
  std::vector<int64_t> others;
  for (const auto& [id, sandbox] : sandboxes_) {
    if (wanted(*sandbox)) (sandbox->home() != nullptr ? members : others).push_back(id);
  }
  members.insert(members.end(), others.begin(), others.end());
  return members;
}

std::unique_ptr<LiveSandbox> Spawner::Remove(int64_t sandbox_id) {
  auto found = sandboxes_.extract(sandbox_id);
  if (found.empty()) return nullptr;
  found.mapped()->Leave();
  keeper_.Discard(sandbox_id);
  return std::move(found.mapped());
}

void Spawner::FinishIfOver(int64_t sandbox_id) {
  const auto found = sandboxes_.find(sandbox_id);
  if (found == sandboxes_.end() || !found->second->IsOver()) return;
  SpawnerEvent event;
  *event.mutable_sandbox_exited() = found->second->Finish();
  const LiveSandbox* const home = found->second->home();
  (void)Remove(sandbox_id);  // first: what is told to be over holds nothing any more
  Tell(event);
  if (home != nullptr) FinishIfOver(home->id());
}

void Spawner::FailSandbox(int64_t sandbox_id, const std::string& message, FailureCause cause) {
  const std::unique_ptr<LiveSandbox> sandbox = Remove(sandbox_id);
  SpawnerEvent event;
  event.mutable_sandbox_failed()->set_sandbox_id(sandbox_id);
  event.mutable_sandbox_failed()->set_message(message);
  event.mutable_sandbox_failed()->set_cause(cause);
  Tell(event);
  const bool was_awaited = sandbox != nullptr && sandbox->home() != nullptr;
  if (was_awaited) FinishIfOver(sandbox->home()->id());
}

LiveSandbox* Spawner::FindSandbox(int64_t sandbox_id) {
  const auto found = sandboxes_.find(sandbox_id);
  return found == sandboxes_.end() ? nullptr : found->second.get();
}

void Spawner::Tell(const SpawnerEvent& event, absl::Span<const int> descriptors) {
  cloisterd_.Send(event, descriptors);
}

void Spawner::EndEverything() {
  // Killing the nurseries ends every process (without namespaces, sandboxes are seen out one by
  // one); only then are the cgroups empty.
  zygotes_.clear();
  for (int64_t id : IdsOf([](const LiveSandbox&) { return true; })) {
    FindSandbox(id)->OnZygoteGone();
    (void)FindSandbox(id)->Finish();
  }
  sandboxes_.clear();
}

}  // namespace cloister::sandbox
