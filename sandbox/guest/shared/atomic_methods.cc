#include "sandbox/guest/shared/atomic_methods.h"

#include <climits>
#include <cstdint>

#include "sandbox/guest/shared/atomics.h"
#include "sandbox/guest/shared/futex.h"
#include "sandbox/guest/shared/shared_buffer.h"

namespace cloister::sandbox {
namespace {

constexpr int kFutexWidth = 4;

// Where the word is; null with a Python exception set. `is_written`: whether it may be.
char* FindWord(PyObject* self, Py_ssize_t offset, int width, bool is_written) {
  const SharedMemory* memory = AsSharedBuffer(self)->state.memory();
  if (memory == nullptr) return nullptr;
  if (width != 1 && width != 2 && width != 4 && width != 8) {
    PyErr_SetString(PyExc_ValueError, "an atomic word has 1, 2, 4 or 8 bytes");
    return nullptr;
  }
  if (offset < 0 || static_cast<size_t>(offset) > memory->size() ||
      memory->size() - static_cast<size_t>(offset) < static_cast<size_t>(width)) {
    PyErr_Format(PyExc_IndexError, "no word of %d bytes at %zd in a SharedBuffer of %zu", width,
                 offset, memory->size());
    return nullptr;
  }
  if (is_written && memory->is_read_only()) {
    PyErr_SetString(PyExc_TypeError, "the SharedBuffer is read-only");
    return nullptr;
  }
  char* word = memory->data() + offset;
  if (reinterpret_cast<uintptr_t>(word) % static_cast<unsigned>(width) != 0) {
    PyErr_Format(PyExc_ValueError, "the word at %zd is not aligned to its %d bytes", offset, width);
    return nullptr;
  }
  return word;
}

// False with a Python exception set, OverflowError where the number does not fit.
bool ToWord(PyObject* number, int width, uint64_t* word) {
  *word = 0;
  if (number == nullptr) return true;
  int overflow = 0;
  const long long small = PyLong_AsLongLongAndOverflow(number, &overflow);
  if (small == -1 && PyErr_Occurred() != nullptr) return false;
  *word = static_cast<uint64_t>(small);
  if (overflow > 0) {
    *word = PyLong_AsUnsignedLongLong(number);
    if (PyErr_Occurred() != nullptr) return false;
  }
  const int unused = 64 - 8 * width;
  const uint64_t most = ~uint64_t{0} >> unused;
  const int64_t least = INT64_MIN >> unused;
  const bool is_negative = overflow < 0 || (overflow == 0 && small < 0);
  const bool fits = overflow >= 0 && (is_negative ? small >= least : *word <= most);
  if (!fits) PyErr_Format(PyExc_OverflowError, "the number does not fit into %d bytes", width);
  *word &= most;
  return fits;
}

uint64_t ApplyTo(char* word, int width, AtomicOperation operation, uint64_t operand,
                 uint64_t expected) {
  const auto apply = [&](auto zero) -> uint64_t {
    using Word = decltype(zero);
    return Apply(operation, reinterpret_cast<Word*>(word), static_cast<Word>(operand),
                 static_cast<Word>(expected));
  };
  switch (width) {
    case 1:
      return apply(uint8_t{});
    case 2:
      return apply(uint16_t{});
    case 4:
      return apply(uint32_t{});
    default:
      return apply(uint64_t{});
  }
}

struct Arguments {
  Py_ssize_t offset = 0;
  PyObject* operand = nullptr;
  PyObject* expected = nullptr;
  int width = 8;
};

// What the word was; null with a Python exception set.
PyObject* Operate(PyObject* self, const Arguments& arguments, AtomicOperation operation) {
  const bool is_written = operation != AtomicOperation::kLoad;
  char* word = FindWord(self, arguments.offset, arguments.width, is_written);
  uint64_t operand;
  uint64_t expected;
  if (word == nullptr || !ToWord(arguments.operand, arguments.width, &operand) ||
      !ToWord(arguments.expected, arguments.width, &expected)) {
    return nullptr;
  }
  return PyLong_FromUnsignedLongLong(ApplyTo(word, arguments.width, operation, operand, expected));
}

// The operations with one operand.
template <AtomicOperation operation>
PyObject* Change(PyObject* self, PyObject* arguments, PyObject* names) {
  static const char* const keywords[] = {"offset", "value", "width", nullptr};
  Arguments given;
  return PyArg_ParseTupleAndKeywords(arguments, names, "nO!|i", const_cast<char**>(keywords),
                                     &given.offset, &PyLong_Type, &given.operand, &given.width)
             ? Operate(self, given, operation)
             : nullptr;
}

}  // namespace

PyObject* AtomicLoad(PyObject* self, PyObject* arguments, PyObject* names) {
  static const char* const keywords[] = {"offset", "width", nullptr};
  Arguments given;
  return PyArg_ParseTupleAndKeywords(arguments, names, "n|i:atomic_load",
                                     const_cast<char**>(keywords), &given.offset, &given.width)
             ? Operate(self, given, AtomicOperation::kLoad)
             : nullptr;
}

PyObject* AtomicStore(PyObject* self, PyObject* arguments, PyObject* names) {
  const PyRef before = PyRef::Steal(Change<AtomicOperation::kStore>(self, arguments, names));
  return before ? Py_NewRef(Py_None) : nullptr;
}

PyObject* AtomicCompareExchange(PyObject* self, PyObject* arguments, PyObject* names) {
  static const char* const keywords[] = {"offset", "expected", "value", "width", nullptr};
  Arguments given;
  return PyArg_ParseTupleAndKeywords(arguments, names, "nO!O!|i:atomic_compare_exchange",
                                     const_cast<char**>(keywords), &given.offset, &PyLong_Type,
                                     &given.expected, &PyLong_Type, &given.operand, &given.width)
             ? Operate(self, given, AtomicOperation::kCompareExchange)
             : nullptr;
}

PyObject* AtomicWait(PyObject* self, PyObject* arguments, PyObject* names) {
  static const char* const keywords[] = {"offset", "expected", "timeout", nullptr};
  Py_ssize_t offset;
  PyObject* number;
  PyObject* timeout = nullptr;
  uint64_t expected;
  Deadline deadline;
  if (!PyArg_ParseTupleAndKeywords(arguments, names, "nO!|O:atomic_wait",
                                   const_cast<char**>(keywords), &offset, &PyLong_Type, &number,
                                   &timeout) ||
      !ToWord(number, kFutexWidth, &expected) || !ToDeadline(timeout, &deadline)) {
    return nullptr;
  }
  const char* word = FindWord(self, offset, kFutexWidth, false);
  SharedBufferState& state = AsSharedBuffer(self)->state;
  if (word == nullptr || !state.BeginUse()) return nullptr;
  // Who wakes has changed the word before: a wait that a signal cut off, and that begins anew after
  // the wake, finds it changed.
  Woken woken;
  const bool is_over = WaitInterruptibly(reinterpret_cast<const uint32_t*>(word),
                                         static_cast<uint32_t>(expected), deadline, &woken);
  state.EndUse();
  return is_over ? PyBool_FromLong(woken != Woken::kSliceIsOver) : nullptr;
}

PyObject* AtomicNotify(PyObject* self, PyObject* arguments, PyObject* names) {
  static const char* const keywords[] = {"offset", "count", nullptr};
  Py_ssize_t offset;
  PyObject* count_object = nullptr;
  if (!PyArg_ParseTupleAndKeywords(arguments, names, "n|O:atomic_notify",
                                   const_cast<char**>(keywords), &offset, &count_object)) {
    return nullptr;
  }
  long count = count_object == nullptr ? 1 : INT_MAX;
  if (count_object != nullptr && count_object != Py_None) {
    int overflow = 0;
    count = PyLong_AsLongAndOverflow(count_object, &overflow);
    if (count == -1 && PyErr_Occurred() != nullptr) return nullptr;
    if (overflow > 0 || count > INT_MAX) count = INT_MAX;
    if (overflow < 0 || count < 0) {
      PyErr_SetString(PyExc_ValueError, "count is not negative, or None for all");
      return nullptr;
    }
  }
  const char* word = FindWord(self, offset, kFutexWidth, false);
  if (word == nullptr) return nullptr;
  // The kernel takes 0 for 1.
  if (count == 0) return PyLong_FromLong(0);
  return PyLong_FromLong(
      FutexWake(reinterpret_cast<const uint32_t*>(word), static_cast<int>(count)));
}

PyObject* AtomicExchange(PyObject* self, PyObject* arguments, PyObject* names) {
  return Change<AtomicOperation::kExchange>(self, arguments, names);
}

PyObject* AtomicAdd(PyObject* self, PyObject* arguments, PyObject* names) {
  return Change<AtomicOperation::kAdd>(self, arguments, names);
}

PyObject* AtomicSub(PyObject* self, PyObject* arguments, PyObject* names) {
  return Change<AtomicOperation::kSubtract>(self, arguments, names);
}

PyObject* AtomicAnd(PyObject* self, PyObject* arguments, PyObject* names) {
  return Change<AtomicOperation::kAnd>(self, arguments, names);
}

PyObject* AtomicOr(PyObject* self, PyObject* arguments, PyObject* names) {
  return Change<AtomicOperation::kOr>(self, arguments, names);
}

PyObject* AtomicXor(PyObject* self, PyObject* arguments, PyObject* names) {
  return Change<AtomicOperation::kXor>(self, arguments, names);
}

}  // namespace cloister::sandbox
