// What a benchmark prints: one JSON object, or the same as a table.

#ifndef CLOISTER_CLIENTS_CLI_BENCH_REPORT_H_
#define CLOISTER_CLIENTS_CLI_BENCH_REPORT_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "clients/cli/bench/closed_loop.h"
#include "nlohmann/json.hpp"

namespace cloister::cli::bench {

using Json = nlohmann::ordered_json;

// What was aimed at. Where an anchor is missing, `measured` or `limit` is unknown and so is whether
// it was met.
struct Target {
  enum class Better { kLower, kHigher };

  std::string name;
  std::optional<double> measured;
  std::optional<double> limit;
  Better better = Better::kLower;

  std::optional<bool> Met() const;
};

// Names carry their units: latency_p50_us, throughput_per_second, peak_memory_bytes, error_count.
struct Report {
  std::string bench;
  Json machine = Json::object();
  Json config = Json::object();
  Json results = Json::object();
  Json anchors = Json::object();  // name -> results of the anchor, or {"absent": reason}
  std::vector<Target> targets;

  Json ToJson() const;
  std::string ToText() const;
};

// Sets latency_p50_us, _p90_, _p99_, _max_us and latency_count of `results`; with `prefix` before
// each.
void SetLatency(const LatencySample& sample, absl::string_view prefix, Json* results);

// A number of an anchor's or of results, if it is there.
std::optional<double> Number(const Json& results, const std::string& name);

std::optional<double> Times(std::optional<double> number, double factor);
std::optional<double> Ratio(std::optional<double> dividend, std::optional<double> divisor);

}  // namespace cloister::cli::bench

#endif  // CLOISTER_CLIENTS_CLI_BENCH_REPORT_H_
