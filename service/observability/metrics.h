// The server's metrics: one private registry, every series of the table present from the start with
// zero, and handles resolved once, so that counting is an atomic addition.

#ifndef CLOISTER_SERVICE_OBSERVABILITY_METRICS_H_
#define CLOISTER_SERVICE_OBSERVABILITY_METRICS_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "prometheus/counter.h"
#include "prometheus/gauge.h"
#include "prometheus/histogram.h"
#include "prometheus/registry.h"
#include "service/observability/metric_table.h"

namespace cloister::observability {

// Thread-safety: safe after construction.
class Metrics {
 public:
  // `templates`: values of every `template` label.
  explicit Metrics(std::vector<std::string> templates);
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  // The series with the given values of its first and second label, as indexes into the table's
  // sets (for `template`, into `templates`). Must match the metric's type and sets.
  prometheus::Counter& counter(Metric metric, size_t first = 0, size_t second = 0) const;
  prometheus::Gauge& gauge(Metric metric, size_t first = 0, size_t second = 0) const;
  prometheus::Histogram& histogram(Metric metric, size_t first = 0, size_t second = 0) const;

  // Makes the one series of an info metric. Once each.
  void SetInfo(Metric metric, const std::map<std::string, std::string>& labels);

  // Index of a configured template; 0 for a name that is none, which does not happen.
  size_t TemplateIndex(const std::string& name) const;

  const std::shared_ptr<prometheus::Registry>& registry() const { return registry_; }

 private:
  // Series of one metric, row by row; exactly one of the vectors is used.
  struct Series {
    size_t columns = 1;
    std::vector<prometheus::Counter*> counters;
    std::vector<prometheus::Gauge*> gauges;
    std::vector<prometheus::Histogram*> histograms;
  };

  std::vector<std::map<std::string, std::string>> LabelSets(const MetricSpec& spec,
                                                            size_t* columns) const;
  Series Register(const MetricSpec& spec);

  const std::vector<std::string> templates_;
  const std::shared_ptr<prometheus::Registry> registry_;
  std::vector<Series> series_;
  std::map<Metric, prometheus::Family<prometheus::Gauge>*> info_families_;
};

}  // namespace cloister::observability

#endif  // CLOISTER_SERVICE_OBSERVABILITY_METRICS_H_
