#include "clients/cli/bench/interrupt_tally.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace cloister::cli::bench {
namespace {

double Milliseconds(absl::Duration duration) {
  return std::round(absl::ToDoubleMilliseconds(duration) * 100) / 100;
}

std::string Counts(const std::map<std::string, int>& counts) {
  return absl::StrJoin(counts, ", ", absl::PairFormatter(" "));
}

}  // namespace

std::string RungOf(const v1::Outcome& outcome) {
  if (outcome.kind() != v1::Outcome::KIND_INTERRUPTED) {
    return v1::Outcome::Kind_Name(outcome.kind()).substr(sizeof "KIND_" - 1);
  }
  return outcome.exception().type() == "KeyboardInterrupt" ? "KeyboardInterrupt" : "kill";
}

void InterruptTally::Add(const v1::Outcome& outcome, absl::Duration took) {
  ++rungs_[RungOf(outcome)];
  ++preserved_[outcome.state_preserved()];
  took_.Add(took);
}

void InterruptTally::Fill(absl::string_view prefix, Json* results) const {
  const auto set = [&](const char* name, Json value) {
    (*results)[absl::StrCat(prefix, name)] = std::move(value);
  };
  set("_rung", rungs_.size() == 1 ? rungs_.begin()->first : Counts(rungs_));
  if (preserved_.size() == 1) {
    set("_state_preserved", preserved_.begin()->first);
  } else {
    std::map<std::string, int> named;
    for (const auto& [preserved, count] : preserved_) named[preserved ? "yes" : "no"] = count;
    set("_state_preserved", Counts(named));
  }
  set("_p50_ms", Milliseconds(took_.Percentile(0.5)));
  set("_max_ms", Milliseconds(took_.Percentile(1)));
}

}  // namespace cloister::cli::bench
