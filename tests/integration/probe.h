// A hostile program of tests/probes with what must come of it.

#ifndef CLOISTER_TESTS_INTEGRATION_PROBE_H_
#define CLOISTER_TESTS_INTEGRATION_PROBE_H_

#include <optional>
#include <string>
#include <vector>

#include "cloister/v1/outcome.pb.h"
#include "cloister/v1/program.pb.h"

namespace cloister::testing {

// tests/probes/README.md describes the header lines.
struct Probe {
  std::string name;
  std::string code;
  v1::Outcome::Kind kind = v1::Outcome::KIND_UNSPECIFIED;
  // Exception type, exit code or signal number; empty where the kind says it all.
  std::string argument;
  std::vector<std::string> alone;
  v1::Limits limits;
  std::optional<std::string> stdout_text;
  // What comes of it as a cell of a live sandbox, where that differs: kind and argument, output.
  std::string as_cell;
  std::optional<std::string> stdout_as_cell;
};

// Every probe of the directory, by name. Aborts on a malformed header.
std::vector<Probe> LoadProbes(const std::string& directory);

// For GoogleTest's parameter names and messages.
void PrintTo(const Probe& probe, std::ostream* out);

// "RAISED ValueError", "EXITED 3", "SUCCEEDED": an outcome in the words of a probe's header.
std::string Describe(const v1::Outcome& outcome);

// What the probe expects, in the same words.
std::string Expected(const Probe& probe);
std::string ExpectedAsCell(const Probe& probe);

}  // namespace cloister::testing

#endif  // CLOISTER_TESTS_INTEGRATION_PROBE_H_
