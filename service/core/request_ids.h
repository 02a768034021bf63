// What request_ids stand for, of calls that make things with names: a repetition of a request joins
// it while it is under way, and is told the same names afterwards.
//
// An id is known for as long as anything its request made lives, and then for a while: until so many
// others have been retired after it.

#ifndef CLOISTER_SERVICE_CORE_REQUEST_IDS_H_
#define CLOISTER_SERVICE_CORE_REQUEST_IDS_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "service/core/observer.h"

namespace cloister::core {

// Thread-safety: loop thread only. Ownership: `observer` must outlive it. May go before its holds.
class RequestIds {
 public:
  // Whoever has one keeps the id known: the request while it is under way, and each thing it made.
  // Null for a request without an id.
  using Hold = std::shared_ptr<const void>;
  // Told the names, or why there are none.
  using Waiter = std::function<void(const absl::StatusOr<std::vector<std::string>>&)>;

  RequestIds(ServiceObserver* observer, size_t remembered);
  RequestIds(const RequestIds&) = delete;
  RequestIds& operator=(const RequestIds&) = delete;

  struct Earlier {
    // False: a new id, or none.
    bool exists = false;
    // Empty while it is under way.
    std::vector<std::string> names = {};
  };
  // Of a request that comes now. REQUEST_ID_REUSED where the id had another payload.
  absl::StatusOr<Earlier> Find(const std::string& id, const std::string& payload_digest) const;

  // A new request, under way from here until Complete or Fail.
  Hold Begin(const std::string& id, const std::string& payload_digest);
  // Told once, after Complete or Fail. Only while it is under way. OVERLOADED, and not told, where as many
  // wait as may.
  absl::Status Await(const std::string& id, Waiter waiter);
  // It made these. `names` is not empty.
  void Complete(const std::string& id, const std::vector<std::string>& names);
  // It made nothing: the id is new again.
  void Fail(const std::string& id, const absl::Status& why);

 private:
  struct Request {
    int64_t number;  // tells it from a later one with the same id
    std::string payload_digest;
    std::vector<std::string> names = {};
    std::vector<Waiter> waiters = {};
  };
  // Outlives this in its holds, not the other way round.
  struct Memory {
    void Retire(const std::string& id, int64_t number);

    size_t remembered;
    std::unordered_map<std::string, Request> by_id = {};
    std::deque<std::pair<std::string, int64_t>> retired = {};  // oldest first
  };

  ServiceObserver* const observer_;
  const std::shared_ptr<Memory> memory_;
  int64_t last_number_ = 0;
};

}  // namespace cloister::core

#endif  // CLOISTER_SERVICE_CORE_REQUEST_IDS_H_
