#include "sandbox/host/fd_watcher.h"

#include <asio/posix/stream_descriptor.hpp>
#include <utility>

namespace cloister::sandbox {

// Shared with Asio's pending operations, which can come back after the watcher is gone.
struct FdWatcher::State {
  // One direction: an operation that is pending, and what it is for. They part when the caller
  // cancels: the operation then comes back to nothing.
  struct Wait {
    bool pending = false;
    std::function<void()> function;
  };

  explicit State(AsioLoop* loop) : loop(*loop), descriptor(loop->io_context()) {}

  static void Arm(const std::shared_ptr<State>& self, Wait State::*wait,
                  asio::posix::stream_descriptor::wait_type type) {
    if (std::exchange((self.get()->*wait).pending, true)) return;
    self->descriptor.async_wait(type, [self, wait](const asio::error_code&) {
      self->loop.RunInTurn([&self, wait] {
        Wait& done = self.get()->*wait;
        done.pending = false;
        // An error shows again, with its cause, in the caller's own read or write.
        if (auto function = std::exchange(done.function, nullptr)) function();
      });
    });
  }

  AsioLoop& loop;
  asio::posix::stream_descriptor descriptor;
  Wait read;
  Wait write;
};

FdWatcher::FdWatcher(AsioLoop* loop, UniqueFd fd)
    : unopened_(std::move(fd)), state_(std::make_shared<State>(loop)) {}

FdWatcher::~FdWatcher() {
  state_->read.function = nullptr;
  state_->write.function = nullptr;
  asio::error_code ignored;
  state_->descriptor.close(ignored);
}

absl::Status FdWatcher::Open() {
  asio::error_code error;
  state_->descriptor.assign(unopened_.get(), error);
  if (!error) {
    (void)unopened_.release();
    state_->descriptor.native_non_blocking(true, error);
  }
  if (!error) return absl::OkStatus();
  return absl::ResourceExhaustedError("watch a descriptor: " + error.message());
}

int FdWatcher::fd() const {
  return state_->descriptor.is_open() ? state_->descriptor.native_handle() : -1;
}

void FdWatcher::WaitReadable(std::function<void()> function) {
  state_->read.function = std::move(function);
  State::Arm(state_, &State::read, asio::posix::stream_descriptor::wait_read);
}

void FdWatcher::CancelReadable() { state_->read.function = nullptr; }

void FdWatcher::WaitWritable(std::function<void()> function) {
  state_->write.function = std::move(function);
  State::Arm(state_, &State::write, asio::posix::stream_descriptor::wait_write);
}

}  // namespace cloister::sandbox
