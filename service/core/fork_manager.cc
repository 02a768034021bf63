#include "service/core/fork_manager.h"

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "sandbox/base/status_macros.h"
#include "service/base/ids.h"
#include "service/base/proto_time.h"
#include "service/core/error.h"
#include "service/core/limits_proto.h"

namespace cloister::core {

ForkManager::ForkManager(sandbox::Loop* loop, SandboxManager* sandboxes, ServiceObserver* observer)
    : loop_(loop), sandboxes_(sandboxes), observer_(observer) {
  sandboxes_->SetSnapshots(this);
}

ForkManager::~ForkManager() { EndAll(); }

// ---- idempotence --------------------------------------------------------------------------------

absl::StatusOr<std::optional<std::vector<std::string>>> ForkManager::Earlier(
    const std::string& request_id, const std::string& digest) const {
  const auto earlier = request_id.empty() ? done_.end() : done_.find(request_id);
  if (earlier == done_.end()) return std::nullopt;
  observer_->OnReplay(earlier->second.payload_digest == digest ? ReplayResult::kJoined
                                                               : ReplayResult::kReused);
  if (earlier->second.payload_digest == digest) return earlier->second.names;
  return MakeError(v1::ERROR_REASON_REQUEST_ID_REUSED,
                   absl::StrCat("request_id \"", request_id,
                                "\" was used with another payload; choose a new one"));
}

void ForkManager::Remember(const std::string& request_id, const std::string& digest,
                           std::vector<std::string> names) {
  if (request_id.empty()) return;
  done_[request_id] = {digest, std::move(names)};
  done_order_.push_back(request_id);
  if (done_order_.size() <= kRememberedRequests) return;
  done_.erase(done_order_.front());
  done_order_.erase(done_order_.begin());
}

// ---- copies -------------------------------------------------------------------------------------

absl::Status ForkManager::ErrorOf(const std::string& sandbox, const absl::Status& why) const {
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
  if (ReasonOf(why) != v1::ERROR_REASON_UNSPECIFIED) return why;
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

absl::Status ForkManager::Fork(ForkRequest request, ForkCallback done) {
  CLOISTER_ASSIGN_OR_RETURN(const auto earlier,
                            Earlier(request.request_id, request.payload_digest));
  if (earlier.has_value()) {
    std::vector<v1::Sandbox> sandboxes;
    for (const std::string& name : *earlier) {
      CLOISTER_ASSIGN_OR_RETURN(v1::Sandbox sandbox, sandboxes_->Get(name));
      sandboxes.push_back(std::move(sandbox));
    }
    done(std::move(sandboxes));
    return absl::OkStatus();
  }
  CLOISTER_RETURN_IF_ERROR(sandboxes_->CheckRoomFor(request.count));
  CLOISTER_ASSIGN_OR_RETURN(std::shared_ptr<LiveSandbox> parent, sandboxes_->Find(request.parent));
  const sandbox::Limits limits = request.limits(parent->limits());
  const absl::Time deadline = request.deadline;
  return CopyInTurn(
      parent, {.limits = limits, .count = request.count}, deadline,
      [this, parent, limits, request = std::move(request),
       done = std::move(done)](Copies copies) {
        if (!copies.ok()) return done(copies.status());
        const absl::Status room = sandboxes_->CheckRoomFor(request.count);
        if (!room.ok()) return done(room);
        std::vector<v1::Sandbox> sandboxes;
        std::vector<std::string> names;
        for (auto& copy : *copies) {
          LiveSandboxSpec spec = parent->spec();
          spec.limits = limits;
          spec.snapshot.clear();
          sandboxes.push_back(sandboxes_->AddCopy(
              std::move(spec), {std::move(copy), parent->last_cell(), parent->last_history()},
              parent->name(), request.ttl, request.idle_timeout));
          names.push_back(sandboxes.back().name());
        }
        Remember(request.request_id, request.payload_digest, std::move(names));
        done(std::move(sandboxes));
      });
}

// ---- snapshots ----------------------------------------------------------------------------------

absl::Status ForkManager::NoSnapshotError(const std::string& name) {
  return WithMetadata(MakeError(v1::ERROR_REASON_SNAPSHOT_NOT_FOUND,
                                absl::StrCat("there is no snapshot \"", name,
                                             "\"; it never was, was deleted, or has expired")),
                      "snapshot", name);
}

absl::Status ForkManager::CreateSnapshot(SnapshotRequest request, SnapshotCallback done) {
  CLOISTER_ASSIGN_OR_RETURN(const auto earlier,
                            Earlier(request.request_id, request.payload_digest));
  if (earlier.has_value()) {
    CLOISTER_ASSIGN_OR_RETURN(v1::Snapshot snapshot, GetSnapshot(earlier->front()));
    done(std::move(snapshot));
    return absl::OkStatus();
  }
  CLOISTER_RETURN_IF_ERROR(sandboxes_->CheckRoomFor(0));
  CLOISTER_ASSIGN_OR_RETURN(std::shared_ptr<LiveSandbox> parent, sandboxes_->Find(request.sandbox));
  if (snapshots_.size() >= kMaximumSnapshots) {
    const std::string maximum = absl::StrCat(static_cast<int>(kMaximumSnapshots));
    return WithQuotaFailure(
        WithMetadata(MakeError(v1::ERROR_REASON_SNAPSHOT_COUNT_EXCEEDED,
                               absl::StrCat("there are ", maximum,
                                            " snapshots, as many as this server allows; delete one")),
                     "maximum", maximum),
        "snapshots", absl::StrCat("at most ", maximum, " at once"));
  }
  const absl::Time deadline = request.deadline;
  return CopyInTurn(parent, {.limits = parent->limits(), .count = 1, .snapshot = true}, deadline,
                    [this, parent, request = std::move(request),
                     done = std::move(done)](Copies copies) {
                      if (!copies.ok()) return done(copies.status());
                      v1::Snapshot snapshot =
                          AddSnapshot(*parent, std::move(copies->front()), request.ttl);
                      Remember(request.request_id, request.payload_digest, {snapshot.name()});
                      done(std::move(snapshot));
                    });
}

v1::Snapshot ForkManager::AddSnapshot(const LiveSandbox& parent,
                                      std::unique_ptr<sandbox::Sandbox> copy,
                                      absl::Duration ttl) {
  auto snapshot = std::make_unique<Snapshot>();
  snapshot->sandbox = std::move(copy);
  snapshot->spec = parent.spec();
  snapshot->last_cell = parent.last_cell();
  snapshot->last_history = parent.last_history();
  snapshot->expiry = loop_->Now() + ttl;
  v1::Snapshot& proto = snapshot->proto;
  proto.set_name(absl::StrCat("snapshots/", base::NewId()));
  proto.set_sandbox(parent.name());
  proto.set_template_(parent.spec().template_name);
  *proto.mutable_create_time() = base::ToProto(absl::Now());
  *proto.mutable_expire_time() = base::ToProto(absl::Now() + ttl);
  *proto.mutable_limits() = ToProto(parent.limits());
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
  int64_t after = 0;
  if (!page_token.empty() && (!absl::SimpleAtoi(page_token, &after) || after < 0)) {
    return FieldInvalidError({{"page_token", "is not one that this server gave out"}});
  }
  SnapshotPage page;
  for (auto next = snapshots_.upper_bound(after); next != snapshots_.end(); ++next) {
    if (static_cast<int>(page.snapshots.size()) == page_size) {
      page.next_page_token = absl::StrCat(std::prev(next)->first);
      break;
    }
    page.snapshots.push_back(next->second->proto);
  }
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
