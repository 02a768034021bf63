#include "tests/integration/probe.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace cloister::testing {
namespace {

constexpr int64_t kMiB = int64_t{1} << 20;

[[noreturn]] void Malformed(const std::string& name, absl::string_view line) {
  std::cerr << "probe " << name << ": malformed header line: " << line << "\n";
  std::abort();
}

void SetDuration(google::protobuf::Duration* duration, double seconds) {
  duration->set_seconds(static_cast<int64_t>(seconds));
  duration->set_nanos(static_cast<int32_t>(std::fmod(seconds, 1.0) * 1e9));
}

void ParseLimit(Probe& probe, absl::string_view text) {
  const std::pair<absl::string_view, absl::string_view> pair = absl::StrSplit(text, '=');
  double value;
  if (!absl::SimpleAtod(pair.second, &value)) Malformed(probe.name, text);
  const auto number = static_cast<int64_t>(value);
  if (pair.first == "wall") {
    SetDuration(probe.limits.mutable_wall_time(), value);
  } else if (pair.first == "cpu") {
    SetDuration(probe.limits.mutable_cpu_time(), value);
  } else if (pair.first == "memory") {
    probe.limits.set_memory_bytes(number * kMiB);
  } else if (pair.first == "output") {
    probe.limits.set_output_bytes(number * kMiB);
  } else if (pair.first == "workspace") {
    probe.limits.set_workspace_bytes(number * kMiB);
  } else if (pair.first == "processes") {
    probe.limits.set_process_count(static_cast<int32_t>(number));
  } else {
    Malformed(probe.name, text);
  }
}

void ParseHeaderLine(Probe& probe, absl::string_view line) {
  absl::string_view rest = line;
  if (absl::ConsumePrefix(&rest, "# expect: ")) {
    const std::vector<std::string> words = absl::StrSplit(rest, ' ', absl::SkipEmpty());
    if (words.empty() || !v1::Outcome::Kind_Parse("KIND_" + words[0], &probe.kind)) {
      Malformed(probe.name, line);
    }
    if (words.size() > 1) probe.argument = words[1];
  } else if (absl::ConsumePrefix(&rest, "# as cell: ")) {
    probe.as_cell = std::string(rest);
  } else if (absl::ConsumePrefix(&rest, "# stdout as cell: ")) {
    probe.stdout_as_cell = absl::StrCat(rest, "\n");
  } else if (absl::ConsumePrefix(&rest, "# alone: ")) {
    probe.alone = absl::StrSplit(rest, ' ', absl::SkipEmpty());
  } else if (absl::ConsumePrefix(&rest, "# limits: ")) {
    for (absl::string_view limit : absl::StrSplit(rest, ' ', absl::SkipEmpty())) {
      ParseLimit(probe, limit);
    }
  } else if (absl::ConsumePrefix(&rest, "# stdout: ")) {
    probe.stdout_text = absl::StrCat(rest, "\n");
  }
}

std::string KindName(v1::Outcome::Kind kind) {
  return std::string(absl::StripPrefix(v1::Outcome::Kind_Name(kind), "KIND_"));
}

}  // namespace

std::vector<Probe> LoadProbes(const std::string& directory) {
  std::vector<Probe> probes;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    if (entry.path().extension() != ".py") continue;
    std::ifstream file(entry.path(), std::ios::binary);
    Probe probe;
    probe.name = entry.path().stem();
    probe.code.assign(std::istreambuf_iterator<char>(file), {});
    for (absl::string_view line : absl::StrSplit(probe.code, '\n')) {
      if (line.empty() || line[0] != '#') break;
      ParseHeaderLine(probe, line);
    }
    if (probe.kind == v1::Outcome::KIND_UNSPECIFIED) Malformed(probe.name, "no '# expect:'");
    probes.push_back(std::move(probe));
  }
  std::sort(probes.begin(), probes.end(),
            [](const Probe& a, const Probe& b) { return a.name < b.name; });
  return probes;
}

void PrintTo(const Probe& probe, std::ostream* out) { *out << probe.name; }

std::string Describe(const v1::Outcome& outcome) {
  const std::string kind = KindName(outcome.kind());
  switch (outcome.kind()) {
    case v1::Outcome::KIND_RAISED:
      return absl::StrCat(kind, " ", outcome.exception().type());
    case v1::Outcome::KIND_EXITED:
      return absl::StrCat(kind, " ", outcome.exit_code());
    case v1::Outcome::KIND_SIGNALED:
      return absl::StrCat(kind, " ", outcome.signal());
    default:
      return kind;
  }
}

std::string Expected(const Probe& probe) {
  const std::string kind = KindName(probe.kind);
  return probe.argument.empty() ? kind : absl::StrCat(kind, " ", probe.argument);
}

std::string ExpectedAsCell(const Probe& probe) {
  return probe.as_cell.empty() ? Expected(probe) : probe.as_cell;
}

}  // namespace cloister::testing
