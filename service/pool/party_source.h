// One party's way to the pools: only to the templates it may use, and beside others in the queue.

#ifndef CLOISTER_SERVICE_POOL_PARTY_SOURCE_H_
#define CLOISTER_SERVICE_POOL_PARTY_SOURCE_H_

#include <string>
#include <utility>
#include <vector>

#include "service/core/sandbox_source.h"
#include "service/pool/pool_set.h"

namespace cloister::pool {

// Thread-safety: loop thread only. Ownership: `pools` must outlive it.
class PartySource final : public core::SandboxSource {
 public:
  // `templates`: empty for all.
  PartySource(PoolSet* pools, const Party& party, std::vector<std::string> templates)
      : pools_(*pools), party_(party), templates_(std::move(templates)) {}

  // A template that the party may not use is as one that is not there: TEMPLATE_UNKNOWN.
  absl::StatusOr<Ticket> RequestLease(const std::string& template_name, absl::Time deadline,
                                      LeaseCallback done) override;
  absl::StatusOr<Ticket> RequestSessionLease(const std::string& template_name, absl::Time deadline,
                                             LeaseCallback done) override;
  std::string PythonVersion(const std::string& template_name) const override {
    return pools_.PythonVersion(template_name);
  }
  void AbandonRequest(Ticket ticket) override { pools_.AbandonRequest(ticket); }
  void SetAside(int64_t sandbox_id) override { pools_.SetAside(sandbox_id); }

 private:
  absl::StatusOr<Ticket> Request(bool for_sessions, const std::string& template_name,
                                 absl::Time deadline, LeaseCallback done);

  PoolSet& pools_;
  const Party party_;
  const std::vector<std::string> templates_;
};

}  // namespace cloister::pool

#endif  // CLOISTER_SERVICE_POOL_PARTY_SOURCE_H_
