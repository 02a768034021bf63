#include "service/observability/metrics.h"

#include <algorithm>
#include <utility>

namespace cloister::observability {

using LabelSet = std::map<std::string, std::string>;

Metrics::Metrics(std::vector<std::string> templates)
    : templates_(std::move(templates)), registry_(std::make_shared<prometheus::Registry>()) {
  for (const MetricSpec& spec : MetricTable()) series_.push_back(Register(spec));
}

prometheus::Counter& Metrics::counter(Metric metric, size_t first, size_t second) const {
  const Series& series = series_[static_cast<size_t>(metric)];
  return *series.counters.at(first * series.columns + second);
}

prometheus::Gauge& Metrics::gauge(Metric metric, size_t first, size_t second) const {
  const Series& series = series_[static_cast<size_t>(metric)];
  return *series.gauges.at(first * series.columns + second);
}

prometheus::Histogram& Metrics::histogram(Metric metric, size_t first, size_t second) const {
  const Series& series = series_[static_cast<size_t>(metric)];
  return *series.histograms.at(first * series.columns + second);
}

void Metrics::SetInfo(Metric metric, const LabelSet& labels) {
  info_families_.at(metric)->Add(labels).Set(1);
}

size_t Metrics::TemplateIndex(const std::string& name) const {
  const auto found = std::find(templates_.begin(), templates_.end(), name);
  return found == templates_.end() ? 0 : static_cast<size_t>(found - templates_.begin());
}

// Every combination of the labels' values; the second label varies fastest.
std::vector<LabelSet> Metrics::LabelSets(const MetricSpec& spec, size_t* columns) const {
  std::vector<LabelSet> sets = {{}};
  for (const Label& label : spec.labels) {
    std::vector<std::string> values(label.values.begin(), label.values.end());
    if (values.empty()) values = templates_;
    *columns = &label == &spec.labels.front() ? 1 : values.size();
    std::vector<LabelSet> extended;
    for (const LabelSet& set : sets) {
      for (const std::string& value : values) {
        extended.push_back(set);
        extended.back().emplace(label.name, value);
      }
    }
    sets = std::move(extended);
  }
  return sets;
}

Metrics::Series Metrics::Register(const MetricSpec& spec) {
  Series series;
  const std::string name(spec.name);
  const std::string help(spec.help);
  if (IsInfo(spec)) {
    info_families_[spec.id] = &prometheus::BuildGauge().Name(name).Help(help).Register(*registry_);
    return series;
  }
  const std::vector<LabelSet> sets = LabelSets(spec, &series.columns);
  switch (spec.type) {
    case MetricType::kCounter: {
      auto& family = prometheus::BuildCounter().Name(name).Help(help).Register(*registry_);
      for (const LabelSet& labels : sets) series.counters.push_back(&family.Add(labels));
      break;
    }
    case MetricType::kGauge: {
      auto& family = prometheus::BuildGauge().Name(name).Help(help).Register(*registry_);
      for (const LabelSet& labels : sets) series.gauges.push_back(&family.Add(labels));
      break;
    }
    case MetricType::kHistogram: {
      auto& family = prometheus::BuildHistogram().Name(name).Help(help).Register(*registry_);
      const prometheus::Histogram::BucketBoundaries buckets(spec.buckets.begin(),
                                                            spec.buckets.end());
      for (const LabelSet& labels : sets) series.histograms.push_back(&family.Add(labels, buckets));
      break;
    }
  }
  return series;
}

}  // namespace cloister::observability
