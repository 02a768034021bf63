// Where the lines of an interactive session come from: a terminal with editing and history, or
// anything that can be read.

#ifndef CLOISTER_CLIENTS_CLI_COMMANDS_LINE_SOURCE_H_
#define CLOISTER_CLIENTS_CLI_COMMANDS_LINE_SOURCE_H_

#include <memory>
#include <string>

namespace cloister::cli {

// Thread-safety: none.
class LineSource {
 public:
  enum class Event { kLine, kInterrupted, kEnd };
  struct Result {
    Event event = Event::kEnd;
    std::string line = {};  // without its end
  };

  virtual ~LineSource() = default;

  // Shows `prompt`, where somebody is there to see it, and waits for a line, Ctrl-C or the end.
  virtual Result Next(const std::string& prompt) = 0;

  // What can be had again with the arrow keys.
  virtual void Remember(const std::string& /*line*/) {}

  // What is typed is not shown. Ends with the next line.
  virtual void HideNext() {}
};

// Of standard input: the terminal's, where it is one. SIGINT must be blocked in every thread; while
// a line is waited for, it is taken here.
std::unique_ptr<LineSource> MakeLineSource();

}  // namespace cloister::cli

#endif  // CLOISTER_CLIENTS_CLI_COMMANDS_LINE_SOURCE_H_
