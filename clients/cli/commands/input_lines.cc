#include "clients/cli/commands/input_lines.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <utility>

namespace cloister::cli {

InputLines::InputLines(LineFunction on_line)
    : on_line_(std::move(on_line)), stop_fd_(::eventfd(0, EFD_CLOEXEC)) {}

InputLines::~InputLines() {
  Stop();
  ::close(stop_fd_);
}

void InputLines::Start() {
  thread_ = std::thread([this] { Read(); });
}

void InputLines::Stop() {
  if (!thread_.joinable()) return;
  const uint64_t one = 1;
  (void)!::write(stop_fd_, &one, sizeof(one));
  thread_.join();
}

void InputLines::Read() {
  std::string text;
  for (int number = 0;;) {
    pollfd polled[] = {{STDIN_FILENO, POLLIN, 0}, {stop_fd_, POLLIN, 0}};
    if (::poll(polled, 2, -1) < 0 && errno != EINTR) return;
    if (polled[1].revents != 0) return;
    if (polled[0].revents == 0) continue;
    char piece[64 << 10];
    const ssize_t got = ::read(STDIN_FILENO, piece, sizeof(piece));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      if (!text.empty()) (void)on_line_(number + 1, text);
      return;
    }
    text.append(piece, static_cast<size_t>(got));
    size_t begin = 0;
    for (size_t end; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1) {
      if (!on_line_(++number, text.substr(begin, end - begin))) return;
    }
    text.erase(0, begin);
  }
}

}  // namespace cloister::cli
