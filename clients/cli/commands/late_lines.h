// Output that earlier executions' threads and tasks write while another one runs, line by line and marked with
// whose it is.

#ifndef CLOISTER_CLIENTS_CLI_COMMANDS_LATE_LINES_H_
#define CLOISTER_CLIENTS_CLI_COMMANDS_LATE_LINES_H_

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "cloister/v1/execution.pb.h"

namespace cloister::cli {

// Thread-safety: none.
class LateLines {
 public:
  // Lines that are whole now, without their ends.
  std::vector<std::string> Take(const v1::LateOutput& late);

  // What is left of lines that never ended.
  std::vector<std::string> TakeRest();

 private:
  // By execution and stream.
  std::map<std::pair<std::string, int>, std::string> begun_;
};

}  // namespace cloister::cli

#endif  // CLOISTER_CLIENTS_CLI_COMMANDS_LATE_LINES_H_
