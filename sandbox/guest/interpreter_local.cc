#include "sandbox/guest/interpreter_local.h"

#include <cstdlib>
#include <utility>

#include "sandbox/guest/python_object.h"

namespace cloister::sandbox {
namespace {

constexpr int kMaxSlots = 32;
constexpr char kCapsuleName[] = "cloister.locals";

int slot_count = 0;
InterpreterLocalType types[kMaxSlots];

struct Locals {
  ~Locals() { Drop(); }

  void Drop() {
    for (int slot = 0; slot < slot_count; ++slot) {
      void* value = std::exchange(values[slot], nullptr);
      if (value != nullptr) types[slot].destroy(value);
    }
  }

  void* values[kMaxSlots] = {};
};

// Of the main interpreter; plain memory that is never freed, as its interpreter.
alignas(Locals) char main_locals[sizeof(Locals)] = {};

// The thread's last answer: threads belong to one interpreter but for moments in main.
thread_local PyInterpreterState* known_interpreter = nullptr;
thread_local Locals* known_locals = nullptr;

void DestroyCapsule(PyObject* capsule) {
  delete static_cast<Locals*>(PyCapsule_GetPointer(capsule, kCapsuleName));
}

// Kept in a dict that no Python code can reach. Without memory for a capsule there is no going on.
Locals* FindInDict(PyInterpreterState* interpreter) {
  PyRef saved = PyRef::Steal(PyErr_GetRaisedException());
  PyObject* dict = PyInterpreterState_GetDict(interpreter);
  PyObject* capsule = dict == nullptr ? nullptr : PyDict_GetItemString(dict, kCapsuleName);
  if (capsule == nullptr) {
    PyRef made = PyRef::Steal(PyCapsule_New(new Locals, kCapsuleName, DestroyCapsule));
    if (!made || dict == nullptr || PyDict_SetItemString(dict, kCapsuleName, made.get()) != 0) {
      abort();
    }
    capsule = made.get();
  }
  PyErr_SetRaisedException(saved.release());
  return static_cast<Locals*>(PyCapsule_GetPointer(capsule, kCapsuleName));
}

Locals& CurrentLocals() {
  PyInterpreterState* interpreter = PyInterpreterState_Get();
  if (interpreter == PyInterpreterState_Main()) return *reinterpret_cast<Locals*>(main_locals);
  if (interpreter != known_interpreter) {
    known_locals = FindInDict(interpreter);
    known_interpreter = interpreter;
  }
  return *known_locals;
}

}  // namespace

int NewInterpreterLocalSlot(InterpreterLocalType type) {
  if (slot_count == kMaxSlots) abort();
  types[slot_count] = type;
  return slot_count++;
}

void* FindInterpreterLocal(int slot) {
  Locals& locals = CurrentLocals();
  if (locals.values[slot] == nullptr) locals.values[slot] = types[slot].make();
  return locals.values[slot];
}

void DropInterpreterLocals() { CurrentLocals().Drop(); }

}  // namespace cloister::sandbox
