#include "sandbox/guest/shared/robust_lock.h"

#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <utility>

#include "sandbox/base/status_macros.h"
#include "sandbox/guest/python_object.h"
#include "sandbox/guest/shared/shared_memory.h"

namespace cloister::sandbox {
namespace {

// From a node to its word, in every robust list of glibc's on this machine: from
// pthread_mutex_t.__data.__list.__next to __lock.
constexpr long kNodeToWord = -32;
// Where the word is before the end of its page. The node's pointer to the one before it, which
// comes just before the node, is in the private page then.
constexpr size_t kWordBeforeEnd = 16;

// As glibc lays it out: pointers lead to `next`.
struct Node {
  robust_list* previous;
  robust_list next;
};
constexpr size_t kNextInNode = offsetof(Node, next);

// The list of a thread for which no libc has registered one: the first of a process that was made
// by clone().
struct OwnList {
  robust_list* previous;  // glibc has it here as well
  robust_list_head head;
};
thread_local OwnList own_list;

// A pointer in a list has a bit of the kernel's in it.
Node* NodeOf(robust_list* link) {
  const uintptr_t address = reinterpret_cast<uintptr_t>(link) & ~uintptr_t{1};
  return reinterpret_cast<Node*>(address - kNextInNode);
}

// The list of the calling thread that the kernel knows; null where it is laid out otherwise.
robust_list_head* FindList() {
  robust_list_head* head = nullptr;
  size_t size = 0;
  if (syscall(SYS_get_robust_list, 0, &head, &size) != 0) return nullptr;
  if (head == nullptr) {
    own_list = {};
    own_list.head.list.next = &own_list.head.list;
    own_list.head.futex_offset = kNodeToWord;
    head = &own_list.head;
    if (syscall(SYS_set_robust_list, head, sizeof(*head)) != 0) return nullptr;
  }
  return head->futex_offset == kNodeToWord ? head : nullptr;
}

// The kernel reads the list when the thread ends, which may be anywhere: what is written is written
// in this order.
void KeepOrder() { std::atomic_signal_fence(std::memory_order_seq_cst); }

void SetPending(robust_list_head* head, robust_list* link) {
  KeepOrder();
  head->list_op_pending = link;
  KeepOrder();
}

void Insert(robust_list_head* head, Node* node) {
  node->previous = &head->list;
  node->next.next = head->list.next;
  KeepOrder();
  NodeOf(head->list.next)->previous = &node->next;
  head->list.next = &node->next;
  KeepOrder();
}

void Remove(Node* node) {
  NodeOf(node->next.next)->previous = node->previous;
  NodeOf(node->previous)->next.next = node->next.next;
  KeepOrder();
}

// Never 0, and never another's: ids of the kernel are given again.
uint64_t ThisThread() {
  static std::atomic<uint64_t> count = 0;
  thread_local const uint64_t id = ++count;
  return id;
}

uint32_t Load(const uint32_t* word) { return __atomic_load_n(word, __ATOMIC_SEQ_CST); }

pid_t OwnerIn(uint32_t seen) { return static_cast<pid_t>(seen & FUTEX_TID_MASK); }

Node* NodeBeside(uint32_t* word) {
  return reinterpret_cast<Node*>(reinterpret_cast<char*>(word) - kNodeToWord - kNextInNode);
}

}  // namespace

size_t RobustLock::FileBytes() { return static_cast<size_t>(sysconf(_SC_PAGESIZE)); }

absl::StatusOr<std::unique_ptr<RobustLock>> RobustLock::Map(OpenDescriptor file) {
  std::unique_ptr<RobustLock> lock(new RobustLock(std::move(file)));
  CLOISTER_RETURN_IF_ERROR(lock->MapPages());
  return lock;
}

absl::Status RobustLock::MapPages() {
  const size_t page = FileBytes();
  const int access = PROT_READ | PROT_WRITE;
  void* both = mmap(nullptr, 2 * page, access, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (both != MAP_FAILED &&
      mmap(both, page, access, MAP_SHARED | MAP_FIXED, file_->get(), 0) == MAP_FAILED) {
    const absl::Status failed = FailedCall("map a lock");
    munmap(both, 2 * page);
    return failed;
  }
  if (both == MAP_FAILED) {
    return FailedCall("map a lock");
  }
  mapped_ = static_cast<char*>(both);
  word_ = reinterpret_cast<uint32_t*>(mapped_ + page - kWordBeforeEnd);
  return absl::OkStatus();
}

RobustLock::~RobustLock() {
  if (mapped_ == nullptr) return;
  if (IsHeldByCaller()) {
    // Nobody will let go of it any more. What it guards is in no known state.
    SetPending(head_, &NodeBeside(word_)->next);
    Remove(NodeBeside(word_));
    if (OwnerIn(Load(word_)) == gettid()) {
      __atomic_exchange_n(word_, uint32_t{FUTEX_OWNER_DIED}, __ATOMIC_SEQ_CST);
      FutexWake(word_, 1);
    }
    SetPending(head_, nullptr);
  } else if (IsListedByOther()) {
    return;
  }
  munmap(mapped_, 2 * FileBytes());
}

bool RobustLock::IsListedByOther() const {
  if (holder_ == 0 || process_ != getpid()) return false;
  // The word may say that it died, and lie. The kernel does not; that it gives the id to another
  // thread makes us keep too much.
  return syscall(SYS_tgkill, process_, thread_, 0) == 0 || errno != ESRCH;
}

bool RobustLock::FreeNode() {
  if (IsHeldByCaller()) {
    Remove(NodeBeside(word_));  // somebody wrote over the word
  } else if (IsListedByOther() && !MapPages().ok()) {
    return false;
  }
  holder_ = 0;
  return true;
}

bool RobustLock::Take(uint32_t seen, uint32_t wanted, robust_list_head* head) {
  Node* node = NodeBeside(word_);
  SetPending(head, &node->next);
  const bool taken =
      __atomic_compare_exchange_n(word_, &seen, wanted, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
  if (taken) Insert(head, node);
  SetPending(head, nullptr);
  return taken;
}

RobustLock::Attempt RobustLock::TryAcquire(bool has_waited, uint32_t* seen) {
  robust_list_head* head = FindList();
  if (head == nullptr) return Attempt::kNotSupported;
  const pid_t caller = gettid();
  for (;;) {
    *seen = Load(word_);
    const pid_t owner = OwnerIn(*seen);
    if (owner == caller) {
      SetPending(head, nullptr);
      return Attempt::kHeldByCaller;
    }
    if (owner == 0) {
      const uint32_t waiters = has_waited ? FUTEX_WAITERS : *seen & FUTEX_WAITERS;
      if (!FreeNode()) {
        // Whoever was woken for it, and does not take it, wakes another.
        SetPending(head, nullptr);
        FutexWake(word_, 1);
        return Attempt::kNoMemory;
      }
      if (!Take(*seen, static_cast<uint32_t>(caller) | waiters, head)) continue;
      holder_ = ThisThread();
      process_ = getpid();
      thread_ = caller;
      head_ = head;
      owner_died_ = (*seen & FUTEX_OWNER_DIED) != 0;
      return Attempt::kAcquired;
    }
    // Whoever lets go of it, or the kernel in its place, wakes one where this bit is set.
    const uint32_t waited_for = *seen | FUTEX_WAITERS;
    if (*seen != waited_for && !__atomic_compare_exchange_n(word_, seen, waited_for, false,
                                                            __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
      continue;
    }
    *seen = waited_for;
    SetPending(head, nullptr);
    return Attempt::kHeld;
  }
}

Woken RobustLock::Wait(uint32_t seen, int64_t nanoseconds) {
  robust_list_head* head = FindList();
  if (head == nullptr) return Woken::kChanged;
  const uint32_t* word = word_;
  SetPending(head, &NodeBeside(word_)->next);
  Woken woken;
  Py_BEGIN_ALLOW_THREADS;
  woken = FutexWait(word, seen, nanoseconds);
  Py_END_ALLOW_THREADS;
  if (woken != Woken::kYes) SetPending(head, nullptr);
  return woken;
}

RobustLock::Released RobustLock::Release() {
  if (!IsHeldByCaller()) return Released::kNotHeld;
  Node* node = NodeBeside(word_);
  SetPending(head_, &node->next);
  Remove(node);
  holder_ = 0;
  owner_died_ = false;
  const bool is_ours = OwnerIn(Load(word_)) == gettid();
  if (is_ours) {
    const uint32_t before = __atomic_exchange_n(word_, uint32_t{0}, __ATOMIC_SEQ_CST);
    if ((before & FUTEX_WAITERS) != 0) FutexWake(word_, 1);
  }
  SetPending(head_, nullptr);
  return is_ours ? Released::kYes : Released::kTakenAway;
}

bool RobustLock::IsHeldByCaller() const { return holder_ == ThisThread() && process_ == getpid(); }

bool RobustLock::IsHeld() const { return OwnerIn(Load(word_)) != 0; }

uint32_t RobustLock::LoadSequence() const { return Load(sequence()); }

void RobustLock::AdvanceSequence() { __atomic_fetch_add(word_ + 1, 1, __ATOMIC_SEQ_CST); }

}  // namespace cloister::sandbox
