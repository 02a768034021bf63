#include "service/core/request_ids.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "sandbox/base/status_macros.h"
#include "service/core/error.h"

namespace cloister::core {

RequestIds::RequestIds(ServiceObserver* observer, size_t remembered)
    : observer_(observer), memory_(std::make_shared<Memory>(Memory{.remembered = remembered})) {}

absl::StatusOr<RequestIds::Earlier> RequestIds::Find(const std::string& id,
                                                     const std::string& payload_digest) const {
  const auto found = id.empty() ? memory_->by_id.end() : memory_->by_id.find(id);
  if (found == memory_->by_id.end()) return Earlier{};
  const bool same = found->second.payload_digest == payload_digest;
  observer_->OnReplay(same ? ReplayResult::kJoined : ReplayResult::kReused);
  if (same) return Earlier{.exists = true, .names = found->second.names};
  return MakeError(v1::ERROR_REASON_REQUEST_ID_REUSED,
                   absl::StrCat("request_id \"", id,
                                "\" was used with another payload; choose a new one"));
}

RequestIds::Hold RequestIds::Begin(const std::string& id, const std::string& payload_digest) {
  if (id.empty()) return nullptr;
  const int64_t number = ++last_number_;
  memory_->by_id.insert_or_assign(id,
                                  Request{.number = number, .payload_digest = payload_digest});
  return Hold(this, [memory = std::weak_ptr<Memory>(memory_), id, number](const void*) {
    if (const auto alive = memory.lock()) alive->Retire(id, number);
  });
}

absl::Status RequestIds::Await(const std::string& id, Waiter waiter) {
  std::vector<Waiter>& waiters = memory_->by_id.at(id).waiters;
  CLOISTER_RETURN_IF_ERROR(CheckRoomForWaiter(waiters.size()));
  waiters.push_back(std::move(waiter));
  return absl::OkStatus();
}

void RequestIds::Complete(const std::string& id, const std::vector<std::string>& names) {
  const auto found = memory_->by_id.find(id);
  if (found == memory_->by_id.end()) return;
  found->second.names = names;
  // Whoever is told may come back with the next request.
  for (const Waiter& waiter : std::exchange(found->second.waiters, {})) waiter(names);
}

void RequestIds::Fail(const std::string& id, const absl::Status& why) {
  const auto failed = memory_->by_id.extract(id);
  if (failed.empty()) return;
  for (const Waiter& waiter : failed.mapped().waiters) waiter(why);
}

void RequestIds::Memory::Retire(const std::string& id, int64_t number) {
  const auto found = by_id.find(id);
  if (found == by_id.end() || found->second.number != number) return;  // it failed
  retired.emplace_back(id, number);
  while (retired.size() > remembered) {
    const auto [oldest, oldest_number] = std::move(retired.front());
    retired.pop_front();
    const auto entry = by_id.find(oldest);
    if (entry != by_id.end() && entry->second.number == oldest_number) by_id.erase(entry);
  }
}

}  // namespace cloister::core
