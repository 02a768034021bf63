#include "clients/cli/argument_check.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "clients/cli/commands/utf8.h"

namespace cloister::cli {
namespace {

// An empty program, and an empty argument of one, are what they are.
constexpr const char* kMayBeEmpty[] = {"--code", "--arg"};
// Bytes to the protocol as well, or names of this machine only.
constexpr const char* kMayBeBytes[] = {"--code", "--stdin", "--server", "LOCAL"};

template <typename Names>
bool Has(const Names& names, const std::string& name) {
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

}  // namespace

std::string FindUnusable(const CLI::App& app, const std::vector<std::string>& program_args) {
  for (const CLI::Option* option : app.get_options()) {
    const std::string name = option->get_name();
    for (const std::string& value : option->results()) {
      if (value.empty() && !Has(kMayBeEmpty, name)) return absl::StrCat(name, " is empty");
      if (!IsUtf8(value) && !Has(kMayBeBytes, name)) return absl::StrCat(name, " is not UTF-8");
    }
  }
  for (const CLI::App* command : app.get_subcommands()) {
    std::string found = FindUnusable(*command, {});
    if (!found.empty()) return found;
  }
  for (const std::string& argument : program_args) {
    if (!IsUtf8(argument)) return "an argument after -- is not UTF-8";
  }
  return "";
}

}  // namespace cloister::cli
