// Serves the metrics over HTTP for Prometheus to scrape.

#ifndef CLOISTER_SERVICE_OBSERVABILITY_METRICS_ENDPOINT_H_
#define CLOISTER_SERVICE_OBSERVABILITY_METRICS_ENDPOINT_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "service/observability/metrics.h"

namespace prometheus {
class Collectable;
class Exposer;
}  // namespace prometheus

namespace cloister::observability {

// Thread-safety: safe. Ownership: shares the registry.
class MetricsEndpoint {
 public:
  // Answers http://ADDRESS/metrics from now on with `metrics` and the process's own. `address` is
  // "host:port". Errors: FAILED_PRECONDITION where it cannot be bound.
  static absl::StatusOr<std::unique_ptr<MetricsEndpoint>> Start(const std::string& address,
                                                                const Metrics& metrics);
  ~MetricsEndpoint();

  int port() const;

 private:
  using Collectables = std::vector<std::shared_ptr<prometheus::Collectable>>;

  MetricsEndpoint(Collectables collectables, std::unique_ptr<prometheus::Exposer> exposer);

  const Collectables collectables_;  // the exposer holds them weakly
  const std::unique_ptr<prometheus::Exposer> exposer_;
};

}  // namespace cloister::observability

#endif  // CLOISTER_SERVICE_OBSERVABILITY_METRICS_ENDPOINT_H_
