// The lines of standard input, as they come, beside whatever else happens.

#ifndef CLOISTER_CLIENTS_CLI_COMMANDS_INPUT_LINES_H_
#define CLOISTER_CLIENTS_CLI_COMMANDS_INPUT_LINES_H_

#include <functional>
#include <string>
#include <thread>

namespace cloister::cli {

// Calls `on_line` on a thread of its own, with the number of the line, from 1 on; until that
// returns false, or the end.
class InputLines {
 public:
  using LineFunction = std::function<bool(int number, const std::string& line)>;

  explicit InputLines(LineFunction on_line);
  ~InputLines();
  InputLines(const InputLines&) = delete;
  InputLines& operator=(const InputLines&) = delete;

  // Once.
  void Start();
  // No line comes any more when it returns; where on_line waits, it has to be ended before.
  void Stop();

 private:
  void Read();

  const LineFunction on_line_;
  int stop_fd_;
  std::thread thread_;
};

}  // namespace cloister::cli

#endif  // CLOISTER_CLIENTS_CLI_COMMANDS_INPUT_LINES_H_
