#include "sandbox/host/spawner_client.h"

#include <poll.h>
#include <sys/socket.h>

#include <cstdio>
#include <utility>

#include "absl/strings/str_cat.h"
#include "sandbox/base/status_macros.h"
#include "sandbox/base/syscall_status.h"
#include "sandbox/wire/packet_socket.h"

namespace cloister::sandbox {
namespace {

using internal::v1::SpawnerEvent;
using internal::v1::SpawnerRequest;

// Events handled before others get their turn on the loop.
constexpr int kEventsPerTurn = 64;

absl::Status SpawnerLostError() {
  return absl::UnavailableError("the spawner is gone; restart the server");
}

}  // namespace

absl::StatusOr<std::unique_ptr<SpawnerClient>> SpawnerClient::Connect(AsioLoop* loop,
                                                                      UniqueFd socket,
                                                                      absl::Duration timeout) {
  pollfd readable{socket.get(), POLLIN, 0};
  const int answer = ::poll(&readable, 1, static_cast<int>(absl::ToInt64Milliseconds(timeout)));
  if (answer < 0) return SyscallError("wait for the spawner");
  if (answer == 0) {
    return absl::DeadlineExceededError(
        absl::StrCat("the spawner did not become ready within ", absl::FormatDuration(timeout)));
  }
  SpawnerEvent event;
  absl::Status received = ReceivePacket(socket.get(), &event, nullptr);
  if (absl::IsOutOfRange(received)) {
    return absl::UnavailableError("the spawner ended while it started; its messages above say why");
  }
  CLOISTER_RETURN_IF_ERROR(received);
  if (!event.has_spawner_ready()) {
    return absl::InternalError("the spawner's first message is not SpawnerReady");
  }
  std::unique_ptr<SpawnerClient> client(
      new SpawnerClient(loop, std::move(socket), std::move(*event.mutable_spawner_ready())));
  CLOISTER_RETURN_IF_ERROR(client->socket_.Open());
  client->socket_.WaitReadable([raw = client.get()] { raw->ReceiveEvents(); });
  return client;
}

SpawnerClient::SpawnerClient(AsioLoop* loop, UniqueFd socket, internal::v1::SpawnerReady ready)
    : loop_(loop), socket_(loop, std::move(socket)), ready_(std::move(ready)) {}

SpawnerClient::~SpawnerClient() {
  // Those still in the making are ours; their ends need no reports.
  observer_ = nullptr;
  for (auto& [id, entry] : sandboxes_) {
    loop_->Cancel(entry.ready_timer);
    entry.preparing.reset();
  }
}

// ---- requests -----------------------------------------------------------------------------------

void SpawnerClient::Send(SpawnerRequest request) {
  if (lost_) return;
  requests_.push_back(std::move(request));
  if (requests_.size() == 1) FlushRequests();
}

void SpawnerClient::FlushRequests() {
  while (!requests_.empty() && !lost_) {
    absl::Status status = SendPacket(socket_.fd(), requests_.front(), {}, MSG_DONTWAIT);
    if (absl::IsUnavailable(status)) return socket_.WaitWritable([this] { FlushRequests(); });
    // The end of the socket is seen, and handled, where events are received.
    if (!status.ok() && !absl::IsOutOfRange(status)) {
      std::fprintf(stderr, "cloister: %s\n", status.ToString().c_str());
    }
    requests_.pop_front();
  }
}

int64_t SpawnerClient::StartZygote(const internal::v1::ZygoteSpec& spec, ZygoteCallback done) {
  const int64_t id = next_id_++;
  if (lost_) {
    loop_->Post([done = std::move(done)] { done(SpawnerLostError()); });
    return id;
  }
  zygotes_[id] = Zygote{spec, std::move(done)};
  SpawnerRequest request;
  request.mutable_start_zygote()->set_zygote_id(id);
  *request.mutable_start_zygote()->mutable_spec() = spec;
  Send(std::move(request));
  return id;
}

void SpawnerClient::StopZygote(int64_t zygote_id) {
  SpawnerRequest request;
  request.mutable_stop_zygote()->set_zygote_id(zygote_id);
  Send(std::move(request));
}

void SpawnerClient::AbortZygote(int64_t zygote_id) {
  SpawnerRequest request;
  request.mutable_stop_zygote()->set_zygote_id(zygote_id);
  request.mutable_stop_zygote()->set_kill(true);
  Send(std::move(request));
}

void SpawnerClient::CreateSandbox(int64_t zygote_id, SandboxCallback done) {
  const auto zygote = zygotes_.find(zygote_id);
  const bool started = zygote != zygotes_.end() && zygote->second.done == nullptr;
  if (lost_ || !started) {
    absl::Status status =
        lost_ ? SpawnerLostError()
              : absl::NotFoundError(absl::StrCat("no zygote ", zygote_id, " that can be cloned"));
    return loop_->Post([done = std::move(done), status = std::move(status)] { done(status); });
  }
  const int64_t id = next_id_++;
  Expect(id, zygote_id, kReadyTimeout, std::move(done));
  SpawnerRequest request;
  request.mutable_create_sandbox()->set_sandbox_id(id);
  request.mutable_create_sandbox()->set_zygote_id(zygote_id);
  Send(std::move(request));
}

SpawnerClient::Entry& SpawnerClient::Expect(int64_t sandbox_id, int64_t zygote_id,
                                            absl::Duration timeout, SandboxCallback done) {
  Entry& entry = sandboxes_[sandbox_id];
  entry.zygote_id = zygote_id;
  entry.done = std::move(done);
  entry.ready_timer = loop_->CallAfter(timeout, [this, sandbox_id, timeout] {
    Kill(sandbox_id);
    FailSandbox(sandbox_id, absl::DeadlineExceededError(absl::StrCat(
                                "the sandbox was not ready within ", absl::FormatDuration(timeout))));
  });
  return entry;
}

void SpawnerClient::Copy(CopyOrder order, CopyCallback done) {
  const auto parent = sandboxes_.find(order.request.parent_id());
  if (lost_ || parent == sandboxes_.end()) {
    absl::Status status = lost_ ? SpawnerLostError()
                                : absl::UnavailableError("the sandbox to copy has ended");
    return loop_->Post([done = std::move(done), status = std::move(status)] { done(status); });
  }
  const int64_t id = next_id_++;
  order.request.set_sandbox_id(id);
  SpawnerRequest request;
  *request.mutable_fork_sandbox() = order.request;
  Expect(id, parent->second.zygote_id, kCopyTimeout, std::move(done)).copy = std::move(order);
  Send(std::move(request));
}

void SpawnerClient::SendSignal(int64_t sandbox_id, int signal) {
  SpawnerRequest request;
  request.mutable_signal_sandbox()->set_sandbox_id(sandbox_id);
  request.mutable_signal_sandbox()->set_signal(signal);
  Send(std::move(request));
}

void SpawnerClient::Kill(int64_t sandbox_id) {
  const auto entry = sandboxes_.find(sandbox_id);
  if (entry == sandboxes_.end() || std::exchange(entry->second.kill_sent, true)) return;
  SpawnerRequest request;
  request.mutable_kill_sandbox()->set_sandbox_id(sandbox_id);
  Send(std::move(request));
}

void SpawnerClient::SetLimits(const internal::v1::SetSandboxLimits& limits) {
  SpawnerRequest request;
  *request.mutable_set_sandbox_limits() = limits;
  Send(std::move(request));
}

void SpawnerClient::OnIdleLost(int64_t sandbox_id) {
  if (observer_ != nullptr) observer_->OnIdleSandboxLost(sandbox_id);
}

void SpawnerClient::OnDestroyed(int64_t sandbox_id) {
  Kill(sandbox_id);
  const auto entry = sandboxes_.find(sandbox_id);
  if (entry != sandboxes_.end()) entry->second.sandbox = nullptr;
}

// ---- events -------------------------------------------------------------------------------------

void SpawnerClient::ReceiveEvents() {
  const std::weak_ptr<char> alive = alive_;
  for (int i = 0; i < kEventsPerTurn; ++i) {
    SpawnerEvent event;
    std::vector<UniqueFd> descriptors;
    const absl::Status status = ReceivePacket(socket_.fd(), &event, &descriptors, MSG_DONTWAIT);
    if (absl::IsUnavailable(status)) break;
    if (absl::IsOutOfRange(status)) return LoseSpawner("the spawner ended");
    if (!status.ok()) return LoseSpawner(status.ToString());
    HandleEvent(event, std::move(descriptors));
    if (alive.expired() || lost_) return;
  }
  socket_.WaitReadable([this] { ReceiveEvents(); });
}

void SpawnerClient::HandleEvent(const SpawnerEvent& event, std::vector<UniqueFd> descriptors) {
  switch (event.event_case()) {
    case SpawnerEvent::kZygoteStarted:
      return OnZygoteStarted(event.zygote_started());
    case SpawnerEvent::kZygoteFailed:
      return OnZygoteFailed(event.zygote_failed());
    case SpawnerEvent::kZygoteExited:
      return OnZygoteExited(event.zygote_exited());
    case SpawnerEvent::kSandboxCreated:
      return OnSandboxCreated(event.sandbox_created(), std::move(descriptors));
    case SpawnerEvent::kSandboxFailed:
      FailSandbox(event.sandbox_failed().sandbox_id(),
                  absl::InternalError(event.sandbox_failed().message()));
      sandboxes_.erase(event.sandbox_failed().sandbox_id());
      return;
    case SpawnerEvent::kSandboxLimitsSet: {
      const auto entry = sandboxes_.find(event.sandbox_limits_set().sandbox_id());
      if (entry == sandboxes_.end() || entry->second.sandbox == nullptr) return;
      return entry->second.sandbox->OnLimitsSet(event.sandbox_limits_set().error());
    }
    case SpawnerEvent::kSandboxSignaled: {
      const auto entry = sandboxes_.find(event.sandbox_signaled().sandbox_id());
      if (entry == sandboxes_.end() || entry->second.sandbox == nullptr) return;
      return entry->second.sandbox->OnSignaled();
    }
    case SpawnerEvent::kSandboxExited:
      return OnSandboxExited(event.sandbox_exited());
    case SpawnerEvent::kSpawnerReady:
    case SpawnerEvent::EVENT_NOT_SET:
      return LoseSpawner("the spawner spoke out of turn; server and spawner are of one version?");
  }
}

void SpawnerClient::OnZygoteStarted(const internal::v1::ZygoteStarted& event) {
  const auto zygote = zygotes_.find(event.zygote_id());
  if (zygote == zygotes_.end() || zygote->second.done == nullptr) return;
  auto done = std::exchange(zygote->second.done, nullptr);
  done(ZygoteInfo{event.zygote_id(), event.python_version(),
                  absl::Nanoseconds(event.warm_up_nanoseconds())});
}

void SpawnerClient::OnZygoteFailed(const internal::v1::ZygoteFailed& event) {
  auto zygote = zygotes_.extract(event.zygote_id());
  if (zygote.empty() || zygote.mapped().done == nullptr) return;
  zygote.mapped().done(event.is_permanent() ? absl::InvalidArgumentError(event.message())
                                            : absl::FailedPreconditionError(event.message()));
}

void SpawnerClient::OnZygoteExited(const internal::v1::ZygoteExited& event) {
  auto zygote = zygotes_.extract(event.zygote_id());
  if (zygote.empty()) return;
  const absl::Status status =
      absl::UnavailableError(absl::StrCat("the zygote ended: ", event.reason()));
  // The clones it was asked for will not come.
  std::vector<int64_t> waiting;
  for (const auto& [id, entry] : sandboxes_) {
    if (entry.zygote_id == event.zygote_id() && entry.done != nullptr) waiting.push_back(id);
  }
  const std::weak_ptr<char> alive = alive_;
  for (int64_t id : waiting) {
    FailSandbox(id, status);
    if (alive.expired()) return;
  }
  if (zygote.mapped().done != nullptr) return zygote.mapped().done(status);
  if (observer_ != nullptr) observer_->OnZygoteExited(event.zygote_id(), event.reason());
}

void SpawnerClient::OnSandboxCreated(const internal::v1::SandboxCreated& event,
                                     std::vector<UniqueFd> descriptors) {
  const int64_t id = event.sandbox_id();
  const auto found = sandboxes_.find(id);
  if (found == sandboxes_.end()) return;
  Entry& entry = found->second;
  if (entry.done == nullptr) {  // nobody waits for it any more
    entry.kill_sent = false;    // a kill that came before it was made may have found nothing
    return Kill(id);
  }
  const auto zygote = zygotes_.find(entry.zygote_id);
  const internal::v1::ZygoteSpec spec =
      zygote == zygotes_.end() ? internal::v1::ZygoteSpec() : zygote->second.spec;
  auto sandbox = HostSandbox::Create(loop_, this, event, std::move(descriptors), spec);
  if (!sandbox.ok()) {
    Kill(id);
    FailSandbox(id, sandbox.status());
    return;
  }
  entry.preparing = *std::move(sandbox);
  entry.sandbox = entry.preparing.get();
  if (entry.copy.has_value()) {
    entry.sandbox->BecomeCopy(*entry.copy);
    if (entry.copy->request.snapshot()) return OnSandboxReady(id, absl::OkStatus());
  }
  entry.sandbox->AwaitReady([this, id](const absl::Status& status) { OnSandboxReady(id, status); });
}

void SpawnerClient::OnSandboxReady(int64_t sandbox_id, const absl::Status& status) {
  if (!status.ok()) {
    FailSandbox(sandbox_id, status);
    return;
  }
  const auto entry = sandboxes_.find(sandbox_id);
  if (entry == sandboxes_.end() || entry->second.done == nullptr) return;
  loop_->Cancel(entry->second.ready_timer);
  entry->second.handed_over = true;
  auto done = std::exchange(entry->second.done, nullptr);
  done(std::move(entry->second.preparing));
}

bool SpawnerClient::FailSandbox(int64_t sandbox_id, const absl::Status& status) {
  const auto entry = sandboxes_.find(sandbox_id);
  if (entry == sandboxes_.end() || entry->second.done == nullptr) return false;
  loop_->Cancel(entry->second.ready_timer);
  auto done = std::exchange(entry->second.done, nullptr);
  // Its destruction asks for the kill.
  entry->second.preparing.reset();
  done(status);
  return true;
}

void SpawnerClient::OnSandboxExited(const internal::v1::SandboxExited& event) {
  const int64_t id = event.sandbox_id();
  const auto entry = sandboxes_.find(id);
  if (entry == sandboxes_.end()) return;
  const bool handed_over = entry->second.handed_over;
  entry->second.kill_sent = true;  // there is nothing left to kill
  const std::weak_ptr<char> alive = alive_;
  if (!handed_over) {
    FailSandbox(id, absl::InternalError(absl::StrCat("the sandbox ended while it was set up (code ",
                                                     event.wait_code(), ", status ",
                                                     event.wait_status(), ")")));
  } else if (entry->second.sandbox != nullptr) {
    entry->second.sandbox->OnExited(event);
  }
  if (alive.expired()) return;
  sandboxes_.erase(id);
  if (!handed_over || observer_ == nullptr) return;
  observer_->OnSandboxGone(SandboxExit{id, event.peak_memory_bytes(),
                                       absl::Nanoseconds(event.cpu_nanoseconds()),
                                       absl::Nanoseconds(event.teardown_nanoseconds())});
}

void SpawnerClient::LoseSpawner(const std::string& reason) {
  lost_ = true;
  requests_.clear();
  const std::weak_ptr<char> alive = alive_;
  std::vector<int64_t> ids;
  for (const auto& [id, entry] : sandboxes_) ids.push_back(id);
  for (int64_t id : ids) {
    const auto entry = sandboxes_.find(id);
    if (entry == sandboxes_.end()) continue;
    if (!FailSandbox(id, SpawnerLostError()) && entry->second.sandbox != nullptr) {
      entry->second.sandbox->OnSpawnerLost();
    }
    if (alive.expired()) return;
  }
  auto zygotes = std::exchange(zygotes_, {});
  for (auto& [id, zygote] : zygotes) {
    if (zygote.done != nullptr) zygote.done(SpawnerLostError());
    if (alive.expired()) return;
  }
  if (observer_ != nullptr) observer_->OnSpawnerLost(reason);
}

}  // namespace cloister::sandbox
