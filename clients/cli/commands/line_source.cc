#include "clients/cli/commands/line_source.h"

#include <editline/readline.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <optional>
#include <utility>

namespace cloister::cli {
namespace {

// Lines that were typed; the library keeps state of its own, so there is one terminal.
std::optional<std::string> typed_line;
bool input_ended = false;

void OnLine(char* line) {
  if (line == nullptr) {
    input_ended = true;
  } else {
    typed_line = line;
    std::free(line);
  }
  // Otherwise the library would show the prompt again.
  rl_callback_handler_remove();
}

int SignalFd(int signal) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, signal);
  return ::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

class Terminal final : public LineSource {
 public:
  Terminal() : signal_fd_(SignalFd(SIGINT)) {
    using_history();
    // Pasted code is indented by tabs; names of local files, which it would complete, are of no use.
    rl_bind_key('\t', rl_insert);
  }
  ~Terminal() override { ::close(signal_fd_); }
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  Result Next(const std::string& prompt) override {
    if (std::exchange(hide_next_, false)) return NextHidden(prompt);
    typed_line.reset();
    input_ended = false;  // a terminal can go on after Ctrl-D
    rl_callback_handler_install(prompt.c_str(), OnLine);
    while (!typed_line.has_value() && !input_ended) {
      pollfd waited[] = {{STDIN_FILENO, POLLIN, 0}, {signal_fd_, POLLIN, 0}};
      if (::poll(waited, 2, -1) < 0 && errno != EINTR) break;
      signalfd_siginfo info;
      if (waited[1].revents != 0 && ::read(signal_fd_, &info, sizeof(info)) > 0) {
        rl_callback_handler_remove();
        std::cout << "^C\n" << std::flush;
        return {.event = Event::kInterrupted};
      }
      if (waited[0].revents != 0) rl_callback_read_char();
    }
    if (!typed_line.has_value()) {
      std::cout << "\n" << std::flush;
      return {};
    }
    return {.event = Event::kLine, .line = *std::move(typed_line)};
  }

  void Remember(const std::string& line) override {
    if (!line.empty()) add_history(line.c_str());
  }

  void HideNext() override { hide_next_ = true; }

 private:
  Result NextHidden(const std::string& prompt) {
    std::cout << prompt << std::flush;
    termios shown;
    ::tcgetattr(STDIN_FILENO, &shown);
    termios hidden = shown;
    hidden.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    ::tcsetattr(STDIN_FILENO, TCSADRAIN, &hidden);
    Result result = ReadHidden();
    ::tcsetattr(STDIN_FILENO, TCSADRAIN, &shown);
    std::cout << "\n" << std::flush;
    return result;
  }

  // The terminal gives whole lines now, and what ends them.
  Result ReadHidden() {
    Result result;
    for (;;) {
      pollfd waited[] = {{STDIN_FILENO, POLLIN, 0}, {signal_fd_, POLLIN, 0}};
      if (::poll(waited, 2, -1) < 0 && errno != EINTR) return result;
      signalfd_siginfo info;
      if (waited[1].revents != 0 && ::read(signal_fd_, &info, sizeof(info)) > 0) {
        return {.event = Event::kInterrupted};
      }
      if (waited[0].revents == 0) continue;
      char piece[4096];
      const ssize_t count = ::read(STDIN_FILENO, piece, sizeof(piece));
      if (count <= 0) return result;
      result.line.append(piece, static_cast<size_t>(count));
      result.event = Event::kLine;
      if (result.line.back() != '\n') continue;
      result.line.pop_back();
      return result;
    }
  }

  const int signal_fd_;
  bool hide_next_ = false;
};

class Pipe final : public LineSource {
 public:
  Result Next(const std::string& /*prompt*/) override {
    Result result;
    if (std::getline(std::cin, result.line)) result.event = Event::kLine;
    return result;
  }
};

}  // namespace

std::unique_ptr<LineSource> MakeLineSource() {
  if (::isatty(STDIN_FILENO) == 1) return std::make_unique<Terminal>();
  return std::make_unique<Pipe>();
}

}  // namespace cloister::cli
