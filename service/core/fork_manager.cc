#include "service/core/fork_manager.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "sandbox/base/status_macros.h"
#include "service/base/ids.h"
#include "service/base/proto_time.h"
#include "service/core/error.h"
#include "service/core/limits_proto.h"
#include "service/core/page.h"

namespace cloister::core {

ForkManager::ForkManager(sandbox::Loop* loop, SandboxManager* sandboxes, ServiceObserver* observer,
                         ForkManagerOptions options)
    : loop_(loop),
      sandboxes_(sandboxes),
      observer_(observer),
      options_(std::move(options)),
      fork_ids_(observer, kRememberedRequests),
      snapshot_ids_(observer, kRememberedRequests) {
  sandboxes_->SetSnapshots(this);
}

ForkManager::~ForkManager() { EndAll(); }

// ---- copies -------------------------------------------------------------------------------------

absl::Status ForkManager::ErrorOf(const std::string& sandbox, const absl::Status& why) const {
  if (ReasonOf(why) != v1::ERROR_REASON_UNSPECIFIED) return why;
  if (absl::IsFailedPrecondition(why)) {
    return WithMetadata(MakeError(v1::ERROR_REASON_FORK_REFUSED,
                                  absl::StrCat("the sandbox cannot be copied as it is: ",
                                               why.message())),
                        "obstacle", std::string_view(why.message().data(), why.message().size()));
  }
  if (absl::IsUnimplemented(why)) {
    return MakeError(v1::ERROR_REASON_FORK_UNSUPPORTED,
                     absl::StrCat("this server copies no sandboxes: ", why.message(),
                                  "; GetInfo and the server's log say what the machine lacks"));
  }
  observer_->OnLiveSetupFailed(sandbox, why);
  return MakeError(v1::ERROR_REASON_SANDBOX_SETUP_FAILED,
                   absl::StrCat("the copy could not be made; the server's log says why, for ",
                                sandbox));
}

absl::Status ForkManager::CopyInTurn(const std::shared_ptr<LiveSandbox>& parent,
                                     sandbox::ForkSpec spec, absl::Time deadline,
                                     std::function<void(Copies)> done) {
  // Whichever comes first, the copies or the parent's end.
  const auto once = std::make_shared<std::function<void(Copies)>>(std::move(done));
  const auto answer = [this, once, name = parent->name(),
                       alive = std::weak_ptr<char>(alive_)](Copies copies) {
    auto first = std::exchange(*once, nullptr);
    if (first == nullptr || alive.expired()) return;
    if (!copies.ok()) copies = ErrorOf(name, copies.status());
    first(std::move(copies));
  };
  return parent->RequestWork(
      [spec = std::move(spec), answer](sandbox::Sandbox& sandbox, std::function<void()> over) {
        sandbox.Fork(spec, [answer, over = std::move(over)](Copies copies) {
          answer(std::move(copies));
          over();
        });
      },
      deadline, [answer](const absl::Status& why) { answer(why); });
}

// ---- forks --------------------------------------------------------------------------------------

absl::Status ForkManager::Repeat(const std::string& request_id, RequestIds* ids,
                         const RequestIds::Earlier& earlier, RequestIds::Waiter tell) {
  if (earlier.names.empty()) return ids->Await(request_id, std::move(tell));
  tell(earlier.names);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<v1::Sandbox>> ForkManager::Forks(const Names& names) const {
  std::vector<v1::Sandbox> forks;
  for (const std::string& name : names) {
    CLOISTER_ASSIGN_OR_RETURN(v1::Sandbox fork, sandboxes_->Get(name));
    forks.push_back(std::move(fork));
  }
  return forks;
}

absl::Status ForkManager::Fork(ForkRequest request, ForkCallback done) {
  CLOISTER_ASSIGN_OR_RETURN(const RequestIds::Earlier earlier,
                            fork_ids_.Find(request.request_id, request.payload_digest));
  if (earlier.exists) {
    return Repeat(request.request_id, &fork_ids_, earlier,
                  [this, done = std::move(done)](const absl::StatusOr<Names>& names) {
                    done(names.ok() ? Forks(*names) : names.status());
                  });
  }
  CLOISTER_RETURN_IF_ERROR(sandboxes_->CheckNotDraining());
  CLOISTER_ASSIGN_OR_RETURN(std::shared_ptr<LiveSandbox> parent, sandboxes_->Find(request.parent));
  const sandbox::ForkSpec spec{.limits = request.limits(parent->limits()), .count = request.count};
  CLOISTER_ASSIGN_OR_RETURN(std::shared_ptr<SandboxManager::Room> room,
                            sandboxes_->Reserve(request.count, spec.limits.memory_bytes));
  const absl::Time deadline = request.deadline;
  const std::string request_id = request.request_id;
  RequestIds::Hold hold = fork_ids_.Begin(request_id, request.payload_digest);
  absl::Status asked = CopyInTurn(
      parent, spec, deadline,
      [this, parent, limits = spec.limits, request = std::move(request), hold,
       room = std::move(room), done = std::move(done)](Copies copies) mutable {
        room.reset();
        absl::Status made = copies.status();
        if (made.ok()) made = sandboxes_->CheckNotDraining();
        if (!made.ok()) {
          fork_ids_.Fail(request.request_id, made);
          return done(made);
        }
        std::vector<v1::Sandbox> forks =
            AddForks(*parent, request, limits, *std::move(copies), hold);
        Names names;
        for (const v1::Sandbox& fork : forks) names.push_back(fork.name());
        fork_ids_.Complete(request.request_id, names);
        done(std::move(forks));
      });
  if (!asked.ok()) fork_ids_.Fail(request_id, asked);
  return asked;
}

std::vector<v1::Sandbox> ForkManager::AddForks(
    const LiveSandbox& parent, const ForkRequest& request, const sandbox::Limits& limits,
    std::vector<std::unique_ptr<sandbox::Sandbox>> copies, const RequestIds::Hold& hold) {
  std::vector<v1::Sandbox> forks;
  for (auto& copy : copies) {
    forks.push_back(sandboxes_->AddCopy(
        {.spec = parent.spec().OfCopy(limits),
         .session = {std::move(copy), parent.last_cell(), parent.last_history()},
         .parent = parent.name(),
         .ttl = request.ttl,
         .idle_timeout = request.idle_timeout,
         .request = hold}));
  }
  return forks;
}

// ---- snapshots ----------------------------------------------------------------------------------

absl::Status ForkManager::NoSnapshotError(const std::string& name) {
  return WithMetadata(MakeError(v1::ERROR_REASON_SNAPSHOT_NOT_FOUND,
                                absl::StrCat("there is no snapshot \"", name,
                                             "\"; it never was, was deleted, or has expired")),
                      "snapshot", name);
}

absl::Status ForkManager::CheckRoomForSnapshot() const {
  CLOISTER_RETURN_IF_ERROR(options_.quota->CheckSnapshots(snapshot_count() + *reserved_snapshots_));
  if (*options_.server_snapshots < options_.maximum_snapshots) return absl::OkStatus();
  const std::string maximum = absl::StrCat(options_.maximum_snapshots);
  return WithQuotaFailure(
      WithMetadata(MakeError(v1::ERROR_REASON_SNAPSHOT_COUNT_EXCEEDED,
                             absl::StrCat("there are ", maximum,
                                          " snapshots, as many as this server allows; delete one")),
                   "maximum", maximum),
      "snapshots", absl::StrCat("at most ", maximum, " at once"));
}

absl::Status ForkManager::CreateSnapshot(SnapshotRequest request, SnapshotCallback done) {
  CLOISTER_ASSIGN_OR_RETURN(const RequestIds::Earlier earlier,
                            snapshot_ids_.Find(request.request_id, request.payload_digest));
  if (earlier.exists) {
    return Repeat(request.request_id, &snapshot_ids_, earlier,
                  [this, done = std::move(done)](const absl::StatusOr<Names>& names) {
                    done(names.ok() ? GetSnapshot(names->front()) : names.status());
                  });
  }
  CLOISTER_RETURN_IF_ERROR(sandboxes_->CheckNotDraining());
  CLOISTER_ASSIGN_OR_RETURN(std::shared_ptr<LiveSandbox> parent, sandboxes_->Find(request.sandbox));
  CLOISTER_RETURN_IF_ERROR(CheckRoomForSnapshot());
  std::shared_ptr<Reservation> room = Reservation::Take(reserved_snapshots_, 1);
  std::shared_ptr<Reservation> of_server = Reservation::Take(options_.server_snapshots, 1);
  const absl::Time deadline = request.deadline;
  const std::string request_id = request.request_id;
  RequestIds::Hold hold = snapshot_ids_.Begin(request_id, request.payload_digest);
  absl::Status asked = CopyInTurn(
      parent, {.limits = parent->limits(), .count = 1, .snapshot = true}, deadline,
      [this, parent, request = std::move(request), hold, room = std::move(room),
       of_server = std::move(of_server), done = std::move(done)](Copies copies) mutable {
        room.reset();
        absl::Status made = copies.status();
        if (made.ok()) made = sandboxes_->CheckNotDraining();
        if (!made.ok()) {
          snapshot_ids_.Fail(request.request_id, made);
          return done(made);
        }
        v1::Snapshot snapshot =
            AddSnapshot(*parent, std::move(copies->front()), request.ttl, hold);
        snapshots_.rbegin()->second->of_server = std::move(of_server);
        snapshot_ids_.Complete(request.request_id, {snapshot.name()});
        done(std::move(snapshot));
      });
  if (!asked.ok()) snapshot_ids_.Fail(request_id, asked);
  return asked;
}

v1::Snapshot ForkManager::AddSnapshot(const LiveSandbox& parent,
                                      std::unique_ptr<sandbox::Sandbox> copy,
                                      absl::Duration ttl, RequestIds::Hold hold) {
  auto snapshot = std::make_unique<Snapshot>();
  snapshot->sandbox = std::move(copy);
  snapshot->spec = parent.spec().OfCopy(parent.limits());
  snapshot->last_cell = parent.last_cell();
  snapshot->last_history = parent.last_history();
  snapshot->expiry = loop_->Now() + ttl;
  snapshot->request = std::move(hold);
  v1::Snapshot& proto = snapshot->proto;
  proto.set_name(absl::StrCat("snapshots/", base::NewId()));
  proto.set_sandbox(parent.name());
  proto.set_template_(parent.spec().template_name);
  *proto.mutable_create_time() = base::ToProto(absl::Now());
  *proto.mutable_expire_time() = base::ToProto(absl::Now() + ttl);
  *proto.mutable_limits() = ToProto(parent.limits());
  proto.set_memory_bytes(snapshot->sandbox->copied_bytes());
  snapshot->timer =
      loop_->CallAfter(ttl, [this, name = proto.name()] { (void)DeleteSnapshot(name); });
  v1::Snapshot copy_of_proto = proto;
  const int64_t ordinal = ++last_ordinal_;
  by_name_[proto.name()] = ordinal;
  snapshots_[ordinal] = std::move(snapshot);
  return copy_of_proto;
}

absl::StatusOr<v1::Snapshot> ForkManager::GetSnapshot(const std::string& name) const {
  const auto found = by_name_.find(name);
  if (found == by_name_.end()) return NoSnapshotError(name);
  return snapshots_.at(found->second)->proto;
}

absl::StatusOr<LiveSandboxSpec> ForkManager::SpecOf(const std::string& name) const {
  const auto found = by_name_.find(name);
  if (found == by_name_.end()) return NoSnapshotError(name);
  LiveSandboxSpec spec = snapshots_.at(found->second)->spec;
  spec.snapshot = name;
  return spec;
}

absl::StatusOr<SnapshotPage> ForkManager::ListSnapshots(int page_size,
                                                        const std::string& page_token) const {
  SnapshotPage page;
  CLOISTER_ASSIGN_OR_RETURN(
      page.next_page_token,
      ReadPage(snapshots_, page_size, page_token, [&page](const std::unique_ptr<Snapshot>& one) {
        page.snapshots.push_back(one->proto);
      }));
  return page;
}

absl::Status ForkManager::DeleteSnapshot(const std::string& name) {
  const auto found = by_name_.find(name);
  if (found == by_name_.end()) return NoSnapshotError(name);
  const auto node = snapshots_.extract(found->second);
  by_name_.erase(found);
  loop_->Cancel(node.mapped()->timer);
  return absl::OkStatus();
}

absl::Status ForkManager::CopySnapshot(const std::string& name, const sandbox::Limits& limits,
                                       Callback done) {
  const auto found = by_name_.find(name);
  if (found == by_name_.end()) return NoSnapshotError(name);
  Snapshot& snapshot = *snapshots_.at(found->second);
  snapshot.sandbox->Fork(
      {.limits = limits},
      [this, name, held = snapshot.sandbox, done = std::move(done), last_cell = snapshot.last_cell,
       last_history = snapshot.last_history](Copies copies) {
        if (!copies.ok()) return done(ErrorOf(name, copies.status()));
        done(CopiedSession{std::move(copies->front()), last_cell, last_history});
      });
  return absl::OkStatus();
}

void ForkManager::EndAll() {
  for (const auto& [ordinal, snapshot] : snapshots_) loop_->Cancel(snapshot->timer);
  snapshots_.clear();
  by_name_.clear();
}

}  // namespace cloister::core
