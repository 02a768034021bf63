// The usual process_* metrics, read from /proc/self when asked for; prometheus-cpp ships none.

#ifndef CLOISTER_SERVICE_OBSERVABILITY_PROCESS_METRICS_H_
#define CLOISTER_SERVICE_OBSERVABILITY_PROCESS_METRICS_H_

#include <vector>

#include "prometheus/collectable.h"
#include "prometheus/metric_family.h"

namespace cloister::observability {

// What cannot be read is left out. Thread-safety: safe.
class ProcessMetrics final : public prometheus::Collectable {
 public:
  std::vector<prometheus::MetricFamily> Collect() const override;
};

}  // namespace cloister::observability

#endif  // CLOISTER_SERVICE_OBSERVABILITY_PROCESS_METRICS_H_
