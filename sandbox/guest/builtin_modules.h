// The modules that programs import from us: `cloister`, and `cloister.figures` for Matplotlib.
//
// They are built in: finding them costs no file, and until they are imported nothing at all. So are
// modules in place of those by which programs could make interpreters, whose import says why it
// fails.

#ifndef CLOISTER_SANDBOX_GUEST_BUILTIN_MODULES_H_
#define CLOISTER_SANDBOX_GUEST_BUILTIN_MODULES_H_

namespace cloister::sandbox {

// Before CPython starts, once. False where there is no memory for it.
bool AddBuiltinModules();

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_BUILTIN_MODULES_H_
