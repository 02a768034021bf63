// Statics that each interpreter of a process has its own of: most processes have one interpreter,
// but one process of a live sandbox holds all its isolated ones, which run at the same time and
// must reach nothing of each other's.
//
// Thread-safety: with the GIL of the interpreter that calls. Ownership: made when first used;
// dropped by DropInterpreterLocals, main's never.

#ifndef CLOISTER_SANDBOX_GUEST_INTERPRETER_LOCAL_H_
#define CLOISTER_SANDBOX_GUEST_INTERPRETER_LOCAL_H_

namespace cloister::sandbox {

// What the calling thread's interpreter has in a slot, a new one where there is none yet.
struct InterpreterLocalType {
  void* (*make)();
  void (*destroy)(void*);
};
int NewInterpreterLocalSlot(InterpreterLocalType type);
void* FindInterpreterLocal(int slot);

// To be called before an interpreter other than main ends, while its objects can still be let go
// of. What code uses after that is made anew, empty, and dropped with the interpreter.
void DropInterpreterLocals();

// A static variable, in place of `T`. A T made by default must be safe to use at any time:
// destructors of objects run while an interpreter ends.
template <typename T>
class InterpreterLocal {
 public:
  InterpreterLocal()
      : slot_(NewInterpreterLocalSlot({[]() -> void* { return new T(); },
                                       [](void* value) { delete static_cast<T*>(value); }})) {}
  InterpreterLocal(const InterpreterLocal&) = delete;
  InterpreterLocal& operator=(const InterpreterLocal&) = delete;

  T& operator*() const { return *static_cast<T*>(FindInterpreterLocal(slot_)); }
  T* operator->() const { return &**this; }

 private:
  const int slot_;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_INTERPRETER_LOCAL_H_
