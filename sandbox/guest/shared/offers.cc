#include "sandbox/guest/shared/offers.h"

#include <malloc.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "sandbox/guest/shared/moved_copy.h"

namespace cloister::sandbox {
namespace {

// Of a copy, between two looks at what else there is to do.
constexpr size_t kPieceBytes = size_t{4} << 20;
constexpr size_t kProbeBytes = size_t{1} << 20;
constexpr size_t kMoreThanSmall = 1024;  // what CPython takes from malloc

// ---- whether objects are blocks of malloc's -----------------------------------------------------

PyMemAllocatorEx below;
void* last_made = nullptr;
void* last_freed = nullptr;

void* ProbedMalloc(void*, size_t size) { return last_made = below.malloc(below.ctx, size); }
void* ProbedCalloc(void*, size_t count, size_t size) {
  return last_made = below.calloc(below.ctx, count, size);
}
void* ProbedRealloc(void*, void* block, size_t size) {
  return last_made = below.realloc(below.ctx, block, size);
}
void ProbedFree(void*, void* block) {
  last_freed = block;
  below.free(below.ctx, block);
}

bool IsOneBlock(PyObject* object) {
  const bool is_made = object != nullptr && object == last_made;
  Py_XDECREF(object);
  return is_made && object == last_freed;
}

// An object that is somewhere in its block, as in debug builds, cannot be freed by its address.
bool AreLargeObjectsBlocks() {
  PyMem_GetAllocator(PYMEM_DOMAIN_RAW, &below);
  PyMemAllocatorEx probed = {.ctx = nullptr,
                             .malloc = ProbedMalloc,
                             .calloc = ProbedCalloc,
                             .realloc = ProbedRealloc,
                             .free = ProbedFree};
  PyMem_SetAllocator(PYMEM_DOMAIN_RAW, &probed);
  const bool are = IsOneBlock(PyBytes_FromStringAndSize(nullptr, kProbeBytes)) &&
                   IsOneBlock(PyUnicode_New(kProbeBytes, 127)) &&
                   IsOneBlock(PyUnicode_New(kProbeBytes, 0x10FFFF));
  PyMem_SetAllocator(PYMEM_DOMAIN_RAW, &below);
  PyErr_Clear();
  return are;
}

int64_t NewNumber() {
  uint64_t number = 0;
  if (getrandom(&number, sizeof(number), 0) != sizeof(number)) return 0;
  return static_cast<int64_t>(number >> 1);
}

}  // namespace

// By a block that is made by one of CPython's two allocators, and freed by the other: only that of
// objects counts.
bool Offers::CountOneLess() {
  void* block = PyMem_RawMalloc(kMoreThanSmall);
  if (block != nullptr) PyObject_Free(block);
  return block != nullptr;
}

bool Offers::CountOneMore() {
  void* block = PyObject_Malloc(kMoreThanSmall);
  if (block != nullptr) PyMem_RawFree(block);
  return block != nullptr;
}

Offers& Offers::OfProcess() {
  static Offers& offers = *new Offers;
  return offers;
}

bool Offers::Enable() {
  poller_.reset(epoll_create1(EPOLL_CLOEXEC));
  is_enabled_ = poller_ && AreLargeObjectsBlocks();
  return is_enabled_;
}

bool Offers::CanMove(PyObject* object) const {
  if (!is_enabled_ || Py_REFCNT(object) != 1) return false;
  if (PyBytes_CheckExact(object)) return PyBytes_GET_SIZE(object) >= Py_ssize_t{kMinBytes};
  // A str may have parts that are other blocks, or be in a table of its interpreter's.
  if (!PyUnicode_CheckExact(object) || !PyUnicode_IS_COMPACT(object) ||
      PyUnicode_CHECK_INTERNED(object) != 0) {
    return false;
  }
  const bool is_one = PyUnicode_IS_ASCII(object) ||
                      reinterpret_cast<PyCompactUnicodeObject*>(object)->utf8 == nullptr;
  return is_one &&
         PyUnicode_GET_LENGTH(object) * Py_ssize_t{PyUnicode_KIND(object)} >= Py_ssize_t{kMinBytes};
}

int64_t Offers::Put(PyObject* object, UniqueFd* ticket) {
  int ends[2];
  const int64_t number = NewNumber();
  if (number == 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return 0;
  UniqueFd end(ends[0]);
  ticket->reset(ends[1]);
  const std::lock_guard<std::mutex> lock(mutex_);
  if (offers_.size() >= kMaxOffers || offers_.contains(number)) return 0;
  epoll_event event = {.events = EPOLLIN, .data = {.u64 = static_cast<uint64_t>(number)}};
  if (epoll_ctl(poller_.get(), EPOLL_CTL_ADD, end.get(), &event) != 0) return 0;
  offers_.emplace(number, Offer{.object = object,
                                .block_bytes = malloc_usable_size(object),
                                .payer = CurrentAccount(),
                                .end = std::move(end)});
  return number;
}

Offers::Offer Offers::Remove(int64_t number) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = offers_.find(number);
  if (found == offers_.end() || found->second.copy) return {};
  Offer offer = std::move(found->second);
  offers_.erase(found);
  return offer;
}

PyRef Offers::TakeBack(int64_t number) { return PyRef::Steal(Remove(number).object); }

PyRef Offers::Take(int64_t number) {
  Offer offer = Remove(number);
  if (offer.object == nullptr) return PyRef();
  MemoryAccount* account = CurrentAccount();
  const bool has_room =
      offer.payer == account || account == nullptr || account->MayTake(offer.block_bytes);
  if (!has_room || !CountOneMore()) {
    Free(std::move(offer));
    return PyRef::Steal(PyErr_NoMemory());
  }
  if (offer.payer != nullptr) offer.payer->GiveBack(offer.block_bytes);
  if (account != nullptr) account->Take(offer.block_bytes);
  return PyRef::Steal(offer.object);
}

void Offers::Free(Offer offer) {
  // By nobody's account: it is not the calling thread's.
  MemoryAccount* account = CurrentAccount();
  EnterAccount(nullptr);
  PyMem_RawFree(offer.object);
  EnterAccount(account);
  if (offer.payer != nullptr) offer.payer->GiveBack(offer.block_bytes);
}

bool Offers::Serve() {
  epoll_event events[16];
  const int count = epoll_wait(poller_.get(), events, std::size(events), 0);
  for (int i = 0; i < count; ++i) {
    OnTicket(static_cast<int64_t>(events[i].data.u64), events[i].events);
  }
  return count > 0;
}

void Offers::OnTicket(int64_t number, uint32_t events) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = offers_.find(number);
  if (found == offers_.end()) return;  // taken; its end goes with it
  Offer& offer = found->second;
  char asked = 0;
  if (!offer.copy && (events & EPOLLIN) != 0 &&
      recv(offer.end.get(), &asked, 1, MSG_DONTWAIT) == 1 && asked == kCopyPlease) {
    offer.copy.reset(memfd_create("moved", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    // There is room in it: it is the first to be said. So this comes again at once, until it is
    // done.
    epoll_event event = {.events = EPOLLOUT, .data = {.u64 = static_cast<uint64_t>(number)}};
    if (offer.copy && epoll_ctl(poller_.get(), EPOLL_CTL_MOD, offer.end.get(), &event) == 0) return;
  } else if (offer.copy && (events & (EPOLLHUP | EPOLLERR)) == 0 && !CopyPiece(&offer)) {
    return;
  }
  Free(std::move(offer));
  offers_.erase(found);
}

bool Offers::CopyPiece(Offer* offer) {
  const MovedContent content = ContentOf(offer->object);
  const size_t piece = std::min(kPieceBytes, content.header.bytes - offer->copied);
  const ssize_t written = write(offer->copy.get(), content.data + offer->copied, piece);
  if (written <= 0) return errno != EINTR;
  offer->copied += static_cast<size_t>(written);
  if (offer->copied < content.header.bytes) return false;
  (void)SendMovedCopy(offer->end.get(), offer->copy.get(), content.header);
  return true;
}

size_t Offers::count() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return offers_.size();
}

}  // namespace cloister::sandbox
