#include "clients/cli/bench/report.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace cloister::cli::bench {
namespace {

Json OrNull(std::optional<double> number) { return number ? Json(*number) : Json(nullptr); }

// One decimal is finer than anything measured here repeats.
double Rounded(double number) { return std::round(number * 10) / 10; }

std::string NumberText(std::optional<double> number) {
  return number ? absl::StrFormat("%.1f", *number) : "unknown";
}

void AppendTable(const Json& results, absl::string_view indent, std::string* text) {
  for (const auto& [name, value] : results.items()) {
    absl::StrAppendFormat(text, "%s%-36s %s\n", indent, name,
                          value.is_string() ? value.get<std::string>() : value.dump());
  }
}

}  // namespace

std::optional<bool> Target::Met() const {
  if (!measured || !limit) return std::nullopt;
  return better == Better::kLower ? *measured <= *limit : *measured >= *limit;
}

Json Report::ToJson() const {
  Json object;
  object["bench"] = bench;
  object["machine"] = machine;
  object["config"] = config;
  object["results"] = results;
  object["anchors"] = anchors;
  object["targets"] = Json::array();
  for (const Target& target : targets) {
    Json entry;
    entry["name"] = target.name;
    entry["measured"] = OrNull(target.measured);
    entry["limit"] = OrNull(target.limit);
    entry["better"] = target.better == Target::Better::kLower ? "lower" : "higher";
    const std::optional<bool> met = target.Met();
    entry["met"] = met ? Json(*met) : Json(nullptr);
    object["targets"].push_back(std::move(entry));
  }
  return object;
}

std::string Report::ToText() const {
  std::string text = absl::StrCat("bench ", bench, "\n\nmachine\n");
  AppendTable(machine, "  ", &text);
  absl::StrAppend(&text, "\nconfig\n");
  AppendTable(config, "  ", &text);
  absl::StrAppend(&text, "\nresults\n");
  AppendTable(results, "  ", &text);
  for (const auto& [name, anchor] : anchors.items()) {
    absl::StrAppend(&text, "\nanchor ", name, "\n");
    AppendTable(anchor, "  ", &text);
  }
  if (!targets.empty()) absl::StrAppend(&text, "\ntargets\n");
  for (const Target& target : targets) {
    const std::optional<bool> met = target.Met();
    absl::StrAppendFormat(&text, "  %-7s %s: %s, limit %s\n",
                          !met   ? "unknown"
                          : *met ? "met"
                                 : "MISSED",
                          target.name, NumberText(target.measured), NumberText(target.limit));
  }
  return text;
}

void SetLatency(const LatencySample& sample, absl::string_view prefix, Json* results) {
  const auto set = [&](const char* name, double fraction) {
    const double microseconds = absl::ToDoubleMicroseconds(sample.Percentile(fraction));
    (*results)[absl::StrCat(prefix, name)] = Rounded(microseconds);
  };
  set("latency_p50_us", 0.5);
  set("latency_p90_us", 0.9);
  set("latency_p99_us", 0.99);
  set("latency_max_us", 1);
  (*results)[absl::StrCat(prefix, "latency_count")] = sample.count();
}

std::optional<double> Number(const Json& results, const std::string& name) {
  const auto found = results.find(name);
  if (found == results.end() || !found->is_number()) return std::nullopt;
  return found->get<double>();
}

std::optional<double> Times(std::optional<double> number, double factor) {
  if (!number) return std::nullopt;
  return *number * factor;
}

std::optional<double> Ratio(std::optional<double> dividend, std::optional<double> divisor) {
  if (!dividend || !divisor || *divisor == 0) return std::nullopt;
  return *dividend / *divisor;
}

}  // namespace cloister::cli::bench
